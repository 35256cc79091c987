//! The frozen model in plain numbers: what is written to a bundle, and what the simulation computes with.

mod bundle;
#[cfg(test)]
pub(crate) mod examples;
mod item_table;
mod plan;
mod profile;
mod rows;

pub use bundle::FrozenError;
pub use item_table::{quantised_item_table, range_of_row};
pub use plan::encode_plan;
pub use profile::FrozenProfile;

use chord_plan::manifest::{Architecture, CaserShape, PositionsFrom, SasRecShape};
use chord_plan::{Granularity, Manifest, Palette};

/// A backbone, and perhaps a profile encoder. All matrices are row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenModel {
    /// Bits of plan codes.
    pub palette: Palette,
    /// Item embeddings before quantisation, [items, dim]; none in a model without item table.
    pub item_weights: Vec<f32>,
    /// Range of each item row, [items].
    pub item_ranges: Vec<f32>,
    /// What reads the item embeddings.
    pub network: FrozenNetwork,
    /// What makes the user embedding, if the device does.
    pub profile: Option<FrozenProfile>,
}

/// A backbone without its item embeddings.
#[derive(Clone, Debug, PartialEq)]
pub enum FrozenNetwork {
    /// Self-attention.
    SasRec(FrozenSasRec),
    /// Convolutions.
    Caser(FrozenCaser),
}

/// SASRec, pre-norm.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenSasRec {
    /// Sizes.
    pub shape: SasRecShape,
    /// Which end of a history has a fixed position.
    pub positions_from: PositionsFrom,
    /// Position embeddings, [positions, dim].
    pub positions: Vec<f32>,
    /// Transformer blocks.
    pub blocks: Vec<FrozenBlock>,
    /// After the last block.
    pub final_norm: Norm,
}

/// Caser.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenCaser {
    /// Sizes.
    pub shape: CaserShape,
    /// The horizontal layers by height, vertical, dense, output.
    pub layers: Vec<FrozenLayer>,
}

/// A transformer block.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenBlock {
    /// Before attention.
    pub norm1: Norm,
    /// Before the feed-forward layers.
    pub norm2: Norm,
    /// Query, key, value, output, expand, contract.
    pub layers: [FrozenLayer; 6],
}

/// A quantised layer before quantisation.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenLayer {
    /// [outputs, inputs].
    pub weights: Vec<f32>,
    /// Ranges that the master codes are made with, [outputs].
    pub ranges: Vec<f32>,
    /// The device's ranges at each width of the palette above 0 bits, narrowest first, [outputs, widths above 0 bits];
    /// in all layers or in none. Without them the device has `ranges` at every width.
    pub width_ranges: Option<Vec<f32>>,
    /// [outputs]; with `width_ranges` at each width of the palette, narrowest first, [outputs, widths].
    pub biases: Vec<f32>,
}

impl FrozenLayer {
    /// The ranges that a device reads, [outputs, ranges per channel].
    pub fn device_ranges(&self) -> &[f32] {
        self.width_ranges.as_deref().unwrap_or(&self.ranges)
    }
}

/// Layer normalisation, [dim] each.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Factors.
    pub gamma: Vec<f32>,
    /// Offsets.
    pub beta: Vec<f32>,
}

impl FrozenModel {
    /// The bundle's manifest.
    pub fn manifest(&self) -> Manifest {
        let (architecture, positions_from) = match &self.network {
            FrozenNetwork::SasRec(network) => (Architecture::SasRec(network.shape), network.positions_from),
            FrozenNetwork::Caser(network) => (Architecture::Caser(network.shape), PositionsFrom::Right),
        };
        Manifest {
            architecture,
            palette: self.palette,
            granularity: self.granularity(),
            positions_from,
            profile: self.profile.as_ref().map(|profile| profile.shape),
        }
    }

    /// The quantised layers in plan order.
    pub fn layers(&self) -> impl Iterator<Item = &FrozenLayer> {
        let (blocks, layers) = match &self.network {
            FrozenNetwork::SasRec(network) => (&network.blocks[..], &[][..]),
            FrozenNetwork::Caser(network) => (&[][..], &network.layers[..]),
        };
        blocks.iter().flat_map(|block| &block.layers).chain(layers)
    }

    fn granularity(&self) -> Granularity {
        match self.layers().any(|layer| layer.width_ranges.is_some()) {
            true => Granularity::PerWidth,
            false => Granularity::PerChannel,
        }
    }

    /// Output channels of all quantised layers.
    pub fn channels(&self) -> usize {
        self.manifest().channels()
    }
}
