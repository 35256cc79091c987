//! Writing a bundle section by section.

use super::layout::Layout;
use super::reader::first_bad_number;
use super::section::{SECTIONS_MAX, Section};
use super::{FINGERPRINT, Fingerprint, HEADER_LEN, MAGIC, VERSION};
use crate::manifest::{Manifest, ManifestError};

/// Encodes a bundle into a buffer of [`Manifest::bundle_len`] bytes. Sections may come in any order, each once.
#[derive(Debug)]
pub struct BundleWriter<'b> {
    bytes: &'b mut [u8],
    manifest: Manifest,
    layout: Layout,
    /// One bit per section.
    written: [u32; SECTIONS_MAX.div_ceil(32)],
}

impl<'b> BundleWriter<'b> {
    /// Writes header and manifest. `out` must be exactly as long as the bundle.
    pub fn new(manifest: &Manifest, out: &'b mut [u8]) -> Result<Self, WriteError> {
        let layout = Layout::of(manifest).map_err(WriteError::Manifest)?;
        if out.len() != layout.total() {
            return Err(WriteError::BufferLength { needed: layout.total(), found: out.len() });
        }
        out.fill(0);
        let (header, rest) = out.split_at_mut(HEADER_LEN);
        // Fits: the layout starts the sections behind it.
        let manifest_len = manifest.encode(rest).unwrap_or(0);
        header[..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&VERSION.to_le_bytes());
        header[6..8].copy_from_slice(&(manifest_len as u16).to_le_bytes());
        header[8..12].copy_from_slice(&(layout.total() as u32).to_le_bytes());
        header[12] = manifest.granularity as u8;
        header[13] = manifest.profile.is_some().into();
        header[14] = manifest.positions_from as u8;
        Ok(Self { bytes: out, manifest: *manifest, layout, written: [0; _] })
    }

    /// The model's description.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Writes a section of signed master codes, row-major.
    pub fn codes(&mut self, section: Section, codes: &[i8]) -> Result<(), WriteError> {
        let place = self.claim(section, true, codes.len())?;
        place.copy_from_slice(bytemuck::cast_slice(codes));
        Ok(())
    }

    /// Writes a section of numbers, row-major.
    pub fn floats(&mut self, section: Section, numbers: &[f32]) -> Result<(), WriteError> {
        if !section.holds_codes()
            && let Some(index) = first_bad_number(section, numbers.iter().copied())
        {
            return Err(WriteError::Number { section, index });
        }
        let place = self.claim(section, false, numbers.len())?;
        for (bytes, number) in place.as_chunks_mut().0.iter_mut().zip(numbers) {
            *bytes = number.to_le_bytes();
        }
        Ok(())
    }

    /// The section's bytes, marked as written.
    fn claim(&mut self, section: Section, codes: bool, found: usize) -> Result<&mut [u8], WriteError> {
        let (Some(index), Some(place)) = (section.index(&self.manifest), self.layout.place(section)) else {
            return Err(WriteError::NoSuchSection { section });
        };
        if section.holds_codes() != codes {
            return Err(WriteError::ElementType { section });
        }
        let expected = place.len() / if codes { 1 } else { 4 };
        if found != expected {
            return Err(WriteError::SectionLength { section, expected, found });
        }
        let (word, bit) = (&mut self.written[index / 32], 1 << (index % 32));
        if *word & bit != 0 {
            return Err(WriteError::Repeated { section });
        }
        *word |= bit;
        Ok(&mut self.bytes[place])
    }

    /// Seals the bundle with its fingerprint, which it returns. Fails if a section is missing.
    pub fn finish(self) -> Result<Fingerprint, WriteError> {
        for (i, section) in Section::all(&self.manifest).enumerate() {
            if self.written[i / 32] & (1 << (i % 32)) == 0 {
                return Err(WriteError::Missing { section });
            }
        }
        let fingerprint = Fingerprint::of(self.bytes);
        self.bytes[FINGERPRINT].copy_from_slice(&fingerprint.0);
        Ok(fingerprint)
    }
}

/// Why a bundle cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WriteError {
    /// The manifest does not describe a model.
    #[error("manifest: {0}")]
    Manifest(#[source] ManifestError),
    /// The buffer is not as long as the bundle.
    #[error("the bundle takes {needed} bytes, the buffer has {found}")]
    BufferLength {
        /// Length of the bundle.
        needed: usize,
        /// Length of the buffer.
        found: usize,
    },
    /// The network has no such section, or fewer blocks or layers.
    #[error("the model has no section {section}")]
    NoSuchSection {
        /// The section.
        section: Section,
    },
    /// Codes for a section of numbers, or the reverse.
    #[error("{section}: codes and numbers mixed up")]
    ElementType {
        /// The section.
        section: Section,
    },
    /// The section has another number of elements.
    #[error("{section} has {expected} elements, got {found}")]
    SectionLength {
        /// The section.
        section: Section,
        /// Elements of the section.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// A number is not finite, or a range is not in 2^-64 ..= 2^64.
    #[error("{section}: number {index} is out of range or not finite")]
    Number {
        /// The section.
        section: Section,
        /// Which number of it.
        index: usize,
    },
    /// The section was written before.
    #[error("{section} was written before")]
    Repeated {
        /// The section.
        section: Section,
    },
    /// The section was not written.
    #[error("{section} was not written")]
    Missing {
        /// The section.
        section: Section,
    },
}
