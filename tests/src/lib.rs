//! Tests across crates.

pub mod firmware;
#[path = "../../plan-format/tests/random_model/mod.rs"]
pub mod random_model;
pub mod trained;
