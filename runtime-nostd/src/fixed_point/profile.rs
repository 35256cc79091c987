//! A step of the profile encoder in fixed point (`docs/fixed-point.md`, section 10).

use chord_plan::Bundle;
use chord_plan::manifest::ProfileLayer;

use super::activation::{logistic, tanh};
use super::layer::{Bounds, layer};
use super::model::item;
use super::number::{Scale, field, high, shift_right};
use super::row::quantise;
use crate::profile::{ALL_BITS, Buffers};
use crate::span::{span, span_mut};

/// The state is in units of 2^-29.
const STATE: i32 = -29;

/// What a step takes beside the buffers, whose f32 numbers are i32 ones here.
pub(crate) struct Encoder {
    /// Of the layers of a step.
    bounds: [Bounds; 3],
    /// Unit of the features in their buffer.
    unit: i32,
    /// Whether the numbers that they come from were finite.
    is_finite: bool,
}

impl Encoder {
    pub(crate) fn new(bundle: &Bundle<'_>) -> Self {
        let layers = [ProfileLayer::Input, ProfileLayer::InputGates, ProfileLayer::StateGates];
        let bounds = layers.map(|kind| Bounds::new(Bounds::of(&bundle.profile_layer(kind), ALL_BITS)));
        Self { bounds, unit: 0, is_finite: true }
    }

    /// Leaves the features of an item, codes and range, in their buffer.
    pub(crate) fn encode_item(
        &mut self,
        bundle: &Bundle<'_>,
        (codes, range): (&[i8], f32),
        buffers: &mut Buffers<'_>,
    ) {
        let values = span_mut(bytemuck::cast_slice_mut(buffers.work), 0, codes.len());
        let (item, unit) = item(codes, range);
        values.iter_mut().zip(item).for_each(|(x, value)| *x = value);
        let scale = quantise(values, unit, buffers.codes);
        let features = bytemuck::cast_slice_mut(buffers.features);
        self.unit = self.layer(bundle, ProfileLayer::Input, scale, buffers.codes, features);
        self.is_finite = field(range) < 255 && self.bounds.iter().all(|bounds| bounds.is_finite());
    }

    /// Takes the item whose features were computed last into the state, which is always finite.
    pub(crate) fn advance(&self, bundle: &Bundle<'_>, buffers: &mut Buffers<'_>) -> bool {
        let features: &[i32] = bytemuck::cast_slice(buffers.features);
        let state: &mut [i32] = bytemuck::cast_slice_mut(buffers.state);
        let work: &mut [i32] = bytemuck::cast_slice_mut(buffers.work);
        let Some((input, rest)) = work.split_at_mut_checked(3 * state.len()) else { return false };
        let scale = quantise(features, self.unit, buffers.codes);
        let unit = self.layer(bundle, ProfileLayer::InputGates, scale, buffers.codes, input);
        let scale = quantise(state, STATE, buffers.codes);
        let state_unit = self.layer(bundle, ProfileLayer::StateGates, scale, buffers.codes, rest);
        // Both gates' numbers are at most 2^30.
        let common = unit.max(state_unit) + 1;
        let (down, state_down) = ((common - unit) as u32, (common - state_unit) as u32);
        let hidden = state.len();
        for (number, state) in state.iter_mut().enumerate() {
            let place = |gate: usize| gate * hidden + number;
            let gate = |gate: usize| input.get(place(gate)).map_or(0, |&x| shift_right(x, down));
            let recurrent = |gate: usize| rest.get(place(gate)).map_or(0, |&x| shift_right(x, state_down));
            let reset = logistic(gate(0) + recurrent(0), common);
            let update = logistic(gate(1) + recurrent(1), common);
            let candidate = tanh(gate(2) + high(recurrent(2), reset), common) << (-STATE - 16);
            *state = candidate + high(*state - candidate, update);
        }
        true
    }

    /// The layer of a quantised token to `out`; returns the unit of its outputs.
    fn layer(
        &self,
        bundle: &Bundle<'_>,
        kind: ProfileLayer,
        scale: Scale,
        codes: &[i8],
        out: &mut [i32],
    ) -> i32 {
        let view = bundle.profile_layer(kind);
        let inputs = view.layer().inputs;
        let Some(&bounds) = self.bounds.get(kind as usize) else { return 0 };
        layer(span(codes, 0, inputs), &[scale.to_word()], &view, ALL_BITS, bounds, &mut [], out);
        bounds.units(inputs, scale).0
    }

    /// A feature of their buffer in units of its sum; `None` if it is too large, or not finite.
    pub(crate) fn feature_units(&self, feature: f32) -> Option<i64> {
        if self.is_finite { feature_units(feature.to_bits() as i32, self.unit) } else { None }
    }

    /// A number of the state's buffer.
    pub(crate) fn state(&self, state: f32) -> f32 {
        state.to_bits() as i32 as f32 / (1 << -STATE) as f32
    }
}

/// `x` in units of `2^unit`, at most 2^30 of them, in those of a sum of features, 2^-24, to the nearest, halves up; `None`
/// if it is 2^20 or more.
fn feature_units(x: i32, unit: i32) -> Option<i64> {
    let (x, up) = (i64::from(x), unit + 24);
    match up {
        _ if x == 0 || up < -31 => Some(0),
        ..0 => Some((x + (1 << (-up - 1))) >> -up),
        0..44 => (x.abs() < 1 << (44 - up)).then(|| x << up),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::feature_units;

    #[test]
    fn units_of_known_features() {
        let cases =
            [(3, -24, 3), (-3, -25, -1), (3, -25, 2), (1 << 30, -60, 0), (1 << 30, -55, 1), (5, 16, 5 << 40)];
        assert!(cases.into_iter().all(|(x, unit, units)| feature_units(x, unit) == Some(units)));
        assert_eq!(feature_units(0, 8000), Some(0));
        for (x, unit) in [(1, 20), (-1, 20), (1 << 20, 0), (-(1 << 30), -10), (1, 300)] {
            assert_eq!(feature_units(x, unit), None);
        }
    }
}
