//! Sizes and layers of Caser.

use serde::Serialize;

use super::layer::{Layer, LayerName};
use super::{ManifestError, check_sizes};
use crate::wire::Reader;

/// Most inputs of the dense layer (`docs/numerics.md`, section 3).
const FEATURES_MAX: u32 = 32768;

/// Sizes of a Caser model. Field order is wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CaserShape {
    /// Item rows, at most 2^24; 0 in a bundle without item table.
    pub items: u32,
    /// Items of a history that the device looks at (L), 1 ..= 100.
    pub window: u16,
    /// Size of item embeddings and of the dense layers (d), 1 ..= 4096.
    pub dim: u16,
    /// Horizontal filters of each height 1 ..= L, 1 ..= 4096.
    pub horizontal: u16,
    /// Vertical filters, 1 ..= 4096.
    pub vertical: u16,
}

impl CaserShape {
    /// Inputs of the dense layer: every vertical filter at every column, and every horizontal filter's maximum.
    pub fn features(&self) -> usize {
        self.vertical_features() + usize::from(self.window) * usize::from(self.horizontal)
    }

    /// How many of the features are those of vertical filters; they come first.
    pub fn vertical_features(&self) -> usize {
        usize::from(self.vertical) * usize::from(self.dim)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            items: reader.u32()?,
            window: reader.u16()?,
            dim: reader.u16()?,
            horizontal: reader.u16()?,
            vertical: reader.u16()?,
        })
    }

    pub(super) fn validate(&self) -> Result<(), ManifestError> {
        check_sizes(&[
            ("items", self.items.max(1), 1 << 24),
            ("window", self.window.into(), 100),
            ("dim", self.dim.into(), 4096),
            ("horizontal", self.horizontal.into(), 4096),
            ("vertical", self.vertical.into(), 4096),
        ])?;
        check_sizes(&[("vertical * dim + window * horizontal", self.features() as u32, FEATURES_MAX)])
    }

    pub(super) fn layer_count(&self) -> usize {
        usize::from(self.window) + 3
    }

    pub(super) fn layer_index(&self, name: LayerName) -> Option<usize> {
        let window = usize::from(self.window);
        match name {
            LayerName::Horizontal(height) => {
                (1..=window).contains(&height.into()).then(|| usize::from(height) - 1)
            }
            LayerName::Vertical => Some(window),
            LayerName::Dense => Some(window + 1),
            LayerName::Output => Some(window + 2),
            LayerName::Block(..) | LayerName::Profile(_) => None,
        }
    }

    pub(crate) fn layer_at(&self, index: usize) -> Layer {
        let [window, dim, horizontal, vertical] =
            [self.window, self.dim, self.horizontal, self.vertical].map(usize::from);
        let filters = window * horizontal;
        let (name, inputs, outputs, first_channel) = match index.checked_sub(window) {
            None => {
                (LayerName::Horizontal(index as u8 + 1), (index + 1) * dim, horizontal, index * horizontal)
            }
            Some(0) => (LayerName::Vertical, window, vertical, filters),
            Some(1) => (LayerName::Dense, self.features(), dim, filters + vertical),
            Some(_) => (LayerName::Output, dim, dim, filters + vertical + dim),
        };
        Layer { name, inputs, outputs, first_channel }
    }

    pub(super) fn channels(&self) -> usize {
        let [window, dim, horizontal, vertical] =
            [self.window, self.dim, self.horizontal, self.vertical].map(usize::from);
        window * horizontal + vertical + 2 * dim
    }
}
