//! What the fuzz targets share.

use sha2::{Digest, Sha256};

/// Makes a bundle's stated length and fingerprint fit its bytes, so that a change gets past them. Bytes too short for a
/// header stay as they are.
pub fn seal(bundle: &mut [u8]) {
    if bundle.len() < 48 {
        return;
    }
    let len = bundle.len() as u32;
    bundle[8..12].copy_from_slice(&len.to_le_bytes());
    let digest = Sha256::new().chain_update(&bundle[..16]).chain_update(&bundle[48..]).finalize();
    bundle[16..48].copy_from_slice(&digest);
}

/// Reads values off the front of bytes; zeros when there are no more.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// The next two bytes, little-endian.
    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Up to 31 item rows of a model with `items`; one in 256 does not exist.
    pub fn items(&mut self, items: u32) -> Vec<u32> {
        let len = self.byte() % 32;
        let item =
            |byte: u8| if byte == 255 { u32::MAX - u32::from(len) } else { u32::from(byte) % items.max(1) };
        (0..len).map(|_| item(self.byte())).collect()
    }

    /// Codes and ranges of up to 31 items, `dim` codes each; a range has any sign, any exponent and the upper bits of a
    /// fraction.
    pub fn rows(&mut self, dim: usize) -> (Vec<i8>, Vec<f32>) {
        let ranges: Vec<f32> =
            (0..self.byte() % 32).map(|_| f32::from_bits(u32::from(self.word()) << 16)).collect();
        ((0..ranges.len() * dim).map(|_| self.byte() as i8).collect(), ranges)
    }
}
