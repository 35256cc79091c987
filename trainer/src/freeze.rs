//! From trained modules to the frozen model that devices share.

use crate::config::{Config, PositionsFrom};
use crate::frozen::{
    FrozenBlock, FrozenCaser, FrozenError, FrozenLayer, FrozenModel, FrozenNetwork, FrozenProfile,
    FrozenSasRec, Norm, range_of_row,
};
use crate::model::backbone::Backbone;
use crate::model::chord::Chord;
use crate::model::profile::{EMBEDDING_SCALE, NORM_EPSILON, Profile};
use crate::model::quantised_linear::QuantisedLinear;
use crate::model::sasrec::SasRec;
use crate::tensor::{Backend, to_host};
use burn::nn::{LayerNorm, Linear};
use chord_plan::Palette;
use chord_plan::manifest::{self, ProfileShape};

/// The backbone as devices hold it.
///
/// # Errors
/// If the device format has no such backbone yet: post-norm SASRec.
pub fn freeze(backbone: &Backbone<Backend>, config: &Config) -> Result<FrozenModel, FrozenError> {
    let palette = palette(config);
    let network = match backbone {
        Backbone::SasRec(backbone) => FrozenNetwork::SasRec(sasrec(backbone, palette)?),
        Backbone::Caser(backbone) => FrozenNetwork::Caser(FrozenCaser {
            shape: *backbone.shape(),
            layers: backbone.layers().map(|l| layer(l, palette)).collect(),
        }),
    };
    let dim = backbone.items().dims()[1];
    let item_weights = to_host(backbone.items().val());
    let item_ranges = item_weights.chunks(dim).map(range_of_row).collect();
    Ok(FrozenModel { palette, item_weights, item_ranges, network, profile: None })
}

/// The backbone with the profile encoder, as devices hold both.
///
/// # Errors
/// As [`freeze`].
pub fn freeze_with_profile(model: &Chord<Backend>, config: &Config) -> Result<FrozenModel, FrozenError> {
    Ok(FrozenModel { profile: Some(profile(&model.profile, config)), ..freeze(&model.backbone, config)? })
}

fn profile(profile: &Profile<Backend>, config: &Config) -> FrozenProfile {
    let p = &config.profile;
    // The format refuses what is larger, by name.
    let [pooled, features, hidden] =
        [p.pooled, p.features, p.hidden].map(|size| u16::try_from(size).unwrap_or(u16::MAX));
    let shape = ProfileShape { pooled, features, hidden, norm_epsilon: NORM_EPSILON };
    let layers = [
        (&profile.input, EMBEDDING_SCALE),
        (&profile.gates_input, 1.0),
        (&profile.gates_state, 1.0),
        (&profile.pooled, 1.0),
    ];
    let layers = layers.map(|(layer, scale)| linear(layer, scale));
    FrozenProfile { shape, layers, norm: norm(&profile.norm) }
}

/// A plain layer, with its inputs' scale in its weights and each row's largest weight as its range.
fn linear(layer: &Linear<Backend>, scale: f32) -> FrozenLayer {
    let inputs = layer.weight.dims()[0];
    let mut weights = to_host(layer.weight.val().transpose());
    weights.iter_mut().for_each(|w| *w *= scale);
    let bias = layer.bias.as_ref().expect("the profile's layers are made with a bias");
    FrozenLayer {
        ranges: weights.chunks(inputs).map(range_of_row).collect(),
        biases: to_host(bias.val()),
        weights,
        width_ranges: None,
    }
}

fn sasrec(backbone: &SasRec<Backend>, palette: Palette) -> Result<FrozenSasRec, FrozenError> {
    let Some(final_norm) = &backbone.final_norm else {
        return Err(FrozenError::Backbone { name: "post-norm SASRec" });
    };
    let blocks = backbone.blocks.iter().map(|block| FrozenBlock {
        norm1: norm(&block.norm1),
        norm2: norm(&block.norm2),
        layers: block.layers().map(|l| layer(l, palette)),
    });
    Ok(FrozenSasRec {
        shape: *backbone.shape(),
        positions_from: match backbone.positions_from() {
            PositionsFrom::Right => manifest::PositionsFrom::Right,
            PositionsFrom::Left => manifest::PositionsFrom::Left,
        },
        positions: to_host(backbone.positions.val()),
        blocks: blocks.collect(),
        final_norm: norm(final_norm),
    })
}

/// The palette of a validated configuration.
pub fn palette(config: &Config) -> Palette {
    let mut entries = [Palette::UNUSED; 4];
    entries[..config.quantisation.palette.len()].copy_from_slice(&config.quantisation.palette);
    Palette::new(entries).expect("the configuration was validated")
}

fn layer(layer: &QuantisedLinear<Backend>, palette: Palette) -> FrozenLayer {
    // The tensor library's own exponential, so that device and training agree to the last bit.
    let ranges = to_host(layer.log_range.val().exp());
    let biases = to_host(layer.bias.val());
    let weights = to_host(layer.weight.val());
    let Some(own) = &layer.per_width else {
        return FrozenLayer { weights, ranges, width_ranges: None, biases };
    };
    let outputs = ranges.len();
    let (scales, offsets) = (to_host(own.log_scale.val().exp()), to_host(own.bias.val()));
    let mut width_ranges = Vec::new();
    let mut width_biases = Vec::new();
    for channel in 0..outputs {
        for &bits in palette.widths() {
            let row = own.row(bits).expect("every width has a row");
            width_biases.push(biases[channel] + offsets[row * outputs + channel]);
            if bits > 0 {
                width_ranges.push(ranges[channel] * scales[row * outputs + channel]);
            }
        }
    }
    FrozenLayer { weights, ranges, width_ranges: Some(width_ranges), biases: width_biases }
}

fn norm(norm: &LayerNorm<Backend>) -> Norm {
    let beta = norm.beta.as_ref().expect("layer norms are made with a bias");
    Norm { gamma: to_host(norm.gamma.val()), beta: to_host(beta.val()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::evaluation::cost::Cost;
    use crate::frozen::quantised_item_table;
    use crate::hypernetwork::Channels;
    use crate::model::dropout::Dropout;
    use crate::model::profile::Histories;
    use crate::simulation::Simulation;
    use crate::tensor::{Device, floats};

    /// The device's encoder is the trainer's with 8-bit weights and activations: close on fresh weights.
    #[test]
    fn the_frozen_profile_is_the_trained_one() {
        let sets = ["model.dim=16", "model.blocks=1", "model.embedding_std=0.1", "profile.recent=0"];
        let more = ["profile.pooled=10", "profile.hidden=12"];
        let sets: Vec<String> = sets.iter().chain(&more).map(|&set| set.to_owned()).collect();
        let config = config::load(None, &sets).unwrap();
        let device = Device::autodiff(Device::Flex(Default::default()));
        let model = Chord::new(&config, 30, &device);
        let simulation = Simulation::new(&freeze_with_profile(&model, &config).unwrap()).unwrap();
        let history: Vec<u32> = (0..25).map(|t| t * 7 % 30).collect();
        let table = quantised_item_table(&to_host(model.backbone.items().val()), 16);
        for length in [0, 1, 10, 25] {
            let rows = [&history[..length]];
            let histories = Histories::new(&rows, 0, 10, &device);
            let table = floats(table.clone(), [30, 16], &device);
            let expected = model.profile.forward(table, &histories, &mut Dropout::off(), 0.0);
            let found = simulation.embedding(rows[0]).unwrap();
            for (found, expected) in found.iter().zip(to_host(expected)) {
                assert!((found - expected).abs() < 0.1, "{length} items: {found} {expected}");
            }
        }
    }

    /// What a table says that a device keeps is the bundle but for its frame.
    #[test]
    fn the_cost_of_any_plan_is_the_bundle() {
        for per_width in [false, true] {
            let per_width = format!("quantisation.per_width={per_width}");
            let sets = ["model.dim=16", "model.blocks=1", "profile.hidden=12", &per_width].map(str::to_owned);
            let config = config::load(None, &sets).unwrap();
            let model = Chord::new(&config, 30, &Device::autodiff(Device::Flex(Default::default())));
            let bundle = freeze_with_profile(&model, &config).unwrap().to_bundle().unwrap().len() as u64;
            let channels = Channels::of(&model.backbone);
            let told = Cost { config: &config, channels: &channels, items: 30 }.planned_bytes();
            assert!((told..told + 128).contains(&bundle), "{per_width}: {bundle} bytes, told {told}");
        }
    }
}
