//! On-device inference of CHORD's mixed-precision recommenders.
//!
//! An [`Engine`] reads a frozen model in place, keeps each channel's codes to the width that the user's plan says,
//! and ranks candidates in one forward pass. A [`Session`] is an engine with a history that grows; a [`Profile`] encodes
//! the user for whom plans are made. Each works in an arena that the caller lends it, never allocates and has unsafe code
//! in kernels only, and where pointers come from C (feature `c-api`). Its results are those of `docs/numerics.md`, bit for
//! bit, on every platform.
//!
//! The features `sasrec` and `caser`, both on by default, are the networks that an engine runs: a firmware for one model
//! leaves the other out. The feature `fixed-point` adds a second arithmetic, in integers, that an engine or a profile
//! encoder may be made with ([`Arithmetic`]); its results are those of `docs/fixed-point.md`.
//!
//! ```
//! # fn run(bundle: &[u8], plan: &[u8]) -> Result<(), Box<dyn core::error::Error>> {
//! use chord_plan::{Bundle, Plan};
//! use chord_runtime::{Engine, Options, Ranked, Requirements};
//!
//! let bundle = Bundle::parse(bundle)?;
//! let plan = Plan::parse(plan)?;
//! let options = Options::default();
//! let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
//! let mut engine = Engine::new(bundle, &plan, &mut arena, options)?;
//! let mut ranked = [Ranked::default(); 3];
//! for best in engine.rank(&[4, 8, 15], &[16, 23, 42], &mut ranked)? {
//!     println!("{} {}", best.item, best.logit);
//! }
//! # Ok(())
//! # }
//! ```
#![no_std]
// Kernels and the C interface alone may lift it.
#![deny(unsafe_code)]

// Kernels ask it what the processor can do.
#[cfg(feature = "std")]
extern crate std;

mod arena;
#[cfg(feature = "c-api")]
pub mod c_api;
mod caser;
mod engine;
mod error;
#[cfg(feature = "fixed-point")]
mod fixed_point;
mod held;
mod items;
pub mod kernels;
mod profile;
mod ranking;
mod requirements;
mod sasrec;
mod session;
mod span;
mod stack;
mod widths;
mod window;

pub use engine::Engine;
pub use error::{Error, List};
pub use heapless;
pub use items::{Embeddings, Items};
pub use profile::{Profile, ProfileRequirements};
pub use ranking::Ranked;
pub use requirements::{Arithmetic, Holding, Options, Requirements};
pub use session::Session;
pub use stack::Core;
pub use widths::Widths;
