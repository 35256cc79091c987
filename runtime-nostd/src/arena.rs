//! The caller's memory, cut into buffers.

use crate::error::Error;
use crate::held::Held;
use crate::requirements::{Requirements, Sizes};

/// Scratch memory of a forward pass. T = tokens at most, R = rows at once, A = rows at once after the attention, d =
/// hidden size, F = features of Caser.
pub(crate) struct Buffers<'a> {
    /// SASRec: residual stream, T x d.
    pub(crate) residual: &'a mut [f32],
    /// SASRec: keys of the current block, T x d.
    pub(crate) keys: &'a mut [f32],
    /// SASRec: values of the current block, T x d.
    pub(crate) values: &'a mut [f32],
    /// SASRec: normalised tokens, then the attention's result, R x d. Caser: one token, d.
    pub(crate) token: &'a mut [f32],
    /// SASRec: output of the layer that ran last, A x max(d, inner). Caser: features, F.
    pub(crate) output: &'a mut [f32],
    /// SASRec: attention scores of one query, T.
    pub(crate) scores: &'a mut [f32],
    /// Scales of the quantised tokens, SASRec: R, Caser: T.
    pub(crate) scales: &'a mut [f32],
    /// What a kernel may use in a layer.
    pub(crate) scratch: &'a mut [u32],
    /// Codes of the quantised tokens, SASRec: R x d or A x max(d, inner), whichever is more, Caser: max(T x d, F).
    pub(crate) codes: &'a mut [i8],
}

impl Buffers<'_> {
    /// The same with other keys and values.
    pub(crate) fn with<'b>(&'b mut self, keys: &'b mut [f32], values: &'b mut [f32]) -> Buffers<'b> {
        Buffers {
            residual: self.residual,
            keys,
            values,
            token: self.token,
            output: self.output,
            scores: self.scores,
            scales: self.scales,
            scratch: self.scratch,
            codes: self.codes,
        }
    }
}

/// Cuts the arena.
pub(crate) fn cut<'a>(
    arena: &'a mut [u8],
    sizes: &Sizes,
    requirements: Requirements,
) -> Result<(Buffers<'a>, Held<'a>), Error> {
    let too_small = Error::ArenaTooSmall { needed: requirements.arena_bytes, given: arena.len() };
    let unaligned = bytemuck::pod_align_to::<u8, f32>(arena).0.len();
    let aligned = arena.get_mut(unaligned..).ok_or(too_small)?;
    let (floats, bytes) = aligned.split_at_mut_checked(size_of::<f32>() * sizes.floats()).ok_or(too_small)?;
    let mut floats: &mut [f32] = bytemuck::try_cast_slice_mut(floats).map_err(|_| too_small)?;
    let (scratch, bytes) = bytes.split_at_mut_checked(size_of::<u32>() * sizes.scratch).ok_or(too_small)?;
    let (starts, bytes) = bytes.split_at_mut_checked(size_of::<u32>() * sizes.starts).ok_or(too_small)?;
    let (packed, bytes) = bytes.split_at_mut_checked(size_of::<u32>() * sizes.packed).ok_or(too_small)?;
    let (codes, bytes) = bytes.split_at_mut_checked(sizes.codes).ok_or(too_small)?;
    let held = Held {
        codes: bytes.get_mut(..sizes.plan).ok_or(too_small)?,
        starts: bytemuck::try_cast_slice_mut(starts).map_err(|_| too_small)?,
        packed: bytemuck::try_cast_slice_mut(packed).map_err(|_| too_small)?,
    };
    let mut take = |len| floats.split_off_mut(..len).ok_or(too_small);
    let buffers = Buffers {
        residual: take(sizes.stream)?,
        keys: take(sizes.stream)?,
        values: take(sizes.stream)?,
        token: take(sizes.token)?,
        output: take(sizes.output)?,
        scores: take(sizes.scores)?,
        scales: take(sizes.scales)?,
        scratch: bytemuck::try_cast_slice_mut(scratch).map_err(|_| too_small)?,
        codes: bytemuck::cast_slice_mut(codes),
    };
    Ok((buffers, held))
}
