//! AArch64: plain NEON, `sdot` and `smmla` (i8mm), whichever the core has.
//!
//! On bare metal the build's target features say so; with the crate's feature `std` the running core does.

mod attention;
#[cfg(any(feature = "std", target_feature = "dotprod"))]
mod dot_product;
mod elementary;
mod finish;
mod lay;
#[cfg(any(feature = "std", target_feature = "i8mm"))]
mod matrix;
mod memory;
mod plain;
mod token;

use chord_plan::bundle::Floats;
use chord_plan::manifest::Activation;

use super::blocks::{self, Block, Operands, Tiles};
use super::{Tokenwise, scalar};

/// The kernel for AArch64.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Neon(Extension);

/// What a core has beyond plain NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Extension {
    None,
    #[cfg(any(feature = "std", target_feature = "dotprod"))]
    DotProduct,
    #[cfg(any(feature = "std", target_feature = "i8mm"))]
    Matrix,
}

/// Whether the running core has an extension.
#[cfg(any(feature = "std", target_feature = "dotprod", target_feature = "i8mm"))]
macro_rules! has {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        let has = std::arch::is_aarch64_feature_detected!($feature);
        #[cfg(not(feature = "std"))]
        let has = cfg!(target_feature = $feature);
        has
    }};
}

impl Neon {
    /// Every kernel of the family that this core runs, the fastest last.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Some(Extension::None),
            #[cfg(any(feature = "std", target_feature = "dotprod"))]
            has!("dotprod").then_some(Extension::DotProduct),
            #[cfg(any(feature = "std", target_feature = "i8mm"))]
            has!("i8mm").then_some(Extension::Matrix),
        ]
        .into_iter()
        .flatten()
        .map(Self)
    }

    /// What the kernel multiplies with.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Extension::None => "neon",
            #[cfg(any(feature = "std", target_feature = "dotprod"))]
            Extension::DotProduct => "sdot",
            #[cfg(any(feature = "std", target_feature = "i8mm"))]
            Extension::Matrix => "i8mm",
        }
    }
}

impl Default for Neon {
    /// The fastest that this core runs.
    fn default() -> Self {
        Self::all().last().unwrap_or(Self(Extension::None))
    }
}

impl Tiles for Neon {
    fn woven(&self) -> bool {
        #[cfg(any(feature = "std", target_feature = "i8mm"))]
        if self.0 == Extension::Matrix {
            return true;
        }
        false
    }

    fn lay_rows(&self, tokens: &[i8], inputs: usize, width: usize, rows: &mut [Block]) {
        #[cfg(any(feature = "std", target_feature = "i8mm"))]
        if self.0 == Extension::Matrix {
            return matrix::lay_rows(tokens, inputs, width, rows);
        }
        blocks::lay_rows(tokens, inputs, width, rows);
    }

    fn weave(&self, _weights: &mut [Block]) {
        #[cfg(any(feature = "std", target_feature = "i8mm"))]
        if self.0 == Extension::Matrix {
            matrix::weave(_weights);
        }
    }

    fn lay(&self, channels: [&[i8]; 4], bits: u8, weights: &mut [Block]) {
        // SAFETY: every AArch64 core that this is built for has NEON; so below.
        unsafe { lay::channels(channels, bits, weights) };
    }

    fn unpack(&self, packed: &[i8], bits: u8, weights: &mut [Block]) {
        // SAFETY: as above.
        unsafe { lay::unpack(packed, bits, weights) };
    }

    fn sum(&self, token: &[i8]) -> i32 {
        plain::sum(token)
    }

    fn multiply(&self, operands: Operands<'_>) {
        if !operands.fit(if self.woven() { 2 } else { 1 }) {
            return;
        }
        // SAFETY: the operands fit each other, and values of `Extension` are made for cores that have it.
        unsafe {
            match self.0 {
                Extension::None => plain::multiply(operands),
                #[cfg(any(feature = "std", target_feature = "dotprod"))]
                Extension::DotProduct => dot_product::multiply(operands),
                #[cfg(any(feature = "std", target_feature = "i8mm"))]
                Extension::Matrix => matrix::multiply(operands),
            }
        }
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        plain::dot::<8>(token, codes)
    }

    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        match bits {
            8 => plain::dot::<8>(token, codes),
            4 => plain::dot::<4>(token, codes),
            2 => plain::dot::<2>(token, codes),
            _ => scalar::filter_row(token, codes, bits),
        }
    }
}

impl Tokenwise for Neon {
    fn quantise(&self, x: &[f32], out: &mut [i8]) -> f32 {
        // SAFETY: every AArch64 core that this is built for has NEON; so below.
        unsafe { token::quantise(x, out) }
    }

    fn activate(&self, activation: Activation, x: &mut [f32]) {
        match activation {
            Activation::Relu => x.iter_mut().for_each(|x| *x = activation.apply(*x)),
            // SAFETY: as above.
            Activation::Gelu => unsafe { token::activate(x) },
        }
    }

    fn layer_norm(&self, x: &[f32], gamma: Floats<'_>, beta: Floats<'_>, epsilon: f32, out: &mut [f32]) {
        // SAFETY: as above.
        unsafe { token::normalise(x, gamma, beta, epsilon, out) };
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
        // SAFETY: as above.
        unsafe { attention::attention(query, keys, values, stride, scale, scores, out) };
    }
}
