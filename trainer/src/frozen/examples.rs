//! A model small enough to reason about, for the tests of what reads frozen models.

use chord_plan::Palette;
use chord_plan::manifest::{Activation, SasRecShape};

use super::{FrozenBlock, FrozenLayer, FrozenModel, Norm};

/// 3 items, window 5, dim 4, inner 6, one block of two heads: 26 channels, 112 weights.
pub(crate) fn small() -> FrozenModel {
    let shape = SasRecShape {
        items: 3,
        positions: 5,
        dim: 4,
        inner: 6,
        blocks: 1,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    let norm = || Norm { gamma: vec![1.0, 0.5, 1.5, 1.0], beta: vec![0.0, 0.1, -0.1, 0.2] };
    let layer = |outputs: usize, inputs: usize| FrozenLayer {
        weights: wave(outputs * inputs),
        ranges: vec![1.0; outputs],
        width_ranges: None,
        biases: wave(outputs),
    };
    let layers = [layer(4, 4), layer(4, 4), layer(4, 4), layer(4, 4), layer(6, 4), layer(4, 6)];
    FrozenModel {
        shape,
        palette: Palette::DEFAULT,
        item_weights: wave(12),
        item_ranges: vec![1.0; 3],
        positions: wave(20),
        blocks: vec![FrozenBlock { norm1: norm(), norm2: norm(), layers }],
        final_norm: norm(),
    }
}

/// [`small`] with ranges at 2, 4 and 8 bits and biases at 0, 2, 4 and 8 bits.
pub(crate) fn small_per_width() -> FrozenModel {
    let mut model = small();
    for layer in &mut model.blocks[0].layers {
        let outputs = layer.ranges.len();
        layer.width_ranges = Some(wave(3 * outputs).iter().map(|w| 1.5 + w).collect());
        layer.biases = wave(4 * outputs);
    }
    model
}

/// Numbers without a pattern that quantisation could share.
fn wave(count: usize) -> Vec<f32> {
    (0..count).map(|i| (0.7 + 1.3 * i as f32).sin()).collect()
}
