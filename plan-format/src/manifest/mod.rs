//! What a bundle's model looks like: architecture, sizes, palette and profile encoder.

mod caser;
mod layer;
mod profile;
mod sasrec;

use serde::Serialize;

use crate::bundle::layout;
use crate::granularity::Granularity;
use crate::palette::Palette;
use crate::wire::{self, Reader};

pub use caser::CaserShape;
pub use layer::{Layer, LayerName};
pub use profile::{ProfileLayer, ProfileShape};
pub use sasrec::{Activation, LayerKind, PositionsFrom, SasRecShape};

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
    /// Where SASRec counts positions from; [`Right`](PositionsFrom::Right) for other networks.
    pub positions_from: PositionsFrom,
    /// The encoder of the user's profile, if the bundle has one.
    pub profile: Option<ProfileShape>,
}

/// What the bundle's header says of the model.
pub(crate) struct Header {
    pub(crate) granularity: Granularity,
    pub(crate) positions_from: PositionsFrom,
    pub(crate) has_profile: bool,
}

/// The network as it is on the wire; the profile encoder's sizes follow. Field order is wire order.
#[derive(Serialize)]
struct Record {
    architecture: Architecture,
    palette: Palette,
}

/// The networks that a bundle can hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Architecture {
    /// Causal self-attention over the item history, pre-norm (`docs/numerics.md`, section 8).
    SasRec(SasRecShape),
    /// Convolutions over the newest items (`docs/numerics.md`, section 10).
    Caser(CaserShape),
}

impl Architecture {
    /// Item rows; 0 if they come with each request.
    pub fn items(&self) -> u32 {
        match self {
            Self::SasRec(shape) => shape.items,
            Self::Caser(shape) => shape.items,
        }
    }

    /// Size of an item's embedding.
    pub fn dim(&self) -> usize {
        match self {
            Self::SasRec(shape) => shape.dim.into(),
            Self::Caser(shape) => shape.dim.into(),
        }
    }

    /// Items of a history that the device looks at.
    pub fn window(&self) -> usize {
        match self {
            Self::SasRec(shape) => shape.positions.into(),
            Self::Caser(shape) => shape.window.into(),
        }
    }

    /// Number of quantised layers.
    fn layer_count(&self) -> usize {
        match self {
            Self::SasRec(shape) => shape.layer_count(),
            Self::Caser(shape) => shape.layer_count(),
        }
    }

    /// Where a layer stands in bundle order; `None` if the network has no such layer.
    fn layer_index(&self, name: LayerName) -> Option<usize> {
        match self {
            Self::SasRec(shape) => shape.layer_index(name),
            Self::Caser(shape) => shape.layer_index(name),
        }
    }

    /// `index` is below the number of layers.
    #[inline(never)]
    fn layer_at(&self, index: usize) -> Layer {
        match self {
            Self::SasRec(shape) => shape.layer_at(index),
            Self::Caser(shape) => shape.layer_at(index),
        }
    }

    fn channels(&self) -> usize {
        match self {
            Self::SasRec(shape) => shape.channels(),
            Self::Caser(shape) => shape.channels(),
        }
    }

    fn validate(&self) -> Result<(), ManifestError> {
        match self {
            Self::SasRec(shape) => shape.validate(),
            Self::Caser(shape) => shape.validate(),
        }
    }
}

/// Checks sizes given as name, value and largest allowed value; the smallest is 1.
fn check_sizes(sizes: &[(&'static str, u32, u32)]) -> Result<(), ManifestError> {
    match sizes.iter().find(|&&(_, value, max)| value < 1 || value > max) {
        Some(&(field, value, max)) => Err(ManifestError::Field { field, value, max }),
        None => Ok(()),
    }
}

fn check_norm_epsilon(epsilon: f32) -> Result<(), ManifestError> {
    match epsilon.is_finite() && epsilon > 0.0 {
        true => Ok(()),
        false => Err(ManifestError::NormEpsilon(epsilon)),
    }
}

impl Manifest {
    /// Item rows; 0 if the bundle has no item table and they come with each request.
    pub fn items(&self) -> u32 {
        self.architecture.items()
    }

    /// The same model in a bundle without item table.
    pub fn without_items(mut self) -> Self {
        match &mut self.architecture {
            Architecture::SasRec(shape) => shape.items = 0,
            Architecture::Caser(shape) => shape.items = 0,
        }
        self
    }

    /// Size of an item's embedding.
    pub fn dim(&self) -> usize {
        self.architecture.dim()
    }

    /// Items of a history that the device looks at.
    pub fn window(&self) -> usize {
        self.architecture.window()
    }

    /// Encodes what the header does not say at the start of `out`; returns the length. `None` if it does not fit.
    pub(crate) fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let record = Record { architecture: self.architecture, palette: self.palette };
        let network = wire::encode(&record, out)?.len();
        let profile = match &self.profile {
            Some(shape) => wire::encode(shape, out.get_mut(network..)?)?.len(),
            None => 0,
        };
        Some(network + profile)
    }

    /// Decodes what [`encode`](Self::encode) wrote, all of `bytes`; the header says the rest.
    pub(crate) fn decode(bytes: &[u8], header: Header) -> Option<Self> {
        let Header { granularity, positions_from, has_profile } = header;
        let mut reader = Reader { rest: bytes };
        let architecture = match reader.u32()? {
            0 => Architecture::SasRec(SasRecShape::read(&mut reader)?),
            1 => Architecture::Caser(CaserShape::read(&mut reader)?),
            _ => return None,
        };
        let palette = Palette::read(&mut reader)?;
        let profile = if has_profile { Some(ProfileShape::read(&mut reader)?) } else { None };
        let manifest = Self { architecture, palette, granularity, positions_from, profile };
        reader.rest.is_empty().then_some(manifest)
    }

    /// Checks every field against `docs/format.md`, and that the bundle's length fits its 32-bit field.
    pub fn validate(&self) -> Result<(), ManifestError> {
        layout::Layout::of(self).map(|_| ())
    }

    /// Checks each field by itself.
    pub(crate) fn validate_fields(&self) -> Result<(), ManifestError> {
        self.architecture.validate()?;
        if !self.palette.is_valid() {
            return Err(ManifestError::Palette(self.palette.entries()));
        }
        if self.positions_from == PositionsFrom::Left && !matches!(self.architecture, Architecture::SasRec(_))
        {
            return Err(ManifestError::Positions);
        }
        self.profile.map_or(Ok(()), |profile| profile.validate())
    }

    /// Length of the bundle in bytes.
    pub fn bundle_len(&self) -> Result<usize, ManifestError> {
        layout::Layout::of(self).map(|layout| layout.total())
    }

    /// The quantised layers in bundle order; their indices are those of [`layer`](Self::layer).
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer> + Clone + use<> {
        let architecture = self.architecture;
        (0..architecture.layer_count()).map(move |index| architecture.layer_at(index))
    }

    /// Number of quantised layers.
    pub fn layer_count(&self) -> usize {
        self.architecture.layer_count()
    }

    /// Quantised layer number `index`; `None` past the last.
    pub fn layer(&self, index: usize) -> Option<Layer> {
        (index < self.layer_count()).then(|| self.architecture.layer_at(index))
    }

    /// Where a layer stands among the [`layers`](Self::layers); `None` if the model has no such layer.
    pub fn layer_index(&self, name: LayerName) -> Option<usize> {
        self.architecture.layer_index(name)
    }

    /// A layer of the profile encoder; `None` if there is no encoder.
    pub fn profile_layer(&self, kind: ProfileLayer) -> Option<Layer> {
        Some(self.profile?.layer(kind, self.dim()))
    }

    /// Channels of all quantised layers: the number of codes in a plan.
    pub fn channels(&self) -> usize {
        self.architecture.channels()
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
    /// Positions from the left in a network without positions.
    #[error("positions from the left in a network without positions")]
    Positions,
    /// The bundle would be longer than its 32-bit length can say.
    #[error("a bundle of this model takes 4 GiB or more")]
    TooLarge,
}
