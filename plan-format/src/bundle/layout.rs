//! Where each section of a bundle lies.

use core::ops::Range;

use super::HEADER_LEN;
use super::section::{BLOCK_SECTIONS, LAYER_PARTS, Norm, NormPart, PROFILE, Section};
use crate::manifest::{Architecture, Manifest, ManifestError, SasRecShape};
use crate::wire;

/// Sections start at multiples of this many bytes.
const ALIGNMENT: u32 = 16;

/// Offsets of all sections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layout {
    manifest: Manifest,
    /// Offsets of item codes and item ranges.
    items: [u32; 2],
    rest: Rest,
    /// The profile encoder's sections are found by counting from this offset.
    profile: u32,
    total: u32,
}

/// Where to find the sections behind the item table.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rest {
    SasRec(SasRecLayout),
    /// A hundred layers of different lengths: each is found by counting from this offset.
    Caser(u32),
}

/// SASRec's blocks are alike, so one of them is written down.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SasRecLayout {
    positions: u32,
    /// Offset of block 0 and, in a block, of each section.
    blocks: u32,
    in_block: [u32; BLOCK_SECTIONS],
    block_len: u32,
    /// Offsets of the final gamma and beta.
    tail: [u32; 2],
}

/// Hands out offsets; `None` once they leave 32 bits.
struct Cursor<'a>(u32, &'a Manifest);

impl Cursor<'_> {
    #[inline(never)]
    fn place(&mut self, section: Section) -> Option<u32> {
        self.reserve(section.elements(self.1)?, section.element_len())
    }

    fn reserve(&mut self, elements: u32, element_len: u32) -> Option<u32> {
        let start = self.0.checked_next_multiple_of(ALIGNMENT)?;
        self.0 = start.checked_add(elements.checked_mul(element_len)?)?;
        Some(start)
    }

    /// Places the parts of the network's layers, the first `count` of all; offset of the last.
    fn layer_parts(&mut self, count: usize) -> Option<u32> {
        let (mut start, mut left) = (self.0, count);
        for layer in self.1.layers() {
            for part in LAYER_PARTS {
                let Some(others) = left.checked_sub(1) else { return Some(start) };
                left = others;
                start = self.reserve(part.elements(&layer, self.1)?, part.element_len())?;
            }
        }
        Some(start)
    }
}

impl Layout {
    /// Layout of a model's bundle; checks the manifest completely.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, ManifestError> {
        let mut scratch = [0; wire::RECORD_MAX];
        let record = manifest.encode(&mut scratch).ok_or(ManifestError::TooLarge)?;
        Self::behind(record, manifest)
    }

    /// As [`of`](Self::of), for a manifest that takes `record` bytes.
    pub(crate) fn behind(record: usize, manifest: &Manifest) -> Result<Self, ManifestError> {
        manifest.validate_fields()?;
        Self::at(HEADER_LEN + record, manifest).ok_or(ManifestError::TooLarge)
    }

    fn at(start: usize, manifest: &Manifest) -> Option<Self> {
        let mut cursor = Cursor(u32::try_from(start).ok()?, manifest);
        let items = [cursor.place(Section::ItemCodes)?, cursor.place(Section::ItemRanges)?];
        let rest = match manifest.architecture {
            Architecture::SasRec(shape) => Rest::SasRec(SasRecLayout::at(&mut cursor, &shape)?),
            Architecture::Caser(_) => {
                let start = cursor.0;
                cursor.layer_parts(LAYER_PARTS.len() * manifest.layer_count())?;
                Rest::Caser(start)
            }
        };
        let profile = cursor.0;
        if manifest.profile.is_some() {
            for section in PROFILE {
                cursor.place(section)?;
            }
        }
        Some(Self { manifest: *manifest, items, rest, profile, total: cursor.0 })
    }

    /// Length of the bundle in bytes.
    pub(crate) fn total(&self) -> usize {
        self.total as usize
    }

    /// Where the section lies, in bytes; `None` if the model has no such section.
    pub(crate) fn place(&self, section: Section) -> Option<Range<usize>> {
        let start = self.start(section)? as usize;
        let len = section.elements(&self.manifest)? as usize * section.element_len() as usize;
        Some(start..start + len)
    }

    fn start(&self, section: Section) -> Option<u32> {
        let number = section.index(&self.manifest)?;
        if let Some(index) = section.index_in_profile() {
            let mut cursor = Cursor(self.profile, &self.manifest);
            return PROFILE.iter().take(index + 1).map(|&section| cursor.place(section)).last()?;
        }
        let Some(index) = number.checked_sub(self.items.len()) else {
            return self.items.get(number).copied();
        };
        match (&self.rest, self.manifest.architecture) {
            (Rest::SasRec(layout), Architecture::SasRec(shape)) => layout.start(index, &shape),
            (&Rest::Caser(start), Architecture::Caser(_)) => {
                Cursor(start, &self.manifest).layer_parts(index + 1)
            }
            _ => None,
        }
    }
}

impl SasRecLayout {
    fn at(cursor: &mut Cursor<'_>, shape: &SasRecShape) -> Option<Self> {
        let positions = cursor.place(Section::Positions)?;
        let blocks = cursor.0.checked_next_multiple_of(ALIGNMENT)?;
        let mut block = Cursor(0, cursor.1);
        let mut in_block = [0; BLOCK_SECTIONS];
        for (position, offset) in in_block.iter_mut().enumerate() {
            *offset = block.place(Section::in_block(0, position)?)?;
        }
        let block_len = block.0.checked_next_multiple_of(ALIGNMENT)?;
        cursor.0 = block_len.checked_mul(shape.blocks.into())?.checked_add(blocks)?;
        let mut tail = [0; 2];
        for (offset, part) in tail.iter_mut().zip([NormPart::Gamma, NormPart::Beta]) {
            *offset = cursor.place(Section::Norm(Norm::Final, part))?;
        }
        Some(Self { positions, blocks, in_block, block_len, tail })
    }

    /// Offset of a section by its index behind the item table.
    fn start(&self, index: usize, shape: &SasRecShape) -> Option<u32> {
        let Some(index) = index.checked_sub(1) else { return Some(self.positions) };
        let (block, position) = (index / BLOCK_SECTIONS, index % BLOCK_SECTIONS);
        if block < usize::from(shape.blocks) {
            Some(self.blocks + block as u32 * self.block_len + self.in_block[position])
        } else {
            self.tail.get(position).copied()
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::granularity::Granularity;
    use crate::manifest::{Activation, CaserShape, PositionsFrom, ProfileShape};
    use crate::palette::Palette;

    pub(in crate::bundle) fn sasrec(items: u32, dim: u16, blocks: u8) -> Manifest {
        let architecture = Architecture::SasRec(SasRecShape {
            items,
            positions: 3,
            dim,
            inner: 5,
            blocks,
            heads: 1,
            activation: Activation::Gelu,
            norm_epsilon: 1e-5,
        });
        Manifest {
            architecture,
            palette: Palette::DEFAULT,
            granularity: Granularity::PerChannel,
            positions_from: PositionsFrom::Right,
            profile: None,
        }
    }

    pub(in crate::bundle) fn caser(window: u16, dim: u16) -> Manifest {
        let shape = CaserShape { items: 7, window, dim, horizontal: 3, vertical: 2 };
        Manifest { architecture: Architecture::Caser(shape), ..sasrec(1, 1, 1) }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn sections_follow_each_other_with_small_gaps() {
        use Granularity::{PerChannel, PerWidth};
        let models = [
            (sasrec(1, 1, 1), PerChannel),
            (sasrec(7, 3, 2), PerWidth),
            (sasrec(0, 3, 2), PerChannel),
            (sasrec(100, 16, 16), PerChannel),
            (caser(1, 1), PerChannel),
            (caser(4, 5), PerWidth),
            (caser(100, 3), PerChannel),
        ];
        let profile = ProfileShape { pooled: 5, features: 3, hidden: 7, norm_epsilon: 1e-5 };
        for ((manifest, granularity), profile) in
            models.into_iter().flat_map(|model| [(model, None), (model, Some(profile))])
        {
            let manifest = Manifest { granularity, profile, ..manifest };
            let layout = Layout::of(&manifest).unwrap();
            let mut end = 48;
            for section in Section::all(&manifest) {
                let place = layout.place(section).unwrap();
                assert!(place.start >= end && place.start.is_multiple_of(16), "{section}");
                assert!(end == 48 || place.start - end < 16, "{section}");
                end = place.end;
            }
            assert_eq!(end, layout.total());
        }
    }

    #[test]
    fn lengths_beyond_32_bits_are_an_error() {
        assert_eq!(Layout::of(&sasrec(1 << 24, 4096, 1)), Err(ManifestError::TooLarge));
        assert!(Layout::of(&sasrec(1 << 24, 200, 1)).is_ok());
        let shape = CaserShape { items: 9, window: 100, dim: 4096, horizontal: 250, vertical: 1 };
        let architecture = Architecture::Caser(shape);
        let manifest = Manifest { architecture, ..caser(1, 1) };
        assert_eq!(Layout::of(&manifest), Err(ManifestError::TooLarge));
    }

    #[test]
    fn sizes_of_caser_are_limited() {
        let error = |change: fn(&mut CaserShape)| {
            let mut shape = CaserShape { items: 7, window: 5, dim: 8, horizontal: 3, vertical: 2 };
            change(&mut shape);
            Layout::of(&Manifest { architecture: Architecture::Caser(shape), ..caser(1, 1) }).unwrap_err()
        };
        let field = |field, value, max| ManifestError::Field { field, value, max };
        assert_eq!(error(|shape| shape.items = (1 << 24) + 1), field("items", (1 << 24) + 1, 1 << 24));
        assert_eq!(error(|shape| shape.window = 101), field("window", 101, 100));
        assert_eq!(error(|shape| shape.dim = 4097), field("dim", 4097, 4096));
        assert_eq!(error(|shape| shape.horizontal = 0), field("horizontal", 0, 4096));
        assert_eq!(error(|shape| shape.vertical = 5000), field("vertical", 5000, 4096));
        let features = "vertical * dim + window * horizontal";
        assert_eq!(error(|shape| shape.vertical = 4095), field(features, 32775, 32768));
    }
}
