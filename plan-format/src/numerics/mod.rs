//! The arithmetic of `docs/numerics.md`, one file per section.
//!
//! Every function is a fixed sequence of IEEE 754 binary32 operations; `exp`, `erf`, `tanh`, `sqrt`, `floor` and `rint` are
//! those of `libm` on every platform. Slices whose lengths disagree are read up to the shorter one, so that no
//! input panics; callers check their shapes.

mod activation;
mod attention;
mod linear;
mod nonlinearity;
mod norm;
mod profile;
mod sum;
mod weight;

pub use activation::{TokenScale, quantise_token, quantised};
pub use attention::{attend, exponentials, score_scale};
pub use linear::{channel_output, dot_levels, logit};
pub use nonlinearity::{gelu, relu};
pub use norm::layer_norm;
pub use profile::{feature_units, next_state, pooled_feature, sigmoid};
pub use sum::{dot, sum};
pub use weight::{MASTER_BITS, RANGE_MAX, RANGE_MIN, level, master_code, step, value};
