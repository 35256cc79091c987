//! What the fuzz targets share.

use chord_plan::plan::{PlanHeader, encode, encoded_len};
use chord_plan::{Bundle, rows};
use sha2::{Digest, Sha256};

static BUNDLES: [&[u8]; 5] = [
    include_bytes!("../../plan-format/tests/golden/bundle_v1.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_caser.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_per_width.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_without_items.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_profile.chord"),
];

/// The one with a profile encoder.
const PROFILE: usize = 4;

/// Lets the profile encoder's sum take 4 items instead of 300: histories here are shorter than that. The manifest is a byte
/// shorter, and zeros follow it.
fn shorten_sum(bundle: &mut [u8]) {
    assert_eq!(bundle[64..66], [0xac, 0x02]);
    bundle[6] -= 1;
    bundle[64] = 4;
    bundle.copy_within(66..72, 65);
    bundle[71] = 0;
}

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

    /// A golden bundle with up to seven bytes changed and a fingerprint that fits.
    pub fn bundle(&mut self) -> Vec<u8> {
        let choice = usize::from(self.byte()) % BUNDLES.len();
        let mut bundle = BUNDLES[choice].to_vec();
        if choice == PROFILE {
            shorten_sum(&mut bundle);
        }
        for _ in 0..self.byte() % 8 {
            let place = usize::from(self.word()) % bundle.len();
            bundle[place] = self.byte();
        }
        seal(&mut bundle);
        bundle
    }

    /// A plan of any codes for a bundle, whose palette need not use them.
    pub fn plan(&mut self, bundle: &Bundle<'_>, sequence: u32) -> Vec<u8> {
        let channels = bundle.manifest().channels();
        let header = PlanHeader { model: bundle.model(), sequence, budget: 0, channels: channels as u32 };
        let mut plan = vec![0; encoded_len(&header).expect("a plan of this size fits in memory")];
        let codes: Vec<u8> = (0..channels).map(|_| self.byte() % 4).collect();
        encode(&header, &codes, &mut plan).expect("a plan for this model");
        plan
    }

    /// A message with the [`rows`](Self::rows) of up to 31 items for a bundle.
    pub fn message(&mut self, bundle: &Bundle<'_>) -> Vec<u8> {
        let dim = bundle.manifest().dim();
        let (codes, ranges) = self.rows(dim);
        let mut message = vec![0; rows::longest(ranges.len(), dim)];
        let len = rows::encode(bundle.model(), dim as u16, &codes, &ranges, &mut message);
        message.truncate(len.expect("the rows fit"));
        message
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
