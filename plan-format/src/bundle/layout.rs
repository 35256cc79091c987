//! Where each section of a bundle lies.

use core::ops::Range;

use super::HEADER_LEN;
use super::section::{BLOCK_SECTIONS, Norm, NormPart, Section};
use crate::manifest::{Manifest, ManifestError};
use crate::wire;

/// Sections start at multiples of this many bytes.
const ALIGNMENT: u32 = 16;

/// Offsets of all sections. The blocks are alike, so one of them is written down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layout {
    manifest: Manifest,
    /// Offsets of item codes, item ranges, positions.
    head: [u32; 3],
    /// Offset of block 0 and, in a block, of each section.
    blocks: u32,
    in_block: [u32; BLOCK_SECTIONS],
    block_len: u32,
    /// Offsets of the final gamma and beta.
    tail: [u32; 2],
    total: u32,
}

/// Hands out offsets; `None` once they leave 32 bits.
struct Cursor<'a>(u32, &'a Manifest);

impl Cursor<'_> {
    fn place(&mut self, section: Section) -> Option<u32> {
        let start = self.0.checked_next_multiple_of(ALIGNMENT)?;
        let width = if section.holds_codes() { 1 } else { 4 };
        let len = section.elements(self.1)?.checked_mul(width)?;
        self.0 = start.checked_add(len)?;
        Some(start)
    }
}

impl Layout {
    /// Layout of a model's bundle; checks the manifest completely.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, ManifestError> {
        manifest.validate_fields()?;
        let mut scratch = [0; wire::RECORD_MAX];
        let record = wire::encode(&manifest.record(), &mut scratch).ok_or(ManifestError::TooLarge)?;
        Self::at(HEADER_LEN + record.len(), manifest).ok_or(ManifestError::TooLarge)
    }

    fn at(start: usize, manifest: &Manifest) -> Option<Self> {
        let mut cursor = Cursor(u32::try_from(start).ok()?, manifest);
        let mut head = [0; 3];
        for (offset, section) in
            head.iter_mut().zip([Section::ItemCodes, Section::ItemRanges, Section::Positions])
        {
            *offset = cursor.place(section)?;
        }
        let blocks = cursor.0.checked_next_multiple_of(ALIGNMENT)?;
        let mut block = Cursor(0, manifest);
        let mut in_block = [0; BLOCK_SECTIONS];
        for (offset, section) in in_block.iter_mut().zip(Section::of_block(0)) {
            *offset = block.place(section)?;
        }
        let block_len = block.0.checked_next_multiple_of(ALIGNMENT)?;
        cursor.0 = block_len.checked_mul(manifest.shape().blocks.into())?.checked_add(blocks)?;
        let mut tail = [0; 2];
        for (offset, part) in tail.iter_mut().zip([NormPart::Gamma, NormPart::Beta]) {
            *offset = cursor.place(Section::Norm(Norm::Final, part))?;
        }
        let total = cursor.0;
        Some(Self { manifest: *manifest, head, blocks, in_block, block_len, tail, total })
    }

    /// Length of the bundle in bytes.
    pub(crate) fn total(&self) -> usize {
        self.total as usize
    }

    /// Where the section lies, in bytes; `None` if the model has no such block.
    pub(crate) fn place(&self, section: Section) -> Option<Range<usize>> {
        let width = if section.holds_codes() { 1 } else { 4 };
        let start = self.start(section.index(self.manifest.shape().blocks)?)? as usize;
        let len = section.elements(&self.manifest)? as usize * width;
        Some(start..start + len)
    }

    /// Offset of a section by its index in the bundle.
    fn start(&self, index: usize) -> Option<u32> {
        let Some(index) = index.checked_sub(self.head.len()) else {
            return self.head.get(index).copied();
        };
        let (block, position) = (index / BLOCK_SECTIONS, index % BLOCK_SECTIONS);
        if block < usize::from(self.manifest.shape().blocks) {
            Some(self.blocks + block as u32 * self.block_len + self.in_block[position])
        } else {
            self.tail.get(position).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::granularity::Granularity;
    use crate::manifest::{Activation, Architecture, SasRecShape};
    use crate::palette::Palette;

    fn manifest(items: u32, dim: u16, blocks: u8) -> Manifest {
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
        Manifest { architecture, palette: Palette::DEFAULT, granularity: Granularity::PerChannel }
    }

    #[test]
    fn sections_follow_each_other_with_small_gaps() {
        use Granularity::{PerChannel, PerWidth};
        let sizes = [(1, 1, 1, PerChannel), (7, 3, 2, PerWidth), (100, 16, 16, PerChannel)];
        for (items, dim, blocks, granularity) in sizes {
            let layout = Layout::of(&Manifest { granularity, ..manifest(items, dim, blocks) }).unwrap();
            let mut end = 48;
            for section in Section::all(blocks) {
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
        assert_eq!(Layout::of(&manifest(1 << 24, 4096, 1)), Err(ManifestError::TooLarge));
        assert!(Layout::of(&manifest(1 << 24, 200, 1)).is_ok());
    }
}
