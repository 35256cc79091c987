//! Inference in integers, for cores without an FPU: the arithmetic of `docs/fixed-point.md`.

mod activation;
mod attention;
mod layer;
mod memory;
mod norm;
mod number;
mod row;
mod sasrec;
mod softmax;

use chord_plan::Manifest;
use chord_plan::manifest::Architecture;

pub(crate) use memory::{Buffers, Lengths};
pub(crate) use sasrec::Forward;

use crate::error::{Error, FloatOnly};
use crate::requirements::Holding;

/// Checks that the arithmetic has what the model and the options ask for.
pub(crate) fn check(manifest: &Manifest, holding: Holding) -> Result<(), Error> {
    match (manifest.architecture, holding) {
        (Architecture::Caser(_), _) => Err(Error::NotInFixedPoint(FloatOnly::Caser)),
        (_, Holding::Packed) => Err(Error::NotInFixedPoint(FloatOnly::Packed)),
        (Architecture::SasRec(_), Holding::InPlace) => Ok(()),
    }
}
