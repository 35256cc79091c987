//! Formats and arithmetic of CHORD.
//!
//! A [`Bundle`] holds the frozen model that every device shares: one 8-bit master code per weight. A [`Plan`] says,
//! with two bits per output channel, how many bits of each channel's codes one user's device reads. [`numerics`]
//! is the arithmetic that makes a server's simulation and a microcontroller agree bit for bit.
//!
//! Nothing here allocates, and no input bytes make it panic. The byte layouts are those of `docs/format.md`, the
//! arithmetic is that of `docs/numerics.md`.
#![no_std]
#![forbid(unsafe_code)]

pub mod bundle;
pub mod embedding;
mod envelope;
pub mod granularity;
pub mod manifest;
#[cfg(feature = "defmt")]
mod message;
pub mod numerics;
pub mod palette;
pub mod plan;
pub mod rows;
mod wire;

pub use bundle::{Bundle, BundleWriter};
pub use embedding::UserEmbedding;
pub use granularity::Granularity;
pub use manifest::Manifest;
pub use palette::Palette;
pub use plan::Plan;
pub use rows::ItemRows;

// Lengths are u32 on the wire and usize in memory.
const _: () = assert!(usize::BITS >= u32::BITS);
