//! x86-64 with AVX2, and with `vpdpbusd` (AVX-VNNI, or AVX-512 VNNI) where the processor has it.
//!
//! With the crate's feature `std` the running processor says what it has, else the build's target features.

mod attention;
mod elementary;
mod layer;
mod packed;
mod tile;
mod token;

use chord_plan::bundle::LayerView;
use chord_plan::manifest::{Activation, Layer};
use chord_plan::numerics;

use self::layer::{Operands, PANEL, PART, Weights};
use super::{Linear, Tokens, Tokenwise, scalar};
use crate::Widths;

/// The kernel for x86-64.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct X86(Extension);

/// What a processor has beyond SSE2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
            has!("avx2", "avxvnni").then_some(Extension::AvxVnni),
            has!("avx2", "avx512vl", "avx512vnni").then_some(Extension::Avx512Vnni),
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

impl X86 {
    /// A panel's codes, cut to their widths, as the tile reads them.
    fn lay(&self, codes: &[&[i8]; PANEL], masks: &[i8; PANEL], weights: &mut Weights) {
        match self.0 {
            Extension::None => tile::lay(codes, masks, 0, weights),
            // SAFETY: the other values are made for processors with AVX2.
            Extension::Avx2 => unsafe { tile::lay_avx2(codes, masks, 0, weights) },
            // SAFETY: as above.
            _ => unsafe { tile::lay_avx2(codes, masks, -128, weights) },
        }
    }

    /// As [`packed::expand`].
    fn expand(&self, bytes: &[u8], bits: u8, codes: &mut [i8; PART]) {
        match self.0 {
            Extension::None => packed::expand(bytes, bits, codes),
            // SAFETY: as above.
            _ => unsafe { expand(bytes, bits, codes) },
        }
    }

    /// The products of all rows with a part of a panel.
    fn multiply(&self, mut operands: Operands<'_>) {
        if !operands.fit() {
            return;
        }
        match self.0 {
            Extension::None => tile::plain(&mut operands),
            // SAFETY: the operands fit, and values of `Extension` are made for processors that have it.
            Extension::Avx2 => unsafe { tile::avx2(&mut operands) },
            // SAFETY: as above.
            Extension::AvxVnni => unsafe { tile::avx_vnni(&mut operands) },
            // SAFETY: as above.
            Extension::Avx512Vnni => unsafe { tile::avx512_vnni(&mut operands) },
        }
    }

    /// `sum a`.
    fn sum(&self, token: &[i8]) -> i32 {
        match self.0 {
            Extension::None => sum(token),
            // SAFETY: as above.
            _ => unsafe { sum_avx2(token) },
        }
    }
}

impl Linear for X86 {
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        layer::in_place(self, tokens, layer, widths, scratch, out);
    }

    fn pack(&self, layer: &LayerView<'_>, widths: Widths<'_>, packed: &mut [u32]) {
        packed::pack(layer, widths, packed);
    }

    fn packed_layer(
        &self,
        tokens: Tokens<'_>,
        layer: &Layer,
        packed: &[u32],
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        layer::from_packed(self, tokens, [layer.inputs, layer.outputs], packed, scratch, out);
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
}

impl Tokenwise for X86 {
    fn quantise(&self, x: &[f32], out: &mut [i8]) -> f32 {
        match self.0 {
            Extension::None => numerics::quantise_token(x, out),
            // SAFETY: as above.
            _ => unsafe { token::quantise(x, out) },
        }
    }

    fn activate(&self, activation: Activation, x: &mut [f32]) {
        match (self.0, activation) {
            (Extension::None, _) | (_, Activation::Relu) => {
                x.iter_mut().for_each(|x| *x = activation.apply(*x))
            }
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
fn expand(bytes: &[u8], bits: u8, codes: &mut [i8; PART]) {
    packed::expand(bytes, bits, codes);
}

#[target_feature(enable = "avx2")]
fn filter_row(token: &[i8], codes: &[i8], bits: u8) -> i32 {
    scalar::filter_row(token, codes, bits)
}

#[inline(always)]
fn sum(token: &[i8]) -> i32 {
    token.iter().map(|&a| i32::from(a)).sum()
}

#[target_feature(enable = "avx2")]
fn sum_avx2(token: &[i8]) -> i32 {
    sum(token)
}
