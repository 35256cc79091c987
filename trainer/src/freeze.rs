//! From trained modules to the frozen model that devices share.

use crate::config::{Config, PositionsFrom};
use crate::frozen::{
    FrozenBlock, FrozenCaser, FrozenError, FrozenLayer, FrozenModel, FrozenNetwork, FrozenSasRec, Norm,
    range_of_row,
};
use crate::model::backbone::Backbone;
use crate::model::quantised_linear::QuantisedLinear;
use crate::model::sasrec::SasRec;
use crate::tensor::{Backend, to_host};
use burn::nn::LayerNorm;
use chord_plan::Palette;

/// The backbone as devices hold it.
///
/// # Errors
/// If the device format has no such backbone yet: post-norm SASRec, positions from the left.
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
    Ok(FrozenModel { palette, item_weights, item_ranges, network })
}

fn sasrec(backbone: &SasRec<Backend>, palette: Palette) -> Result<FrozenSasRec, FrozenError> {
    let Some(final_norm) = &backbone.final_norm else {
        return Err(FrozenError::Backbone { name: "post-norm SASRec" });
    };
    if backbone.positions_from() == PositionsFrom::Left {
        return Err(FrozenError::Backbone { name: "SASRec with positions from the left" });
    }
    let blocks = backbone.blocks.iter().map(|block| FrozenBlock {
        norm1: norm(&block.norm1),
        norm2: norm(&block.norm2),
        layers: block.layers().map(|l| layer(l, palette)),
    });
    Ok(FrozenSasRec {
        shape: *backbone.shape(),
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
