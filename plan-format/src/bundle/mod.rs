//! The frozen model: manifest, codes, ranges and the numbers that stay in full precision.
//!
//! Layout in `docs/format.md`, "Bundle, version 1".

mod floats;
pub(crate) mod layout;
mod reader;
mod section;
mod writer;

use core::fmt;

use sha2::{Digest, Sha256};

pub use floats::Floats;
pub use reader::{Bundle, BundleError, LayerView};
pub use section::{LayerPart, Norm, NormPart, Section};
pub use writer::{BundleWriter, WriteError};

/// First bytes of a bundle.
pub const MAGIC: [u8; 4] = *b"CHRD";

/// Version of the bundle format.
pub const VERSION: u16 = 1;

/// Bytes before the manifest.
const HEADER_LEN: usize = 48;

/// Where the fingerprint lies in the header.
const FINGERPRINT: core::ops::Range<usize> = 16..HEADER_LEN;

/// SHA-256 of a bundle without the fingerprint itself. Displays as hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The part of the fingerprint that plans carry.
    pub fn model(&self) -> ModelId {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        ModelId([a, b, c, d, e, f, g, h])
    }

    /// Fingerprint of a bundle that is at least a header long.
    fn of(bundle: &[u8]) -> Self {
        let before = bundle.get(..FINGERPRINT.start).unwrap_or_default();
        let after = bundle.get(FINGERPRINT.end..).unwrap_or_default();
        Self(Sha256::new().chain_update(before).chain_update(after).finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

/// First eight bytes of a bundle's fingerprint: says which model a plan is for. Displays as hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ModelId(pub [u8; 8]);

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

fn hexadecimal(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
