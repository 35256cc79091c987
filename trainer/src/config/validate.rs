//! Checks on values, before anything runs.

use super::overlay::ConfigError;
use super::schema::{BackboneName, Config, Learns, LossName};
use std::fmt::Debug;

impl Config {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        fn check(
            ok: bool,
            key: &'static str,
            value: impl Debug,
            expected: &'static str,
        ) -> Result<(), ConfigError> {
            if ok { Ok(()) } else { Err(ConfigError::Value { key, value: format!("{value:?}"), expected }) }
        }
        let share = |x: f64| (0.0..1.0).contains(&x);
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let d = &self.data;
        check(d.min_rating.is_finite(), "data.min_rating", d.min_rating, "must be finite")?;
        check(d.k_core > 0, "data.k_core", d.k_core, "must be at least 1")?;
        check(d.min_length > 0, "data.min_length", d.min_length, "must be at least 1")?;
        for (key, held_out) in
            [("data.validation_share", d.validation_share), ("data.test_share", d.test_share)]
        {
            check(share(held_out), key, held_out, "must lie in 0..1")?;
        }
        let (both, expected) = (d.validation_share + d.test_share, "must leave a share for training");
        check(both < 1.0, "data.validation_share + data.test_share", both, expected)?;
        let m = &self.model;
        check(m.dim > 0 && m.dim <= 4096, "model.dim", m.dim, "must lie in 1..=4096")?;
        check(m.inner > 0 && m.inner <= 16384, "model.inner", m.inner, "must lie in 1..=16384")?;
        check((1..=16).contains(&m.blocks), "model.blocks", m.blocks, "must lie in 1..=16")?;
        let divides = m.heads > 0 && m.heads <= 64 && m.dim.is_multiple_of(u16::from(m.heads));
        check(divides, "model.heads", m.heads, "must divide model.dim and lie in 1..=64")?;
        check((1..=4096).contains(&m.window), "model.window", m.window, "must lie in 1..=4096")?;
        check(positive(m.norm_epsilon.into()), "model.norm_epsilon", m.norm_epsilon, "must be above 0")?;
        check(positive(m.embedding_std), "model.embedding_std", m.embedding_std, "must be above 0")?;
        check(share(m.dropout), "model.dropout", m.dropout, "must lie in 0..1")?;
        let p = &self.profile;
        for (key, value) in [
            ("hypernetwork.rank", self.hypernetwork.rank),
            ("model.horizontal", m.horizontal.into()),
            ("model.vertical", m.vertical.into()),
            ("train.batch", self.train.batch),
            ("train.stretch", self.train.stretch),
            ("train.loss.negatives", self.train.loss.negatives),
            ("train.shards", self.train.shards),
            ("train.evaluate_every", self.train.evaluate_every),
            ("train.checkpoint_every", self.train.checkpoint_every),
            ("train.personal.fisher.windows", self.train.personal.fisher.windows),
        ] {
            check(value > 0, key, value, "must be at least 1")?;
        }
        // What a device takes (docs/format.md).
        for (key, value) in
            [("profile.pooled", p.pooled), ("profile.features", p.features), ("profile.hidden", p.hidden)]
        {
            check((1..=4096).contains(&value), key, value, "must lie in 1..=4096")?;
        }
        if m.backbone == BackboneName::Caser {
            check(m.window <= 100, "model.window", m.window, "must lie in 1..=100 for Caser")?;
            let features = self.caser_shape(1).features();
            let (key, expected) = ("model.vertical * dim + window * horizontal", "must not exceed 32768");
            check(features <= 32768, key, features, expected)?;
        }
        check(p.recent <= p.pooled, "profile.recent", p.recent, "must not exceed profile.pooled")?;
        check(share(p.dropout), "profile.dropout", p.dropout, "must lie in 0..1")?;
        check(share(p.history_dropout), "profile.history_dropout", p.history_dropout, "must lie in 0..1")?;
        let spread = self.hypernetwork.shared_spread;
        check(
            spread >= 0.0 && spread.is_finite(),
            "hypernetwork.shared_spread",
            spread,
            "must be at least 0",
        )?;
        let palette = &self.quantisation.palette;
        let sound = (2..=4).contains(&palette.len())
            && palette.windows(2).all(|w| w[0] < w[1])
            && palette.iter().all(|b| [0, 2, 4, 8].contains(b));
        check(
            sound,
            "quantisation.palette",
            palette,
            "must be two to four increasing widths out of 0, 2, 4, 8",
        )?;
        let deviations = self.quantisation.range_deviations;
        check(positive(deviations.into()), "quantisation.range_deviations", deviations, "must be above 0")?;
        let b = &self.budget;
        let narrowest = f32::from(palette[0]);
        check(
            b.lowest >= narrowest && b.lowest <= b.highest,
            "budget.lowest",
            b.lowest,
            "must lie between the palette's narrowest width and budget.highest",
        )?;
        let widest = f32::from(palette[palette.len() - 1]);
        check(
            b.highest <= widest,
            "budget.highest",
            b.highest,
            "must not exceed the palette's widest width",
        )?;
        check(
            (narrowest..=widest).contains(&b.default),
            "budget.default",
            b.default,
            "must lie between the palette's narrowest and widest width",
        )?;
        check(
            (0.0..=1.0).contains(&b.fixed_share),
            "budget.fixed_share",
            b.fixed_share,
            "must lie in 0..=1",
        )?;
        check(
            !b.evaluate.is_empty()
                && b.evaluate.iter().all(|b| (narrowest..=widest).contains(b))
                && b.evaluate.is_sorted_by(|a, b| a < b),
            "budget.evaluate",
            &b.evaluate,
            "must name budgets that increase and lie between the palette's narrowest and widest width",
        )?;
        let f = &self.fine_tuning;
        check(
            f.steps.is_sorted_by(|a, b| a < b) && f.steps.first().is_some_and(|&s| s > 0),
            "fine_tuning.steps",
            &f.steps,
            "must be increasing counts from 1",
        )?;
        check(
            !f.learning_rates.is_empty() && f.learning_rates.iter().all(|&r| positive(r)),
            "fine_tuning.learning_rates",
            &f.learning_rates,
            "must be rates above 0",
        )?;
        let t = &self.train;
        check(positive(t.clip.into()), "train.clip", t.clip, "must be above 0")?;
        check(
            (0.0..=10.0).contains(&t.weight_decay),
            "train.weight_decay",
            t.weight_decay,
            "must lie in 0..=10",
        )?;
        check(share(t.averaging.into()), "train.averaging", t.averaging, "must lie in 0..1")?;
        check(
            positive(t.gate_temperature.into()),
            "train.gate_temperature",
            t.gate_temperature,
            "must be above 0",
        )?;
        let d = &t.distillation;
        check((0.0..=1.0).contains(&d.weight), "train.distillation.weight", d.weight, "must lie in 0..=1")?;
        check(
            d.weight == 0.0 || t.loss.kind != LossName::Bce,
            "train.distillation.weight",
            d.weight,
            "must be 0 where train.loss.kind is \"bce\", which has no softmax to distil",
        )?;
        check(
            positive(d.temperature.into()),
            "train.distillation.temperature",
            d.temperature,
            "must be above 0",
        )?;
        for (key, rate) in [
            ("train.fp32.learning_rate", t.fp32.learning_rate),
            ("train.refit.learning_rate", t.refit.learning_rate),
            ("train.uniform.learning_rate", t.uniform.learning_rate),
            ("train.static.learning_rate", t.static_.learning_rate),
            ("train.personal.learning_rate", t.personal.learning_rate),
        ] {
            check(positive(rate), key, rate, "must be above 0")?;
        }
        check(
            (0.0..=0.5).contains(&t.personal.reserved),
            "train.personal.reserved",
            t.personal.reserved,
            "must lie in 0..=0.5",
        )?;
        check(
            !t.personal.centred || self.train.batch >= 2 * self.train.shards,
            "train.shards",
            self.train.shards,
            "must not exceed half of train.batch where train.personal.centred: of one user alone nothing is personal",
        )?;
        check(
            t.personal.learns != Learns::Widths || self.quantisation.per_width,
            "train.personal.learns",
            t.personal.learns,
            "must not be \"widths\" unless quantisation.per_width is on",
        )?;
        let strengths = &t.personal.strengths;
        check(
            !strengths.is_empty() && strengths.iter().all(|s| (0.0..=1.0).contains(s)),
            "train.personal.strengths",
            strengths,
            "must be shares in 0..=1",
        )?;
        let supervision = &t.personal.fisher;
        check(
            supervision.weight >= 0.0 && supervision.weight.is_finite(),
            "train.personal.fisher.weight",
            supervision.weight,
            "must be at least 0",
        )?;
        let widths = &t.uniform.widths;
        check(
            widths.iter().all(|w| [2, 4, 8].contains(w)) && widths.is_sorted_by(|a, b| a < b),
            "train.uniform.widths",
            widths,
            "must increase and be out of 2, 4, 8",
        )?;
        Ok(())
    }
}
