//! What a bundle's model looks like: architecture, sizes and palette.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::bundle::layout;
use crate::granularity::Granularity;
use crate::numerics::{gelu, relu};
use crate::palette::Palette;

/// Description of a model, as stored at the head of its bundle (`docs/format.md`, "Bundle" and "Manifest").
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Manifest {
    /// The network and its sizes.
    pub architecture: Architecture,
    /// Bits of the plan codes.
    pub palette: Palette,
    /// What has a range and a bias of its own.
    pub granularity: Granularity,
}

/// The manifest as it is on the wire; its granularity is in the bundle's header. Field order is wire order.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) architecture: Architecture,
    pub(crate) palette: Palette,
}

/// The networks that a bundle can hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Architecture {
    /// Causal self-attention over the item history, pre-norm (`docs/numerics.md`, section 8).
    SasRec(SasRecShape),
}

/// Sizes of a SASRec model. Field order is wire order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SasRecShape {
    /// Item rows, 1 ..= 2^24.
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
}

/// Activation function of the feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A quantised layer. Displays as `block0.query`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerName {
    /// Block, from 0.
    pub block: u8,
    /// Role in the block.
    pub kind: LayerKind,
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block{}.{}", self.block, self.kind.name())
    }
}

/// A quantised layer and its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layer {
    /// Block and role.
    pub name: LayerName,
    /// Weights per output channel.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Number of the layer's first channel in the plan.
    pub first_channel: usize,
}

impl Manifest {
    /// Sizes of the SASRec network.
    pub fn shape(&self) -> &SasRecShape {
        let Architecture::SasRec(shape) = &self.architecture;
        shape
    }

    pub(crate) fn record(&self) -> Record {
        Record { architecture: self.architecture, palette: self.palette }
    }

    /// Checks every field against `docs/format.md`, and that the bundle's length fits its 32-bit field.
    pub fn validate(&self) -> Result<(), ManifestError> {
        layout::Layout::of(self).map(|_| ())
    }

    /// Checks each field by itself.
    pub(crate) fn validate_fields(&self) -> Result<(), ManifestError> {
        let shape = self.shape();
        let fields = [
            ("items", shape.items, 1 << 24),
            ("positions", shape.positions.into(), 4096),
            ("dim", shape.dim.into(), 4096),
            ("inner", shape.inner.into(), 16384),
            ("blocks", shape.blocks.into(), 16),
            ("heads", shape.heads.into(), 64),
        ];
        for (field, value, max) in fields {
            if value < 1 || value > max {
                return Err(ManifestError::Field { field, value, max });
            }
        }
        if !shape.dim.is_multiple_of(shape.heads.into()) {
            return Err(ManifestError::Heads { dim: shape.dim, heads: shape.heads });
        }
        if !(shape.norm_epsilon.is_finite() && shape.norm_epsilon > 0.0) {
            return Err(ManifestError::NormEpsilon(shape.norm_epsilon));
        }
        if !self.palette.is_valid() {
            return Err(ManifestError::Palette(self.palette.entries()));
        }
        Ok(())
    }

    /// Length of the bundle in bytes.
    pub fn bundle_len(&self) -> Result<usize, ManifestError> {
        layout::Layout::of(self).map(|layout| layout.total())
    }

    /// The quantised layers in bundle order; their indices are those of [`layer`](Self::layer).
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer> + Clone + use<> {
        let manifest = *self;
        (0..manifest.layer_count()).map(move |index| manifest.layer_at(index))
    }

    /// Number of quantised layers.
    pub fn layer_count(&self) -> usize {
        LayerKind::ALL.len() * usize::from(self.shape().blocks)
    }

    /// Quantised layer number `index`; `None` past the last.
    pub fn layer(&self, index: usize) -> Option<Layer> {
        (index < self.layer_count()).then(|| self.layer_at(index))
    }

    fn layer_at(&self, index: usize) -> Layer {
        let shape = self.shape();
        let (dim, inner) = (usize::from(shape.dim), usize::from(shape.inner));
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
        Layer { name: LayerName { block: block as u8, kind }, inputs, outputs, first_channel }
    }

    fn block_channels(&self) -> usize {
        5 * usize::from(self.shape().dim) + usize::from(self.shape().inner)
    }

    /// Channels of all quantised layers: the number of codes in a plan.
    pub fn channels(&self) -> usize {
        usize::from(self.shape().blocks) * self.block_channels()
    }

    /// Ranges of one output channel: one, or one for each width above 0 bits.
    pub fn ranges_per_channel(&self) -> usize {
        self.granularity.per_channel(self.palette.widths_above_zero())
    }

    /// Biases of one output channel: one, or one for each width.
    pub fn biases_per_channel(&self) -> usize {
        self.granularity.per_channel(self.palette.widths())
    }

    /// Weights of all quantised layers.
    pub fn quantised_weights(&self) -> u64 {
        self.layers().map(|layer| layer.inputs as u64 * layer.outputs as u64).sum()
    }
}

/// Why a manifest does not describe a model.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ManifestError {
    /// A size is out of its range.
    #[error("{field} is {value}, not in 1 ..= {max}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
        /// The largest allowed value.
        max: u32,
    },
    /// The hidden size does not divide into heads.
    #[error("dim {dim} is not a multiple of {heads} heads")]
    Heads {
        /// Hidden size.
        dim: u16,
        /// Heads.
        heads: u8,
    },
    /// The epsilon of the normalisations is not a finite number above 0.
    #[error("norm_epsilon is {0}, not a finite number above 0")]
    NormEpsilon(f32),
    /// The palette is not increasing widths out of 0, 2, 4, 8 with the unused entries (255) last.
    #[error("palette {0:?} is not increasing widths out of 0, 2, 4, 8 followed by 255s")]
    Palette([u8; 4]),
    /// The bundle would be longer than its 32-bit length can say.
    #[error("a bundle of this model takes 4 GiB or more")]
    TooLarge,
}
