//! A model small enough to reason about, for the tests of what reads frozen models.

use chord_plan::Palette;
use chord_plan::manifest::{Activation, CaserShape, PositionsFrom, ProfileShape, SasRecShape};

use super::{
    FrozenBlock, FrozenCaser, FrozenLayer, FrozenModel, FrozenNetwork, FrozenProfile, FrozenSasRec, Norm,
};

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
    let layers = [layer(4, 4), layer(4, 4), layer(4, 4), layer(4, 4), layer(6, 4), layer(4, 6)];
    let blocks = vec![FrozenBlock { norm1: norm(), norm2: norm(), layers }];
    let network = FrozenSasRec {
        shape,
        positions_from: PositionsFrom::Right,
        positions: wave(20),
        blocks,
        final_norm: norm(),
    };
    model(FrozenNetwork::SasRec(network))
}

/// 3 items, window 3, dim 4, 2 filters of each kind: 16 channels, 126 weights.
pub(crate) fn small_caser() -> FrozenModel {
    let shape = CaserShape { items: 3, window: 3, dim: 4, horizontal: 2, vertical: 2 };
    let layers = vec![layer(2, 4), layer(2, 8), layer(2, 12), layer(2, 3), layer(4, 14), layer(4, 4)];
    model(FrozenNetwork::Caser(FrozenCaser { shape, layers }))
}

/// 3 items of dim 4.
fn model(network: FrozenNetwork) -> FrozenModel {
    FrozenModel {
        palette: Palette::DEFAULT,
        item_weights: wave(12),
        item_ranges: vec![1.0; 3],
        network,
        profile: None,
    }
}

/// The parts of a SASRec model.
pub(crate) fn sasrec(model: &mut FrozenModel) -> &mut FrozenSasRec {
    match &mut model.network {
        FrozenNetwork::SasRec(network) => network,
        FrozenNetwork::Caser(_) => panic!("the model is Caser"),
    }
}

fn layer(outputs: usize, inputs: usize) -> FrozenLayer {
    FrozenLayer {
        weights: wave(outputs * inputs),
        ranges: vec![1.0; outputs],
        width_ranges: None,
        biases: wave(outputs),
    }
}

/// [`small`] with ranges at 2, 4 and 8 bits and biases at 0, 2, 4 and 8 bits.
pub(crate) fn small_per_width() -> FrozenModel {
    let mut model = small();
    for layer in &mut sasrec(&mut model).blocks[0].layers {
        let outputs = layer.ranges.len();
        layer.width_ranges = Some(wave(3 * outputs).iter().map(|w| 1.5 + w).collect());
        layer.biases = wave(4 * outputs);
    }
    model
}

/// [`small`] with a profile encoder of 3 features and 2 numbers that pools 4 items.
pub(crate) fn small_with_profile() -> FrozenModel {
    let shape = ProfileShape { pooled: 4, features: 3, hidden: 2, norm_epsilon: 1e-5 };
    let layers = [layer(3, 4), layer(6, 3), layer(6, 2), layer(2, 3)];
    let norm = Norm { gamma: vec![1.0, 0.5], beta: vec![0.0, 0.25] };
    FrozenModel { profile: Some(FrozenProfile { shape, layers, norm }), ..small() }
}

/// Numbers without a pattern that quantisation could share.
fn wave(count: usize) -> Vec<f32> {
    (0..count).map(|i| (0.7 + 1.3 * i as f32).sin()).collect()
}
