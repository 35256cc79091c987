//! Section 11, the profile encoder: the whole history from its start.

use chord_plan::Palette;
use chord_plan::manifest::ProfileShape;
use chord_plan::numerics::{feature_units, layer_norm, next_state, pooled_feature};

use super::SimulationError;
use super::layer::Layer;
use crate::frozen::{FrozenProfile, Norm};

#[derive(Debug, Clone)]
pub(super) struct Profile {
    shape: ProfileShape,
    layers: [Layer; 4],
    norm: Norm,
}

impl Profile {
    pub(super) fn new(frozen: &FrozenProfile) -> Self {
        let layers = frozen.layers.each_ref().map(|layer| Layer::new(layer, &Palette::EIGHT_BITS, 0));
        Self { shape: frozen.shape, layers, norm: frozen.norm.clone() }
    }

    /// The user embedding. `embedded` are the items' values, each with its row.
    pub(super) fn embedding(
        &self,
        embedded: impl Iterator<Item = (u32, Vec<f32>)>,
    ) -> Result<Vec<f32>, SimulationError> {
        let [input, input_gates, state_gates, pooled] = &self.layers;
        let hidden = usize::from(self.shape.hidden);
        // The one code of the palette, for every channel.
        let apply = |layer: &Layer, x: &[f32]| layer.apply(&vec![0; layer.outputs()], x);
        let mut state = vec![0.0; hidden];
        let mut units: Vec<Vec<i64>> = Vec::new();
        for (item, values) in embedded {
            let overflow = SimulationError::ProfileOverflow { item };
            let features = apply(input, &values);
            let of_item: Option<Vec<i64>> = features.iter().map(|&x| feature_units(x)).collect();
            units.push(of_item.ok_or(overflow)?);
            let (i, r) = (apply(input_gates, &features), apply(state_gates, &state));
            for (unit, h) in state.iter_mut().enumerate() {
                let gates = |x: &[f32]| [0, 1, 2].map(|gate| x[gate * hidden + unit]);
                *h = next_state(gates(&i), gates(&r), *h);
            }
            if state.iter().any(|h| !h.is_finite()) {
                return Err(overflow);
            }
        }
        let newest = &units[units.len().saturating_sub(self.shape.pooled.into())..];
        let sum = |feature: usize| newest.iter().map(|units| units[feature]).sum();
        let sums: Vec<f32> = (0..usize::from(self.shape.features))
            .map(|feature| pooled_feature(sum(feature), newest.len()))
            .collect();
        let x: Vec<f32> = apply(pooled, &sums).iter().zip(&state).map(|(y, h)| y + h).collect();
        let mut embedding = vec![0.0; hidden];
        let (gamma, beta) = (self.norm.gamma.iter().copied(), self.norm.beta.iter().copied());
        layer_norm(&x, gamma, beta, self.shape.norm_epsilon, &mut embedding);
        match embedding.iter().all(|x| x.is_finite()) {
            true => Ok(embedding),
            false => Err(SimulationError::EmbeddingNotFinite),
        }
    }
}
