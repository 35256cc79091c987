//! Reading a bundle in place.

use core::fmt;
use core::ops::Range;

use super::layout::Layout;
use super::section::{LayerPart, Norm, NormPart, Section};
use super::{FINGERPRINT, Fingerprint, Floats, HEADER_LEN, MAGIC, ModelId, VERSION};
use crate::granularity::Granularity;
use crate::manifest::{
    Header, Layer, LayerKind, LayerName, Manifest, ManifestError, PositionsFrom, ProfileLayer,
};
use crate::numerics::{RANGE_MAX, RANGE_MIN};
use crate::palette::Palette;
use crate::wire;

/// A parsed bundle; borrows its bytes (a memory-mapped file, flash) and copies none.
///
/// Nothing here panics. Asked for a row, position, layer or width that the manifest does not have, accessors give an
/// empty slice, a layer without channels or NaN: a NaN spreads to the logits, where it is an error.
#[derive(Clone, Copy)]
pub struct Bundle<'a> {
    bytes: &'a [u8],
    manifest: Manifest,
    layout: Layout,
    fingerprint: Fingerprint,
}

impl<'a> Bundle<'a> {
    /// Parses a bundle and checks all of it: structure, fingerprint, ranges and that every number is finite.
    ///
    /// `bytes` is exactly the bundle. Takes time linear in its length: for data that has just arrived.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BundleError> {
        let bundle = Self::parse_trusted(bytes)?;
        if Fingerprint::of(bytes) != bundle.fingerprint {
            return Err(BundleError::Fingerprint);
        }
        bundle.check_numbers()?;
        Ok(bundle)
    }

    /// Parses a bundle that [`parse`](Self::parse) accepted before: skips the fingerprint and the numbers.
    ///
    /// For warm starts; on wrong data results are wrong, nothing worse.
    pub fn parse_trusted(bytes: &'a [u8]) -> Result<Self, BundleError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(BundleError::TooShort { needed: HEADER_LEN, found: bytes.len() });
        };
        let (words, _) = header.as_chunks::<4>();
        if words[0] != MAGIC {
            return Err(BundleError::Magic(words[0]));
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version != VERSION {
            return Err(BundleError::Version(version));
        }
        let manifest_len = u16::from_le_bytes([header[6], header[7]]);
        if usize::from(manifest_len) > wire::RECORD_MAX {
            return Err(BundleError::ManifestLength(manifest_len));
        }
        let total = u32::from_le_bytes(words[2]);
        if total as usize != bytes.len() {
            return Err(BundleError::Length { stated: total, found: bytes.len() });
        }
        let [granularity, profile, positions, reserved] = words[3];
        if reserved != 0 || profile > 1 {
            return Err(BundleError::Reserved);
        }
        let granularity = Granularity::from_byte(granularity).ok_or(BundleError::Granularity(granularity))?;
        let positions_from = PositionsFrom::from_byte(positions).ok_or(BundleError::Reserved)?;
        let mut fingerprint = Fingerprint([0; 32]);
        fingerprint.0.copy_from_slice(&header[FINGERPRINT]);

        let record = rest.get(..manifest_len.into()).ok_or(BundleError::ManifestEncoding)?;
        let header = Header { granularity, positions_from, has_profile: profile != 0 };
        let manifest = Manifest::decode(record, header).ok_or(BundleError::ManifestEncoding)?;
        let layout = Layout::behind(record.len(), &manifest).map_err(BundleError::Manifest)?;
        if layout.total() != bytes.len() {
            return Err(BundleError::Sections { needed: layout.total(), found: bytes.len() });
        }
        let bundle = Self { bytes, manifest, layout, fingerprint };
        bundle.check_gaps(HEADER_LEN + usize::from(manifest_len))?;
        Ok(bundle)
    }

    fn check_gaps(&self, manifest_end: usize) -> Result<(), BundleError> {
        let mut end = manifest_end;
        for section in Section::all(&self.manifest) {
            let place = self.place(section);
            let gap = self.bytes.get(end..place.start).unwrap_or_default();
            if let Some(i) = gap.iter().position(|&byte| byte != 0) {
                return Err(BundleError::Gap { offset: end + i });
            }
            end = place.end;
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), BundleError> {
        for section in Section::all(&self.manifest) {
            if !section.holds_codes()
                && let Some(index) = first_bad_number(section, self.floats(section))
            {
                return Err(BundleError::Number { section, index });
            }
        }
        Ok(())
    }

    /// The model's description.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The fingerprint in the header.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What plans call this model.
    pub fn model(&self) -> ModelId {
        self.fingerprint.model()
    }

    /// Master codes of an item's embedding, dim long.
    pub fn item_codes(&self, row: usize) -> &'a [i8] {
        row_of(self.codes(Section::ItemCodes), row, self.manifest.dim())
    }

    /// Range of an item's embedding.
    pub fn item_range(&self, row: usize) -> f32 {
        number(self.floats(Section::ItemRanges), row)
    }

    /// Embedding of position `position` of the window, dim long.
    pub fn position(&self, position: usize) -> Floats<'a> {
        self.floats(Section::Positions).row(position, self.manifest.dim())
    }

    /// Gamma and beta of a layer normalisation, dim long each.
    pub fn norm(&self, norm: Norm) -> (Floats<'a>, Floats<'a>) {
        let part = |part| self.floats(Section::Norm(norm, part));
        (part(NormPart::Gamma), part(NormPart::Beta))
    }

    /// Quantised layer number `index` of [`Manifest::layers`].
    pub fn layer(&self, index: usize) -> LayerView<'a> {
        let Manifest { palette, granularity, .. } = self.manifest;
        self.view(self.manifest.layer(index), palette, granularity)
    }

    /// A layer of the profile encoder; its palette is [`Palette::EIGHT_BITS`].
    pub fn profile_layer(&self, kind: ProfileLayer) -> LayerView<'a> {
        self.view(self.manifest.profile_layer(kind), Palette::EIGHT_BITS, Granularity::PerChannel)
    }

    fn view(&self, layer: Option<Layer>, palette: Palette, granularity: Granularity) -> LayerView<'a> {
        let part = |part| layer.map(|layer| Section::Layer(layer.name, part));
        let floats =
            |section: Option<Section>| section.map_or(Floats::new(&[]), |section| self.floats(section));
        LayerView {
            layer: layer.unwrap_or(NO_LAYER),
            codes: part(LayerPart::Codes).map_or(&[], |section| self.codes(section)),
            ranges: floats(part(LayerPart::Ranges)),
            biases: floats(part(LayerPart::Biases)),
            palette,
            granularity,
        }
    }

    fn codes(&self, section: Section) -> &'a [i8] {
        bytemuck::cast_slice(self.section(section))
    }

    fn floats(&self, section: Section) -> Floats<'a> {
        Floats::new(self.section(section))
    }

    fn section(&self, section: Section) -> &'a [u8] {
        self.bytes.get(self.place(section)).unwrap_or_default()
    }

    fn place(&self, section: Section) -> Range<usize> {
        self.layout.place(section).unwrap_or_default()
    }
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = format_args!("{}", self.fingerprint);
        f.debug_struct("Bundle")
            .field("manifest", &self.manifest)
            .field("fingerprint", &fingerprint)
            .finish_non_exhaustive()
    }
}

/// What stands for a layer that the model does not have.
const NO_LAYER: Layer =
    Layer { name: LayerName::Block(0, LayerKind::Query), inputs: 0, outputs: 0, first_channel: 0 };

/// A quantised layer, read in place.
#[derive(Clone, Copy)]
pub struct LayerView<'a> {
    layer: Layer,
    codes: &'a [i8],
    ranges: Floats<'a>,
    biases: Floats<'a>,
    palette: Palette,
    granularity: Granularity,
}

impl<'a> LayerView<'a> {
    /// Name and sizes.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Master codes of all channels, outputs x inputs.
    pub fn all_codes(&self) -> &'a [i8] {
        self.codes
    }

    /// Master codes of one output channel, inputs long.
    #[inline(never)]
    pub fn codes(&self, channel: usize) -> &'a [i8] {
        row_of(self.codes, channel, self.layer.inputs)
    }

    /// Ranges and biases where a channel has one of each; `None` if its widths have their own, or if the numbers do not
    /// lie as the target's f32 do.
    pub fn per_channel(&self) -> Option<[&'a [f32]; 2]> {
        match self.granularity {
            Granularity::PerChannel => Some([self.ranges.as_slice()?, self.biases.as_slice()?]),
            Granularity::PerWidth => None,
        }
    }

    /// Range of an output channel at a width of the palette above 0 bits.
    pub fn range(&self, channel: usize, bits: u8) -> f32 {
        self.number(self.ranges, Palette::widths_above_zero, channel, bits)
    }

    /// Bias of an output channel at a width of the palette.
    pub fn bias(&self, channel: usize, bits: u8) -> f32 {
        self.number(self.biases, Palette::widths, channel, bits)
    }

    fn number(&self, table: Floats<'_>, widths: fn(&Palette) -> &[u8], channel: usize, bits: u8) -> f32 {
        let index = match self.granularity {
            // Kernels ask once per channel: the usual case looks nothing up.
            Granularity::PerChannel => channel,
            granularity => {
                let widths = widths(&self.palette);
                let Some(column) = granularity.column(widths, bits) else { return f32::NAN };
                channel * granularity.per_channel(widths) + column
            }
        };
        number(table, index)
    }
}

impl fmt::Debug for LayerView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerView").field("layer", &self.layer).finish_non_exhaustive()
    }
}

fn number(floats: Floats<'_>, index: usize) -> f32 {
    floats.get(index).unwrap_or(f32::NAN)
}

/// Row `row` of a table with `columns` columns; empty if there is none.
pub(super) fn row_of<T>(table: &[T], row: usize, columns: usize) -> &[T] {
    let start = row.saturating_mul(columns);
    table.get(start..start.saturating_add(columns)).unwrap_or_default()
}

/// First number that its section does not allow.
pub(super) fn first_bad_number(section: Section, numbers: impl IntoIterator<Item = f32>) -> Option<usize> {
    let bad = |x: f32| match section.holds_ranges() {
        true => !(RANGE_MIN..=RANGE_MAX).contains(&x),
        false => !x.is_finite(),
    };
    numbers.into_iter().position(bad)
}

/// Why bytes are not a bundle.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BundleError {
    /// Not even a header.
    #[error("{found} bytes, a bundle has at least {needed}")]
    TooShort {
        /// Length of a header.
        needed: usize,
        /// Length of the bytes.
        found: usize,
    },
    /// The first bytes are not those of a bundle.
    #[error("magic {0:02x?}, expected \"CHRD\"")]
    Magic([u8; 4]),
    /// The format version is not one that this code reads.
    #[error("bundle format version {0}, this reader knows 1")]
    Version(u16),
    /// The manifest is longer than the format allows.
    #[error("manifest of {0} bytes, at most 128 are allowed")]
    ManifestLength(u16),
    /// The header states another length than the bytes have.
    #[error("{found} bytes, the header says {stated}")]
    Length {
        /// Length in the header.
        stated: u32,
        /// Length of the bytes.
        found: usize,
    },
    /// A reserved field is not 0.
    #[error("the reserved header field is not 0")]
    Reserved,
    /// The granularity is none that this code knows.
    #[error("granularity {0}, this reader knows 0 (per channel) and 1 (per width)")]
    Granularity(u8),
    /// The bytes are not those that the fingerprint was made of.
    #[error("the fingerprint does not match: the bundle is damaged")]
    Fingerprint,
    /// The manifest is not one postcard record in its shortest form.
    #[error("the manifest is malformed")]
    ManifestEncoding,
    /// The manifest does not describe a model.
    #[error("manifest: {0}")]
    Manifest(#[source] ManifestError),
    /// The sections of this manifest take another length.
    #[error("{found} bytes, the manifest's sections end at {needed}")]
    Sections {
        /// End of the last section.
        needed: usize,
        /// Length of the bytes.
        found: usize,
    },
    /// A byte between two sections is not 0.
    #[error("the gap byte at {offset} is not 0")]
    Gap {
        /// Where, from the start of the bundle.
        offset: usize,
    },
    /// A number is not finite, or a range is not in 2^-64 ..= 2^64.
    #[error("{section}: number {index} is out of range or not finite")]
    Number {
        /// The section.
        section: Section,
        /// Which number of it.
        index: usize,
    },
}
