//! x86-64 with AVX2, and with `vpdpbusd` (AVX-VNNI, or AVX-512 VNNI) where the processor has it.
//!
//! With the crate's feature `std` the running processor says what it has, else the build's target features.

mod attention;
mod elementary;
mod token;

use core::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_add_ps, _mm_cvtepi32_ps, _mm_loadu_ps, _mm_mul_ps, _mm_set1_epi32,
    _mm_set1_ps, _mm_storeu_ps, _mm_sub_epi32, _mm256_abs_epi8, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_dpbusd_avx_epi32, _mm256_dpbusd_epi32, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi64x,
    _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sign_epi8, _mm256_xor_si256,
};
use core::array::from_fn;

use chord_plan::manifest::Activation;
use chord_plan::numerics;

use super::blocks::{self, Block, Operands, Tiles};
use super::scalar;

/// The kernel for x86-64.
#[derive(Clone, Copy, Debug)]
pub struct X86(Extension);

/// What a processor has beyond SSE2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    None,
    Avx2,
    AvxVnni,
    Avx512Vnni,
}

/// Whether the running processor has all of the extensions.
macro_rules! has {
    ($($feature:tt),+) => {{
        #[cfg(feature = "std")]
        let has = $(std::arch::is_x86_feature_detected!($feature))&&+;
        #[cfg(not(feature = "std"))]
        let has = $(cfg!(target_feature = $feature))&&+;
        has
    }};
}

impl X86 {
    /// Every kernel of the family that this processor runs, the fastest last.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Some(Extension::None),
            has!("avx2").then_some(Extension::Avx2),
            has!("avx2", "avx512f", "avx512vl", "avx512vnni").then_some(Extension::Avx512Vnni),
            has!("avx2", "avxvnni").then_some(Extension::AvxVnni),
        ]
        .into_iter()
        .flatten()
        .map(Self)
    }

    /// What the kernel multiplies with.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Extension::None => "none",
            Extension::Avx2 => "avx2",
            Extension::AvxVnni => "avx-vnni",
            Extension::Avx512Vnni => "avx512-vnni",
        }
    }
}

impl Default for X86 {
    /// The fastest that this processor runs.
    fn default() -> Self {
        Self::all().last().unwrap_or(Self(Extension::None))
    }
}

impl Tiles for X86 {
    fn lay(&self, channels: [&[i8]; 4], bits: u8, weights: &mut [Block]) {
        match self.0 {
            Extension::None => blocks::lay(channels, bits, weights),
            // SAFETY: the other values are made for processors with AVX2.
            _ => unsafe { lay(channels, bits, weights) },
        }
    }

    fn unpack(&self, packed: &[i8], bits: u8, weights: &mut [Block]) {
        match self.0 {
            Extension::None => blocks::unpack(packed, bits, weights),
            // SAFETY: as above.
            _ => unsafe { unpack(packed, bits, weights) },
        }
    }

    fn multiply(&self, mut operands: Operands<'_>) {
        if !operands.fit(1) {
            return;
        }
        match self.0 {
            Extension::None => blocks::multiply(&mut operands),
            // SAFETY: the operands fit, and values of `Extension` are made for processors that have it.
            Extension::Avx2 => unsafe { avx2(&mut operands) },
            // SAFETY: as above.
            Extension::AvxVnni => unsafe { avx_vnni(&mut operands) },
            // SAFETY: as above.
            Extension::Avx512Vnni => unsafe { avx512_vnni(&mut operands) },
        }
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        self.filter_row(token, codes, 8)
    }

    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        match self.0 {
            Extension::None => scalar::filter_row(token, codes, bits),
            // SAFETY: as above.
            _ => unsafe { filter_row(token, codes, bits) },
        }
    }

    fn sum(&self, token: &[i8]) -> i32 {
        match self.0 {
            Extension::None => blocks::sum(token),
            // SAFETY: as above.
            _ => unsafe { sum(token) },
        }
    }

    fn quantise(&self, x: &[f32], out: &mut [i8]) -> f32 {
        match self.0 {
            Extension::None => numerics::quantise_token(x, out),
            // SAFETY: as above.
            _ => unsafe { token::quantise(x, out) },
        }
    }

    fn activate(&self, activation: Activation, x: &mut [f32]) {
        match (self.0, activation) {
            (Extension::None, _) | (_, Activation::Relu) => blocks::activate(activation, x),
            // SAFETY: as above.
            (_, Activation::Gelu) => unsafe { token::activate(x) },
        }
    }

    fn attend(
        &self,
        query: &[f32],
        keys: &[f32],
        values: &[f32],
        stride: usize,
        scale: f32,
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        match self.0 {
            Extension::None => numerics::attend(query, keys, values, stride, scale, scores, out),
            // SAFETY: as above.
            _ => unsafe { attention::attention(query, keys, values, stride, scale, scores, out) },
        }
    }
}

#[target_feature(enable = "avx2")]
fn sum(token: &[i8]) -> i32 {
    blocks::sum(token)
}

#[target_feature(enable = "avx2")]
fn lay(channels: [&[i8]; 4], bits: u8, weights: &mut [Block]) {
    blocks::lay(channels, bits, weights);
}

#[target_feature(enable = "avx2")]
fn unpack(packed: &[i8], bits: u8, weights: &mut [Block]) {
    blocks::unpack(packed, bits, weights);
}

#[target_feature(enable = "avx2")]
fn filter_row(token: &[i8], codes: &[i8], bits: u8) -> i32 {
    scalar::filter_row(token, codes, bits)
}

/// A tile for an extension: all rows of a group, `R` at a time. `$add` adds to sums the products of weights and rows,
/// four inputs to a word; `$sum` times `sum a` is what the sums have too much.
macro_rules! tile {
    ($name:ident, $features:literal, $rows:ident, $sum:literal, $weights:expr, $add:expr) => {
        /// # Safety
        /// The operands fit; the processor has the extension.
        #[target_feature(enable = $features)]
        unsafe fn $name(operands: &mut Operands<'_>) {
            let count = operands.sums.len();
            let mut row = 0;
            // SAFETY: by this function's contract; rows stay below `count`.
            unsafe {
                while row + 4 <= count {
                    $rows::<4>(operands, row);
                    row += 4;
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
            let width = operands.width;
            let mut sums = [_mm256_setzero_si256(); R];
            // SAFETY: `width` codes from each row's start and `4 * width` of the weights are there, and `width` is a
            // multiple of 8.
            unsafe {
                let weights = operands.weights.as_ptr().cast::<i8>();
                let rows: [_; R] = from_fn(|r| operands.rows.as_ptr().cast::<i8>().add((first + r) * width));
                for i in 0..width / 8 {
                    let w = $weights(_mm256_loadu_si256(weights.add(32 * i).cast()));
                    for (sum, row) in sums.iter_mut().zip(rows) {
                        let a = eight_inputs(row.add(8 * i).cast::<i64>().read_unaligned());
                        *sum = $add(*sum, w, a);
                    }
                }
                for (r, sums) in sums.into_iter().enumerate() {
                    let sums =
                        _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
                    finish(operands, first + r, $sum, sums);
                }
            }
        }
    };
}

// Sums of signed products: |w| is at most 128, and no two products leave a half's range.
tile!(avx2, "avx2", avx2_rows, 0, |w| [_mm256_abs_epi8(w), w], |sum, [magnitude, w]: [__m256i; 2], a| {
    let halves = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(a, w));
    _mm256_add_epi32(sum, _mm256_madd_epi16(halves, _mm256_set1_epi16(1)))
});
// Weights enter 128 too large, unsigned.
tile!(avx_vnni, "avx2,avxvnni", avx_vnni_rows, 128, unsigned, _mm256_dpbusd_avx_epi32);
tile!(avx512_vnni, "avx2,avx512vnni,avx512vl", avx512_vnni_rows, 128, unsigned, _mm256_dpbusd_epi32);

#[inline]
#[target_feature(enable = "avx2")]
fn unsigned(w: __m256i) -> __m256i {
    _mm256_xor_si256(w, _mm256_set1_epi8(-128))
}

/// The first four inputs for each of four channels, then the next four.
#[inline]
#[target_feature(enable = "avx2")]
fn eight_inputs(eight: i64) -> __m256i {
    let order = _mm256_setr_epi8(
        0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7,
    );
    _mm256_shuffle_epi8(_mm256_set1_epi64x(eight), order)
}

/// Writes a row's outputs from sums of products.
///
/// # Safety
/// The operands fit and have that row.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn finish(operands: &mut Operands<'_>, row: usize, excess: i32, products: __m128i) {
    let adjacent = operands.adjacent();
    let Operands { sums, scales, codes, numbers: [offsets, steps, biases], outputs, out, .. } = operands;
    // SAFETY: there is a sum and a scale for the row, and `outputs` floats of its own; every offset is below that.
    unsafe {
        let sum = *sums.get_unchecked(row);
        let t = match *codes {
            true => _mm_add_epi32(
                _mm_add_epi32(products, products),
                _mm_set1_epi32(sum.wrapping_mul(1 - 2 * excess)),
            ),
            false => _mm_sub_epi32(products, _mm_set1_epi32(sum.wrapping_mul(excess))),
        };
        let y = _mm_mul_ps(_mm_cvtepi32_ps(t), _mm_loadu_ps(steps.as_ptr().cast()));
        let y = _mm_mul_ps(y, _mm_set1_ps(*scales.get_unchecked(row)));
        let y = _mm_add_ps(y, _mm_loadu_ps(biases.as_ptr().cast()));
        let out = out.as_mut_ptr().add(row * *outputs);
        if adjacent {
            return _mm_storeu_ps(out.add(offsets[0] as usize / 4), y);
        }
        let mut four = [0.0; 4];
        _mm_storeu_ps(four.as_mut_ptr(), y);
        for (&offset, y) in offsets.iter().zip(four) {
            *out.add(offset as usize / 4) = y;
        }
    }
}
