//! From log-scores and a bit budget to the code of every channel.

mod gates;
mod rate_distortion;

pub use gates::gates;
pub use rate_distortion::{Allocation, AllocationError, RateDistortion};
