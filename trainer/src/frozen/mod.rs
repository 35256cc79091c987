//! The frozen backbone in plain numbers: what is written to a bundle, and what the simulation computes with.

mod bundle;
#[cfg(test)]
pub(crate) mod examples;
mod item_table;
mod plan;

pub use bundle::FrozenError;
pub use item_table::{quantised_item_table, range_of_row};
pub use plan::encode_plan;

use chord_plan::manifest::{Architecture, SasRecShape};
use chord_plan::{Manifest, Palette};

/// A SASRec backbone. All matrices are row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenModel {
    /// Sizes.
    pub shape: SasRecShape,
    /// Bits of plan codes.
    pub palette: Palette,
    /// Item embeddings before quantisation, [items, dim].
    pub item_weights: Vec<f32>,
    /// Range of each item row, [items].
    pub item_ranges: Vec<f32>,
    /// Position embeddings, [positions, dim].
    pub positions: Vec<f32>,
    /// Transformer blocks.
    pub blocks: Vec<FrozenBlock>,
    /// After the last block.
    pub final_norm: Norm,
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
    /// [outputs].
    pub ranges: Vec<f32>,
    /// [outputs].
    pub biases: Vec<f32>,
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
        Manifest { architecture: Architecture::SasRec(self.shape), palette: self.palette }
    }

    /// Output channels of all quantised layers.
    pub fn channels(&self) -> usize {
        self.manifest().channels()
    }
}
