//! Integer products of rows with panels, in registers.

use core::arch::x86_64::{
    __m128i, __m256i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_storeu_si128, _mm_unpackhi_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm_xor_si128, _mm256_abs_epi8,
    _mm256_add_epi32, _mm256_add_ps, _mm256_blendv_ps, _mm256_castsi256_ps, _mm256_cmpeq_epi32,
    _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32, _mm256_dpbusd_epi32, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_maskload_epi32, _mm256_maskstore_epi32,
    _mm256_maskstore_ps, _mm256_mul_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_si256, _mm256_sign_epi8, _mm256_srav_epi32, _mm256_storeu_ps, _mm256_sub_epi32,
};
use core::array::from_fn;

use chord_plan::numerics::channel_output;

use super::layer::{Operands, PANEL, Weights};
use super::token::lanes;

/// Lays a panel's codes out, cut to their widths and with some bits `turned`.
pub(super) fn lay(codes: &[&[i8]; PANEL], masks: &[i8; PANEL], turned: i8, weights: &mut Weights) {
    for ((lane, codes), mask) in codes.iter().enumerate().zip(masks) {
        for (four, block) in codes.chunks(4).zip(&mut weights.0) {
            let place = block.as_chunks_mut::<4>().0.get_mut(lane).into_iter().flatten();
            place.zip(four).for_each(|(place, code)| *place = code & mask ^ turned);
        }
    }
}

/// As [`lay`].
#[target_feature(enable = "avx2")]
pub(super) fn lay_avx2(codes: &[&[i8]; PANEL], masks: &[i8; PANEL], turned: i8, weights: &mut Weights) {
    let turned = _mm_set1_epi8(turned);
    let inputs = codes.iter().map(|codes| codes.len()).min().unwrap_or(0);
    let (codes, _) = codes.as_chunks::<4>();
    let (masks, _) = masks.as_chunks::<4>();
    for (group, (codes, masks)) in codes.iter().zip(masks).enumerate() {
        let masks = masks.map(|mask| _mm_set1_epi8(mask));
        let (blocks, _) = weights.0.as_chunks_mut::<4>();
        for (start, blocks) in (0..inputs).step_by(16).zip(blocks) {
            let sixteen: [_; 4] = from_fn(|i| {
                let rest = codes[i].get(start..).unwrap_or_default();
                let sixteen = rest.first_chunk().copied().unwrap_or_else(|| {
                    let mut sixteen = [0; 16];
                    sixteen.iter_mut().zip(rest).for_each(|(place, &code)| *place = code);
                    sixteen
                });
                // SAFETY: sixteen bytes.
                let sixteen = unsafe { _mm_loadu_si128(sixteen.as_ptr().cast()) };
                _mm_xor_si128(_mm_and_si128(sixteen, masks[i]), turned)
            });
            for (block, four) in blocks.iter_mut().zip(turn(sixteen)) {
                let place = block.as_mut_ptr().wrapping_add(16 * group);
                // SAFETY: there are four groups of sixteen bytes in a block.
                unsafe { _mm_storeu_si128(place.cast(), four) };
            }
        }
    }
}

/// Rows to columns, of words.
#[inline]
#[target_feature(enable = "avx2")]
fn turn([a, b, c, d]: [__m128i; 4]) -> [__m128i; 4] {
    let [ab, cd] = [_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d)];
    let [ab_high, cd_high] = [_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d)];
    [
        _mm_unpacklo_epi64(ab, cd),
        _mm_unpackhi_epi64(ab, cd),
        _mm_unpacklo_epi64(ab_high, cd_high),
        _mm_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// In plain Rust; no bits of the weights are turned.
pub(super) fn plain(operands: &mut Operands<'_>) {
    let Operands { rows, stride, weights, sums, scales, numbers, starts, ends, channels, out, outputs } =
        operands;
    let rows = rows.chunks((*stride).max(1)).zip(out.chunks_mut((*outputs).max(1)));
    for (((row, out), &sum), &scale) in rows.zip(*sums).zip(*scales) {
        let Some(out) = out.get_mut(..*channels) else { return };
        let mut products = [0; PANEL];
        if !*starts {
            products.iter_mut().zip(&*out).for_each(|(product, y)| *product = y.to_bits().cast_signed());
        }
        for (a, block) in row.as_chunks::<4>().0.iter().zip(*weights) {
            for (product, w) in products.iter_mut().zip(block.as_chunks::<4>().0) {
                *product += a.iter().zip(w).map(|(&a, &w)| i32::from(a) * i32::from(w)).sum::<i32>();
            }
        }
        for (i, (y, product)) in out.iter_mut().zip(products).enumerate() {
            let bias = numbers.biases[i];
            *y = match numbers.shifts[i] {
                _ if !*ends => f32::from_bits(product.cast_unsigned()),
                8 => bias,
                shift => channel_output(((2 * product) >> shift) + sum, numbers.steps[i], scale, bias),
            };
        }
    }
}

/// A tile for an extension: all rows, `$at_once` at a time, and a panel in two vectors. `$add` adds to sums the products of
/// weights and a row's four inputs; `$excess` times `sum a` is what the sums have too much.
macro_rules! tile {
    ($name:ident, $features:literal, $rows:ident, $at_once:literal, $excess:literal, $add:expr) => {
        /// # Safety
        /// The operands fit; the processor has the extension.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(operands: &mut Operands<'_>) {
            let count = operands.sums.len();
            let mut row = 0;
            // SAFETY: by this function's contract; rows stay below `count`.
            unsafe {
                while row + $at_once <= count {
                    $rows::<$at_once>(operands, row);
                    row += $at_once;
                }
                while row < count {
                    $rows::<1>(operands, row);
                    row += 1;
                }
            }
        }

        /// # Safety
        /// As the function above; there are rows `first..first + R`.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn $rows<const R: usize>(operands: &mut Operands<'_>, first: usize) {
            // SAFETY: each row has four inputs for each block of weights, and places for the panel's channels.
            unsafe {
                let rows: [_; R] = from_fn(|r| operands.rows.as_ptr().add((first + r) * operands.stride));
                // Taken once: a pointer taken later ends the right of those before to be written through.
                let out = operands.out.as_mut_ptr();
                let outs: [_; R] = from_fn(|r| out.add((first + r) * operands.outputs));
                let lanes = [lanes(operands.channels), lanes(operands.channels.saturating_sub(8))];
                let mut sums = [[_mm256_setzero_si256(); 2]; R];
                if !operands.starts {
                    sums = outs.map(|out| {
                        [0, 1]
                            .map(|half| _mm256_maskload_epi32(out.wrapping_add(8 * half).cast(), lanes[half]))
                    });
                }
                for (i, block) in operands.weights.iter().enumerate() {
                    let [w, v] = [0, 32].map(|half| _mm256_loadu_si256(block.as_ptr().add(half).cast()));
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        let a = _mm256_set1_epi32(row.add(4 * i).cast::<i32>().read_unaligned());
                        *sums = [$add(sums[0], w, a), $add(sums[1], v, a)];
                    }
                }
                for (r, sums) in sums.into_iter().enumerate() {
                    for (half, sums) in sums.into_iter().enumerate() {
                        let out = outs[r].wrapping_add(8 * half);
                        if !operands.ends {
                            _mm256_maskstore_epi32(out.cast(), lanes[half], sums);
                            continue;
                        }
                        let y = outputs(operands, first + r, half, $excess, sums);
                        match operands.channels >= 8 * (half + 1) {
                            true => _mm256_storeu_ps(out, y),
                            false => _mm256_maskstore_ps(out, lanes[half], y),
                        }
                    }
                }
            }
        }
    };
}

// |w| is at most 128, and no two products leave a half's range.
tile!(avx2, "avx2", avx2_rows, 4, 0, |sum, w, a| {
    let halves = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
    _mm256_add_epi32(sum, _mm256_madd_epi16(halves, _mm256_set1_epi16(1)))
});
// Weights enter unsigned, 128 too large.
tile!(avx_vnni, "avx2,avxvnni", avx_vnni_rows, 4, 128, _mm256_dpbusd_avx_epi32);
// Not in vectors of 512 bits: they slow the rest of a ranking down by as much as they save.
tile!(avx512_vnni, "avx2,avx512vl,avx512vnni", avx512_vnni_rows, 10, 128, _mm256_dpbusd_epi32);

/// Half of a row's outputs of a panel from its sums.
///
/// # Safety
/// The operands have that row.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn outputs(
    operands: &Operands<'_>,
    row: usize,
    half: usize,
    excess: i32,
    products: __m256i,
) -> core::arch::x86_64::__m256 {
    let numbers = operands.numbers;
    // SAFETY: there is a sum and a scale for each row, and eight numbers in each half.
    unsafe {
        let sum = *operands.sums.get_unchecked(row);
        let scale = _mm256_set1_ps(*operands.scales.get_unchecked(row));
        let shifts = _mm256_loadu_si256(numbers.shifts.as_ptr().add(8 * half).cast());
        let [steps, biases] =
            [&numbers.steps, &numbers.biases].map(|x| _mm256_loadu_ps(x.as_ptr().add(8 * half)));
        let products = _mm256_sub_epi32(products, _mm256_set1_epi32(sum.wrapping_mul(excess)));
        let products = _mm256_srav_epi32(_mm256_add_epi32(products, products), shifts);
        let t = _mm256_add_epi32(products, _mm256_set1_epi32(sum));
        let y = _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(t), steps), scale);
        let none = _mm256_castsi256_ps(_mm256_cmpeq_epi32(shifts, _mm256_set1_epi32(8)));
        _mm256_blendv_ps(_mm256_add_ps(y, biases), biases, none)
    }
}
