//! Weights in the order that a tile reads.

use core::arch::aarch64::{
    int8x16_t, int32x4x4_t, vdupq_n_s8, vorrq_s8, vreinterpretq_s32_s8, vshlq_n_s8, vshlq_s8, vshrq_n_s8,
    vst4q_s32,
};

use super::super::blocks::{self, Block, STEP};
use super::super::word;
use super::memory::{codes, put_codes};

/// The level whose code is at the top of each byte: the bit below the code's, whatever it is, becomes the 1 of `2 q + 1`.
#[inline]
#[target_feature(enable = "neon")]
fn levels<const BITS: u8>(x: int8x16_t) -> int8x16_t {
    match BITS {
        4 => vorrq_s8(vshrq_n_s8::<3>(x), vdupq_n_s8(1)),
        2 => vorrq_s8(vshrq_n_s8::<5>(x), vdupq_n_s8(1)),
        _ => x,
    }
}

/// As [`Tiles::lay`](blocks::Tiles::lay).
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn channels(channels: [&[i8]; 4], bits: u8, weights: &mut [Block]) {
    match bits {
        8 => channels_of::<8>(channels, weights),
        4 => channels_of::<4>(channels, weights),
        _ => channels_of::<2>(channels, weights),
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn channels_of<const BITS: u8>(channels: [&[i8]; 4], weights: &mut [Block]) {
    let (steps, _) = weights.as_chunks_mut::<4>();
    let [a, b, c, d] = channels.map(|channel| channel.as_chunks::<STEP>().0);
    let mut done = 0;
    for ((((a, b), c), d), out) in a.iter().zip(b).zip(c).zip(d).zip(steps) {
        let place: *mut i32 = out.as_mut_ptr().cast();
        if !place.is_aligned() {
            break;
        }
        // SAFETY: sixteen codes of each channel, and four blocks, which hold as many words as the four registers.
        unsafe {
            let [a, b, c, d] =
                [a, b, c, d].map(|codes_of| vreinterpretq_s32_s8(levels::<BITS>(codes(codes_of.as_ptr()))));
            vst4q_s32(place, int32x4x4_t(a, b, c, d));
        }
        done += 1;
    }
    let rest = channels.map(|channel| channel.get(STEP * done..).unwrap_or_default());
    blocks::lay(rest, BITS, weights.get_mut(4 * done..).unwrap_or_default());
}

/// As [`Tiles::unpack`](blocks::Tiles::unpack).
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn unpack(packed: &[i8], bits: u8, weights: &mut [Block]) {
    if bits == 8 {
        return blocks::unpack(packed, bits, weights);
    }
    let (whole, _) = packed.as_chunks::<STEP>();
    let done = match bits {
        4 => {
            let (pairs, _) = weights.as_chunks_mut::<2>();
            for (bytes, [first, second]) in whole.iter().zip(&mut *pairs) {
                // SAFETY: sixteen codes and places each.
                unsafe {
                    let bytes = codes(bytes.as_ptr());
                    put_codes(first.as_mut_ptr(), levels::<4>(vshlq_n_s8::<4>(bytes)));
                    put_codes(second.as_mut_ptr(), levels::<4>(bytes));
                }
            }
            whole.len().min(pairs.len())
        }
        _ => {
            let (fours, _) = weights.as_chunks_mut::<4>();
            for (bytes, [first, second, third, fourth]) in whole.iter().zip(&mut *fours) {
                // SAFETY: as above.
                unsafe {
                    let bytes = codes(bytes.as_ptr());
                    put_codes(first.as_mut_ptr(), levels::<2>(vshlq_n_s8::<6>(bytes)));
                    put_codes(second.as_mut_ptr(), levels::<2>(vshlq_n_s8::<4>(bytes)));
                    put_codes(third.as_mut_ptr(), levels::<2>(vshlq_n_s8::<2>(bytes)));
                    put_codes(fourth.as_mut_ptr(), levels::<2>(bytes));
                }
            }
            whole.len().min(fours.len())
        }
    };
    let per_byte = 8 / usize::from(bits.max(1));
    let packed = packed.get(STEP * done..).unwrap_or_default();
    let weights = weights.get_mut(per_byte * done..).unwrap_or_default();
    // What is left of a step shares bytes with itself, a channel or two to a part: 4 or 8 bytes to a block.
    let shifts: Block = match bits {
        4 => bytemuck::cast([[4i8; 8], [0; 8]]),
        _ => bytemuck::cast([[6i8; 4], [4; 4], [2; 4], [0; 4]]),
    };
    for (i, block) in weights.iter_mut().take(per_byte * packed.len() / STEP).enumerate() {
        let words = match bits {
            4 => [2 * i, 2 * i + 1, 2 * i, 2 * i + 1],
            _ => [i; 4],
        };
        let bytes: Block = bytemuck::cast(words.map(|i| word(packed, i).to_le()));
        // SAFETY: sixteen codes and places.
        unsafe {
            let bytes = vshlq_s8(codes(bytes.as_ptr()), codes(shifts.as_ptr()));
            let levels = if bits == 4 { levels::<4>(bytes) } else { levels::<2>(bytes) };
            put_codes(block.as_mut_ptr(), levels);
        }
    }
}
