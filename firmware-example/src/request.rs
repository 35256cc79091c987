//! The request that build.rs took in: model, plan, history and candidates, in flash.

/// Keeps a bundle's sections, which start at multiples of 16, aligned in memory too: not needed, but faster.
#[repr(align(16))]
pub(crate) struct Aligned<T: ?Sized>(pub(crate) T);

include!(concat!(env!("OUT_DIR"), "/request.rs"));
