//! Sizes and layers of SASRec.

use serde::Serialize;

use super::layer::{Layer, LayerName};
use super::{ManifestError, check_norm_epsilon, check_sizes};
use crate::numerics::{gelu, relu};
use crate::wire::Reader;

/// Sizes of a SASRec model. Field order is wire order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SasRecShape {
    /// Item rows, at most 2^24; 0 in a bundle without item table.
    pub items: u32,
    /// Items of a history that the device looks at (L), 1 ..= 4096.
    pub positions: u16,
    /// Hidden size (d), 1 ..= 4096, a multiple of `heads`.
    pub dim: u16,
    /// Feed-forward size, 1 ..= 16384.
    pub inner: u16,
    /// Transformer blocks, 1 ..= 16.
    pub blocks: u8,
    /// Attention heads, 1 ..= 64.
    pub heads: u8,
    /// Activation function of the feed-forward layers.
    pub activation: Activation,
    /// Added to the variance in every layer normalisation; finite, above 0.
    pub norm_epsilon: f32,
}

impl SasRecShape {
    /// Numbers per attention head.
    pub fn head_dim(&self) -> usize {
        usize::from(self.dim / u16::from(self.heads).max(1))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            items: reader.u32()?,
            positions: reader.u16()?,
            dim: reader.u16()?,
            inner: reader.u16()?,
            blocks: reader.u8()?,
            heads: reader.u8()?,
            activation: match reader.u32()? {
                0 => Activation::Relu,
                1 => Activation::Gelu,
                _ => return None,
            },
            norm_epsilon: reader.f32()?,
        })
    }

    pub(super) fn validate(&self) -> Result<(), ManifestError> {
        check_sizes(&[
            ("items", self.items.max(1), 1 << 24),
            ("positions", self.positions.into(), 4096),
            ("dim", self.dim.into(), 4096),
            ("inner", self.inner.into(), 16384),
            ("blocks", self.blocks.into(), 16),
            ("heads", self.heads.into(), 64),
        ])?;
        if !self.dim.is_multiple_of(self.heads.into()) {
            return Err(ManifestError::Heads { dim: self.dim, heads: self.heads });
        }
        check_norm_epsilon(self.norm_epsilon)
    }

    pub(super) fn layer_count(&self) -> usize {
        LayerKind::ALL.len() * usize::from(self.blocks)
    }

    pub(super) fn layer_index(&self, name: LayerName) -> Option<usize> {
        match name {
            LayerName::Block(block, kind) if block < self.blocks => {
                Some(LayerKind::ALL.len() * usize::from(block) + kind as usize)
            }
            _ => None,
        }
    }

    pub(super) fn layer_at(&self, index: usize) -> Layer {
        let (dim, inner) = (usize::from(self.dim), usize::from(self.inner));
        let (block, position) = (index / LayerKind::ALL.len(), index % LayerKind::ALL.len());
        let kind = LayerKind::ALL[position];
        let (inputs, outputs) = match kind {
            LayerKind::Expand => (dim, inner),
            LayerKind::Contract => (inner, dim),
            _ => (dim, dim),
        };
        let before = match kind {
            LayerKind::Contract => 4 * dim + inner,
            _ => position * dim,
        };
        let first_channel = block * self.block_channels() + before;
        Layer { name: LayerName::Block(block as u8, kind), inputs, outputs, first_channel }
    }

    fn block_channels(&self) -> usize {
        5 * usize::from(self.dim) + usize::from(self.inner)
    }

    pub(super) fn channels(&self) -> usize {
        usize::from(self.blocks) * self.block_channels()
    }
}

/// Which end of a history has a fixed position embedding. Stored as one byte, 0 or 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum PositionsFrom {
    /// The newest item has the last position.
    #[default]
    Right,
    /// The oldest item in the window has the first position.
    Left,
}

impl PositionsFrom {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Right),
            1 => Some(Self::Left),
            _ => None,
        }
    }
}

/// Activation function of the feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// GELU with the error function.
    Gelu,
}

impl Activation {
    /// The function at `x` (`docs/numerics.md`, section 7).
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Relu => relu(x),
            Self::Gelu => gelu(x),
        }
    }
}

/// A quantised layer's role in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LayerKind {
    /// Attention queries, dim to dim.
    Query,
    /// Attention keys, dim to dim.
    Key,
    /// Attention values, dim to dim.
    Value,
    /// Output of the attention, dim to dim.
    Output,
    /// First feed-forward layer, dim to inner.
    Expand,
    /// Second feed-forward layer, inner to dim.
    Contract,
}

impl LayerKind {
    /// The layers of a block in bundle order.
    pub const ALL: [Self; 6] =
        [Self::Query, Self::Key, Self::Value, Self::Output, Self::Expand, Self::Contract];

    /// Its name as in `block0.query`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::Output => "output",
            Self::Expand => "expand",
            Self::Contract => "contract",
        }
    }
}
