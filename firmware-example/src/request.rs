//! The request that build.rs took in: model, plan, history and candidates, in flash; and the arena to rank it in.

use chord_runtime::{Arithmetic, Holding, Options};
use static_cell::ConstStaticCell;

/// Keeps a bundle's sections, which start at multiples of 16, aligned in memory too: not needed, but faster.
#[repr(align(16))]
struct Aligned<T: ?Sized>(T);

/// The frozen model, a bundle.
pub static MODEL: &[u8] = &ALIGNED_MODEL.0;

/// All working memory of the engine.
pub static ARENA: ConstStaticCell<[u8; ARENA_BYTES]> = ConstStaticCell::new([0; ARENA_BYTES]);

/// All working memory of the profile encoder; nothing if the model has none.
pub static PROFILE_ARENA: ConstStaticCell<[u8; PROFILE_BYTES]> = ConstStaticCell::new([0; PROFILE_BYTES]);

/// What a session keeps beside the engine's memory.
pub static SESSION_ARENA: ConstStaticCell<[u8; SESSION_BYTES]> = ConstStaticCell::new([0; SESSION_BYTES]);

include!(concat!(env!("OUT_DIR"), "/request.rs"));

/// What the arena is sized for.
pub fn options() -> Options {
    Options { holding: HOLDING, arithmetic: ARITHMETIC, ..Options::default() }
}
