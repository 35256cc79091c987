//! Checks on values, before anything runs: a function for each section.

use super::overlay::ConfigError;
use super::schema::{BackboneName, Config, Learns, LossName};
use std::fmt::Debug;

type Checked = Result<(), ConfigError>;

fn check(ok: bool, key: &'static str, value: impl Debug, expected: &'static str) -> Checked {
    if ok { Ok(()) } else { Err(ConfigError::Value { key, value: format!("{value:?}"), expected }) }
}

fn at_least_one(key: &'static str, value: usize) -> Checked {
    check(value > 0, key, value, "must be at least 1")
}

fn share(key: &'static str, value: f64) -> Checked {
    check((0.0..1.0).contains(&value), key, value, "must lie in 0..1")
}

fn positive(key: &'static str, value: f64) -> Checked {
    check(value > 0.0 && value.is_finite(), key, value, "must be above 0")
}

impl Config {
    pub(super) fn validate(&self) -> Checked {
        self.validate_data()?;
        self.validate_model()?;
        self.validate_profile()?;
        self.validate_quantisation()?;
        self.validate_budget()?;
        self.validate_fine_tuning()?;
        self.validate_train()?;
        self.validate_personal()
    }

    fn validate_data(&self) -> Checked {
        let d = &self.data;
        check(d.min_rating.is_finite(), "data.min_rating", d.min_rating, "must be finite")?;
        at_least_one("data.k_core", d.k_core)?;
        at_least_one("data.min_length", d.min_length)?;
        share("data.validation_share", d.validation_share)?;
        share("data.test_share", d.test_share)?;
        let both = d.validation_share + d.test_share;
        check(both < 1.0, "data.validation_share + data.test_share", both, "must leave a share for training")
    }

    fn validate_model(&self) -> Checked {
        let m = &self.model;
        check(m.dim > 0 && m.dim <= 4096, "model.dim", m.dim, "must lie in 1..=4096")?;
        check(m.inner > 0 && m.inner <= 16384, "model.inner", m.inner, "must lie in 1..=16384")?;
        check((1..=16).contains(&m.blocks), "model.blocks", m.blocks, "must lie in 1..=16")?;
        let divides = m.heads > 0 && m.heads <= 64 && m.dim.is_multiple_of(u16::from(m.heads));
        check(divides, "model.heads", m.heads, "must divide model.dim and lie in 1..=64")?;
        check((1..=4096).contains(&m.window), "model.window", m.window, "must lie in 1..=4096")?;
        at_least_one("model.horizontal", m.horizontal.into())?;
        at_least_one("model.vertical", m.vertical.into())?;
        positive("model.norm_epsilon", m.norm_epsilon.into())?;
        positive("model.embedding_std", m.embedding_std)?;
        share("model.dropout", m.dropout)?;
        if m.backbone != BackboneName::Caser {
            return Ok(());
        }
        // What a device takes (docs/format.md).
        check(m.window <= 100, "model.window", m.window, "must lie in 1..=100 for Caser")?;
        let features = self.caser_shape(1).features();
        check(
            features <= 32768,
            "model.vertical * dim + window * horizontal",
            features,
            "must not exceed 32768",
        )
    }

    fn validate_profile(&self) -> Checked {
        let (p, h) = (&self.profile, &self.hypernetwork);
        for (key, value) in
            [("profile.pooled", p.pooled), ("profile.features", p.features), ("profile.hidden", p.hidden)]
        {
            check((1..=4096).contains(&value), key, value, "must lie in 1..=4096")?;
        }
        check(p.recent <= p.pooled, "profile.recent", p.recent, "must not exceed profile.pooled")?;
        share("profile.dropout", p.dropout)?;
        share("profile.history_dropout", p.history_dropout)?;
        at_least_one("hypernetwork.rank", h.rank)?;
        let spread = h.shared_spread;
        check(spread >= 0.0 && spread.is_finite(), "hypernetwork.shared_spread", spread, "must be at least 0")
    }

    fn validate_quantisation(&self) -> Checked {
        let q = &self.quantisation;
        let sound = (2..=4).contains(&q.palette.len())
            && q.palette.is_sorted_by(|a, b| a < b)
            && q.palette.iter().all(|b| [0, 2, 4, 8].contains(b));
        let expected = "must be two to four increasing widths out of 0, 2, 4, 8";
        check(sound, "quantisation.palette", &q.palette, expected)?;
        positive("quantisation.range_deviations", q.range_deviations.into())
    }

    fn validate_budget(&self) -> Checked {
        let (b, palette) = (&self.budget, &self.quantisation.palette);
        let widths = f32::from(palette[0])..=f32::from(palette[palette.len() - 1]);
        check(
            b.lowest >= *widths.start() && b.lowest <= b.highest,
            "budget.lowest",
            b.lowest,
            "must lie between the palette's narrowest width and budget.highest",
        )?;
        let expected = "must not exceed the palette's widest width";
        check(b.highest <= *widths.end(), "budget.highest", b.highest, expected)?;
        let expected = "must lie between the palette's narrowest and widest width";
        check(widths.contains(&b.default), "budget.default", b.default, expected)?;
        let fixed = b.fixed_share;
        check((0.0..=1.0).contains(&fixed), "budget.fixed_share", fixed, "must lie in 0..=1")?;
        check(
            !b.evaluate.is_empty()
                && b.evaluate.iter().all(|b| widths.contains(b))
                && b.evaluate.is_sorted_by(|a, b| a < b),
            "budget.evaluate",
            &b.evaluate,
            "must name budgets that increase and lie between the palette's narrowest and widest width",
        )
    }

    fn validate_fine_tuning(&self) -> Checked {
        let f = &self.fine_tuning;
        check(
            f.steps.is_sorted_by(|a, b| a < b) && f.steps.first().is_some_and(|&s| s > 0),
            "fine_tuning.steps",
            &f.steps,
            "must be increasing counts from 1",
        )?;
        check(
            !f.learning_rates.is_empty() && f.learning_rates.iter().all(|&r| r > 0.0 && r.is_finite()),
            "fine_tuning.learning_rates",
            &f.learning_rates,
            "must be rates above 0",
        )
    }

    fn validate_train(&self) -> Checked {
        let t = &self.train;
        for (key, value) in [
            ("train.batch", t.batch),
            ("train.stretch", t.stretch),
            ("train.loss.negatives", t.loss.negatives),
            ("train.shards", t.shards),
            ("train.evaluate_every", t.evaluate_every),
            ("train.checkpoint_every", t.checkpoint_every),
        ] {
            at_least_one(key, value)?;
        }
        positive("train.clip", t.clip.into())?;
        let decay = t.weight_decay;
        check((0.0..=10.0).contains(&decay), "train.weight_decay", decay, "must lie in 0..=10")?;
        share("train.averaging", t.averaging.into())?;
        positive("train.gate_temperature", t.gate_temperature.into())?;
        let d = &t.distillation;
        check((0.0..=1.0).contains(&d.weight), "train.distillation.weight", d.weight, "must lie in 0..=1")?;
        check(
            d.weight == 0.0 || t.loss.kind != LossName::Bce,
            "train.distillation.weight",
            d.weight,
            "must be 0 where train.loss.kind is \"bce\", which has no softmax to distil",
        )?;
        positive("train.distillation.temperature", d.temperature.into())?;
        positive("train.fp32.learning_rate", t.fp32.learning_rate)?;
        positive("train.refit.learning_rate", t.refit.learning_rate)?;
        positive("train.uniform.learning_rate", t.uniform.learning_rate)?;
        positive("train.static.learning_rate", t.static_.learning_rate)?;
        let widths = &t.uniform.widths;
        check(
            widths.iter().all(|w| [2, 4, 8].contains(w)) && widths.is_sorted_by(|a, b| a < b),
            "train.uniform.widths",
            widths,
            "must increase and be out of 2, 4, 8",
        )
    }

    fn validate_personal(&self) -> Checked {
        let (p, shards) = (&self.train.personal, self.train.shards);
        positive("train.personal.learning_rate", p.learning_rate)?;
        check(
            !p.centred || self.train.batch >= 2 * shards,
            "train.shards",
            shards,
            "must not exceed half of train.batch where train.personal.centred: of one user alone nothing is personal",
        )?;
        let reserved = p.reserved;
        check((0.0..=0.5).contains(&reserved), "train.personal.reserved", reserved, "must lie in 0..=0.5")?;
        check(
            p.learns != Learns::Widths || self.quantisation.per_width,
            "train.personal.learns",
            p.learns,
            "must not be \"widths\" unless quantisation.per_width is on",
        )?;
        check(
            !p.strengths.is_empty() && p.strengths.iter().all(|s| (0.0..=1.0).contains(s)),
            "train.personal.strengths",
            &p.strengths,
            "must be shares in 0..=1",
        )?;
        let weight = p.fisher.weight;
        check(
            weight >= 0.0 && weight.is_finite(),
            "train.personal.fisher.weight",
            weight,
            "must be at least 0",
        )?;
        at_least_one("train.personal.fisher.windows", p.fisher.windows)
    }
}
