//! Sizes and layers of the profile encoder.

use serde::Serialize;

use super::layer::{Layer, LayerName};
use super::{ManifestError, check_norm_epsilon, check_sizes};
use crate::wire::Reader;

/// Sizes of a profile encoder (`docs/numerics.md`, section 11). Field order is wire order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ProfileShape {
    /// Newest items in the pooled sum, 1 ..= 4096.
    pub pooled: u16,
    /// Features of an item (F), 1 ..= 4096.
    pub features: u16,
    /// Size of the user embedding (H), 1 ..= 4096.
    pub hidden: u16,
    /// Added to the variance in the layer normalisation; finite, above 0.
    pub norm_epsilon: f32,
}

impl ProfileShape {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            pooled: reader.u16()?,
            features: reader.u16()?,
            hidden: reader.u16()?,
            norm_epsilon: reader.f32()?,
        })
    }

    pub(super) fn validate(&self) -> Result<(), ManifestError> {
        check_sizes(&[
            ("pooled", self.pooled.into(), 4096),
            ("features", self.features.into(), 4096),
            ("hidden", self.hidden.into(), 4096),
        ])?;
        check_norm_epsilon(self.norm_epsilon)
    }

    /// A layer for item embeddings of size `dim`. Its channels have 8 bits and no place in a plan.
    pub(super) fn layer(&self, kind: ProfileLayer, dim: usize) -> Layer {
        let (features, hidden) = (usize::from(self.features), usize::from(self.hidden));
        let (inputs, outputs) = match kind {
            ProfileLayer::Input => (dim, features),
            ProfileLayer::InputGates => (features, 3 * hidden),
            ProfileLayer::StateGates => (hidden, 3 * hidden),
            ProfileLayer::Pooled => (features, hidden),
        };
        Layer { name: LayerName::Profile(kind), inputs, outputs, first_channel: 0 }
    }
}

/// A layer of the profile encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProfileLayer {
    /// Item embedding to features, dim to F.
    Input,
    /// Features to reset, update and candidate gates, F to 3 H.
    InputGates,
    /// State to reset, update and candidate gates, H to 3 H.
    StateGates,
    /// Pooled features to user embedding, F to H.
    Pooled,
}

impl ProfileLayer {
    /// The layers in bundle order.
    pub const ALL: [Self; 4] = [Self::Input, Self::InputGates, Self::StateGates, Self::Pooled];

    /// Its name as in `profile.input`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::InputGates => "input_gates",
            Self::StateGates => "state_gates",
            Self::Pooled => "pooled",
        }
    }
}
