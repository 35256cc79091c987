//! The caller's memory, cut into buffers.

use crate::error::Error;
use crate::requirements::{Requirements, Sizes};

/// Scratch memory of a forward pass. T = tokens at most, R = rows at once, F = rows at once after the
/// attention, d = hidden size.
pub(crate) struct Buffers<'a> {
    /// Residual stream, T x d.
    pub(crate) residual: &'a mut [f32],
    /// Keys of the current block, T x d.
    pub(crate) keys: &'a mut [f32],
    /// Values of the current block, T x d.
    pub(crate) values: &'a mut [f32],
    /// Normalised tokens, then the attention's result, R x d.
    pub(crate) token: &'a mut [f32],
    /// Output of the layer that ran last, F x max(d, inner).
    pub(crate) output: &'a mut [f32],
    /// Attention scores of one query, T.
    pub(crate) scores: &'a mut [f32],
    /// Scales of the quantised tokens, R.
    pub(crate) scales: &'a mut [f32],
    /// Codes of the quantised tokens, R x d or F x max(d, inner), whichever is more.
    pub(crate) codes: &'a mut [i8],
}

/// Cuts the arena; returns the buffers and the room for the plan's packed codes.
pub(crate) fn cut<'a>(
    arena: &'a mut [u8],
    sizes: &Sizes,
    requirements: Requirements,
) -> Result<(Buffers<'a>, &'a mut [u8]), Error> {
    let too_small = Error::ArenaTooSmall { needed: requirements.arena_bytes, given: arena.len() };
    let unaligned = bytemuck::pod_align_to::<u8, f32>(arena).0.len();
    let aligned = arena.get_mut(unaligned..).ok_or(too_small)?;
    let (floats, bytes) = aligned.split_at_mut_checked(size_of::<f32>() * sizes.floats()).ok_or(too_small)?;
    let mut floats: &mut [f32] = bytemuck::try_cast_slice_mut(floats).map_err(|_| too_small)?;
    let (codes, bytes) = bytes.split_at_mut_checked(sizes.codes()).ok_or(too_small)?;
    let plan = bytes.get_mut(..sizes.plan).ok_or(too_small)?;
    let mut take = |len| floats.split_off_mut(..len).ok_or(too_small);
    let buffers = Buffers {
        residual: take(sizes.tokens * sizes.dim)?,
        keys: take(sizes.tokens * sizes.dim)?,
        values: take(sizes.tokens * sizes.dim)?,
        token: take(sizes.rows * sizes.dim)?,
        output: take(sizes.finished * sizes.widest)?,
        scores: take(sizes.tokens)?,
        scales: take(sizes.rows)?,
        codes: bytemuck::cast_slice_mut(codes),
    };
    Ok((buffers, plan))
}
