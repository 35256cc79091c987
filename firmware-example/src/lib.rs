//! What CHORD's example applications share: start-up, messages, the request they rank, and how they fail.
#![no_std]

mod console;
#[cfg(feature = "uart")]
pub mod frames;
mod panic;
mod request;
pub mod stack;
pub mod startup;
#[cfg(feature = "uart")]
pub mod uart;

use chord_plan::bundle::BundleError;
use chord_plan::plan::PlanError;
#[cfg(target_arch = "arm")]
pub use defmt;
#[cfg(not(target_arch = "arm"))]
pub use semihosting;

pub use console::decimal;
pub use request::{
    ARENA, CANDIDATES, HISTORY, MODEL, PLAN, PLAN_BYTES, PROFILE_ARENA, SESSION_ARENA, options,
};

/// Why an application stops.
#[derive(Debug)]
#[cfg_attr(target_arch = "arm", derive(defmt::Format))]
pub enum Error {
    /// The model is damaged.
    Model(BundleError),
    /// The plan is damaged.
    Plan(PlanError),
    /// The engine refuses.
    Engine(chord_runtime::Error),
    /// The arena is in use already.
    ArenaTaken,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self, f)
    }
}

impl From<BundleError> for Error {
    fn from(error: BundleError) -> Self {
        Self::Model(error)
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<chord_runtime::Error> for Error {
    fn from(error: chord_runtime::Error) -> Self {
        Self::Engine(error)
    }
}
