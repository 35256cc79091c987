//! Inference in integers, for cores without an FPU: the arithmetic of `docs/fixed-point.md`.

mod activation;
mod attention;
pub(crate) mod caser;
mod filter;
mod layer;
mod memory;
mod model;
mod norm;
mod number;
pub(crate) mod profile;
mod row;
pub(crate) mod sasrec;
mod softmax;
mod weighted;

pub(crate) use memory::{Buffers, Lengths};
