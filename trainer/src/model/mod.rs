//! The networks: backbone, quantisers, profile encoder.

pub mod activation_quantiser;
pub mod backbone;
pub mod caser;
pub mod chord;
pub mod dropout;
pub mod initialisation;
pub mod mixed_precision;
pub(crate) mod parameters;
pub mod profile;
pub mod quantised_linear;
pub mod sasrec;
