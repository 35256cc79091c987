//! Names and sizes of quantised layers.

use core::fmt;

use super::profile::ProfileLayer;
use super::sasrec::LayerKind;

/// A quantised layer. Displays as `block0.query` or `horizontal1`, for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LayerName {
    /// SASRec: block, from 0, and role in it.
    Block(u8, LayerKind),
    /// Caser: the horizontal filters of this height, from 1.
    Horizontal(u8),
    /// Caser: the vertical filters.
    Vertical,
    /// Caser: the layer over all filters' outputs.
    Dense,
    /// Caser: the layer before the item embeddings.
    Output,
    /// A layer of the profile encoder; not among those of the network.
    Profile(ProfileLayer),
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block, kind) => write!(f, "block{block}.{}", kind.name()),
            Self::Horizontal(height) => write!(f, "horizontal{height}"),
            Self::Vertical => f.write_str("vertical"),
            Self::Dense => f.write_str("dense"),
            Self::Output => f.write_str("output"),
            Self::Profile(layer) => write!(f, "profile.{}", layer.name()),
        }
    }
}

/// A quantised layer and its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layer {
    /// Its name.
    pub name: LayerName,
    /// Weights per output channel.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Number of the layer's first channel in the plan.
    pub first_channel: usize,
}
