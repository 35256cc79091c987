//! What a device computes (docs/numerics.md, sections 8, 10 and 11), in plain view. It starts from the frozen model's f32
//! weights and shares no code with the runtime but the scalar arithmetic of `chord_plan::numerics`; that both agree bit
//! for bit is tested.

mod caser;
mod layer;
mod profile;
mod sasrec;

use chord_plan::Manifest;
use chord_plan::numerics::{MASTER_BITS, logit};
use thiserror::Error;

use crate::frozen::{FrozenError, FrozenModel, FrozenNetwork};
use layer::{Layer, Matrix, Quantised, integer_dot};

/// A frozen model with the levels of its weights at every width of the palette.
#[derive(Debug, Clone)]
pub struct Simulation {
    manifest: Manifest,
    items: Matrix,
    /// Its layers are below.
    network: FrozenNetwork,
    /// In plan order.
    layers: Vec<Layer>,
    profile: Option<profile::Profile>,
}

/// Why there are no logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SimulationError {
    /// The plan has another number of codes than the model has channels.
    #[error("{found} plan codes, the model has {expected} channels")]
    Channels {
        /// Channels of the model.
        expected: usize,
        /// Codes given.
        found: usize,
    },
    /// The palette does not use this code.
    #[error("channel {channel} has code {code}, which is not in the palette")]
    Code {
        /// The channel.
        channel: usize,
        /// Its code.
        code: u8,
    },
    /// The history has no items.
    #[error("the history is empty")]
    EmptyHistory,
    /// The model has no such item.
    #[error("item {item} in the history or among the candidates, the model has {items}")]
    Item {
        /// The item.
        item: u32,
        /// Items of the model.
        items: u32,
    },
    /// The arithmetic overflowed (docs/numerics.md, section 9).
    #[error("the logit of item {item} is not finite")]
    NotFinite {
        /// The item.
        item: u32,
    },
    /// The model has no profile encoder.
    #[error("the model has no profile encoder")]
    NoProfile,
    /// An item cannot be added to the profile (docs/numerics.md, section 11).
    #[error("item {item} takes the features or the state of the profile out of range")]
    ProfileOverflow {
        /// The item.
        item: u32,
    },
    /// The arithmetic overflowed in the user embedding.
    #[error("the user embedding is not finite")]
    EmbeddingNotFinite,
}

impl Simulation {
    /// Quantises the model's weights to the levels of every width of its palette.
    ///
    /// # Errors
    /// The model cannot be frozen: as [`FrozenModel::to_bundle`].
    pub fn new(model: &FrozenModel) -> Result<Self, FrozenError> {
        // The format's own checks: what passes them has the lengths and numbers that the code below relies on.
        model.to_bundle()?;
        let manifest = model.manifest();
        let layers = model.layers().zip(manifest.layers());
        let layers = layers.map(|(frozen, place)| Layer::new(frozen, &model.palette, place.first_channel));
        Ok(Self {
            manifest,
            items: Matrix::new(&model.item_weights, &model.item_ranges, &model.item_ranges, MASTER_BITS),
            layers: layers.collect(),
            network: model.network.clone(),
            profile: model.profile.as_ref().map(profile::Profile::new),
        })
    }

    /// Logits of all items by row, for one plan code per channel and a history of item rows, oldest first.
    ///
    /// # Errors
    /// As [`Simulation::score`].
    pub fn logits(&self, codes: &[u8], history: &[u32]) -> Result<Vec<f32>, SimulationError> {
        self.score(codes, history, &(0..self.manifest.items()).collect::<Vec<_>>())
    }

    /// Logits of `candidates` in their order. Of a history longer than the window the last part counts.
    ///
    /// # Errors
    /// The codes are not a plan for this model, the history is empty, an item does not exist, or a logit is not
    /// finite.
    pub fn score(
        &self,
        codes: &[u8],
        history: &[u32],
        candidates: &[u32],
    ) -> Result<Vec<f32>, SimulationError> {
        self.check(codes, history, candidates)?;
        let history = &history[history.len().saturating_sub(self.manifest.window())..];
        let embedded = self.embed(history);
        let hidden = match &self.network {
            FrozenNetwork::SasRec(network) => sasrec::hidden(network, &self.layers, codes, embedded),
            FrozenNetwork::Caser(network) => caser::hidden(&network.shape, &self.layers, codes, embedded),
        };
        let Quantised { codes, scale } = Quantised::new(&hidden);
        let score = |&item: &u32| {
            let t = integer_dot(&codes, self.items.row(item as usize));
            let logit = logit(t, self.items.steps[item as usize], scale);
            if logit.is_finite() { Ok(logit) } else { Err(SimulationError::NotFinite { item }) }
        };
        candidates.iter().map(score).collect()
    }

    /// The user embedding of a history of item rows, oldest first and from its start; it may be empty.
    ///
    /// # Errors
    /// The model has no profile encoder, an item does not exist or the arithmetic overflows.
    pub fn embedding(&self, history: &[u32]) -> Result<Vec<f32>, SimulationError> {
        let profile = self.profile.as_ref().ok_or(SimulationError::NoProfile)?;
        self.check_items(history)?;
        profile.embedding(history.iter().map(|&item| (item, self.embed(&[item]))))
    }

    fn check(&self, codes: &[u8], history: &[u32], candidates: &[u32]) -> Result<(), SimulationError> {
        let expected = self.manifest.channels();
        if codes.len() != expected {
            return Err(SimulationError::Channels { expected, found: codes.len() });
        }
        if let Some(channel) = codes.iter().position(|&code| self.manifest.palette.bits(code).is_none()) {
            return Err(SimulationError::Code { channel, code: codes[channel] });
        }
        if history.is_empty() {
            return Err(SimulationError::EmptyHistory);
        }
        self.check_items(history)?;
        self.check_items(candidates)
    }

    fn check_items(&self, list: &[u32]) -> Result<(), SimulationError> {
        let items = self.manifest.items();
        match list.iter().find(|&&item| item >= items) {
            Some(&item) => Err(SimulationError::Item { item, items }),
            None => Ok(()),
        }
    }

    /// Values of the history's item rows, tokens x dim.
    fn embed(&self, history: &[u32]) -> Vec<f32> {
        let rows = history.iter().flat_map(|&item| {
            let step = self.items.steps[item as usize];
            self.items.row(item as usize).iter().map(move |&level| f32::from(level) * step)
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen::Norm;
    use crate::frozen::examples::{sasrec, small, small_caser, small_with_profile};

    const CHANNELS: usize = 26;

    #[test]
    fn at_zero_bits_only_biases_remain() {
        let mut model = small();
        for layer in &mut sasrec(&mut model).blocks[0].layers {
            layer.biases.fill(0.0);
        }
        model.item_weights = vec![0.5, -0.5, 0.25, 0.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0];
        let network = sasrec(&mut model);
        network.positions.fill(0.0);
        network.final_norm = Norm { gamma: vec![1.0; 4], beta: vec![0.0; 4] };
        let found = Simulation::new(&model).unwrap().logits(&[0; CHANNELS], &[1, 0]).unwrap();
        // Residual stream: item 0 at 8 bits, a quarter level up; normalised and at 7 bits and sign for the dots.
        let x = [0.5f64, -0.5, 0.25, 0.0].map(|w| w + 1.0 / 256.0);
        let mean = x.iter().sum::<f64>() / 4.0;
        let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
        let h = x.map(|x| (x - mean) / deviation);
        for (row, logit) in model.item_weights.chunks(4).zip(found) {
            let expected: f64 = h.iter().zip(row).map(|(h, &w)| h * f64::from(w)).sum();
            assert!((f64::from(logit) - expected).abs() < 0.03, "{logit} {expected}");
        }
    }

    #[test]
    fn only_the_window_counts() {
        let simulation = Simulation::new(&small()).unwrap();
        let logits = |history: &[u32]| simulation.logits(&[3; CHANNELS], history).unwrap();
        assert_eq!(logits(&[0, 0, 2, 1, 0, 2, 1]), logits(&[2, 1, 0, 2, 1]));
        assert_ne!(logits(&[0, 2, 1, 0, 2]), logits(&[2, 1, 0, 2]), "the fifth last item counts");
        assert_ne!(logits(&[0, 1]), logits(&[1, 0]), "positions count");
    }

    #[test]
    fn a_profile_forgets_slowly_in_its_state_and_at_once_in_its_sum() {
        let mut model = small_with_profile();
        let embedding = |model: &FrozenModel, history: &[u32]| {
            Simulation::new(model).unwrap().embedding(history).unwrap()
        };
        assert_ne!(embedding(&model, &[0, 1, 2, 0, 1]), embedding(&model, &[2, 1, 2, 0, 1]));
        assert_eq!(embedding(&model, &[]).len(), 2);
        // Without gates the state stays what it was, 0: four items are left.
        for layer in &mut model.profile.as_mut().unwrap().layers[1..3] {
            layer.weights.fill(-1e-9);
            layer.biases.fill(0.0);
            layer.ranges.fill(1e-9);
        }
        assert_eq!(embedding(&model, &[0, 1, 2, 0, 1]), embedding(&model, &[2, 1, 2, 0, 1]));
        assert_ne!(embedding(&model, &[1, 2, 0, 1]), embedding(&model, &[2, 2, 0, 1]));
        let without = Simulation::new(&small()).unwrap().embedding(&[0]);
        assert_eq!(without, Err(SimulationError::NoProfile));
    }

    #[test]
    fn casers_window_is_padded_with_zero_rows() {
        let simulation = Simulation::new(&small_caser()).unwrap();
        let logits = |history: &[u32]| simulation.logits(&[3; 16], history).unwrap();
        assert_eq!(logits(&[0, 0, 2, 1, 0]), logits(&[2, 1, 0]));
        assert_ne!(logits(&[1, 2, 0]), logits(&[2, 0]), "the third last item counts");
        assert_ne!(logits(&[0, 1]), logits(&[1, 0]), "places count");
    }

    #[test]
    fn errors() {
        let simulation = Simulation::new(&small()).unwrap();
        let message =
            |codes: &[u8], history: &[u32]| simulation.logits(codes, history).unwrap_err().to_string();
        assert_eq!(message(&[0; 25], &[0]), "25 plan codes, the model has 26 channels");
        let mut codes = [0; CHANNELS];
        codes[4] = 4;
        assert_eq!(message(&codes, &[0]), "channel 4 has code 4, which is not in the palette");
        assert_eq!(message(&[0; CHANNELS], &[]), "the history is empty");
        assert!(message(&[0; CHANNELS], &[3]).starts_with("item 3 in the history"));

        let mut model = small();
        model.item_ranges[2] = 1.8e19;
        let norm = &mut sasrec(&mut model).final_norm;
        norm.gamma[0] = f32::MAX;
        norm.beta[0] = f32::MAX;
        let overflowing = Simulation::new(&model).unwrap().score(&[3; CHANNELS], &[0], &[1, 2]);
        assert!(matches!(overflowing, Err(SimulationError::NotFinite { .. })), "{overflowing:?}");
    }
}
