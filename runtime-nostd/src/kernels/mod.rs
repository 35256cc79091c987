//! The integer inner loops, behind one seam: every kernel gives the same numbers, only faster.

mod scalar;

use chord_plan::bundle::LayerView;

pub use scalar::Scalar;

use crate::Widths;

/// Quantised tokens that enter a layer.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// Codes, rows x inputs (`docs/numerics.md`, section 2).
    pub codes: &'a [i8],
    /// Scale of each row.
    pub scales: &'a [f32],
}

/// Quantised linear algebra (`docs/numerics.md`, section 3).
pub trait Linear {
    /// Outputs of a layer for all rows of `tokens` to `out`, rows x outputs.
    ///
    /// A layer's weights are read from the bundle in place, at the width that `widths` gives each channel. There may
    /// be any number of rows; a kernel reads a channel's codes once and uses them for as many rows as it can.
    fn layer(&self, tokens: Tokens<'_>, layer: &LayerView<'_>, widths: Widths<'_>, out: &mut [f32]);

    /// Integer dot product of a token with 8-bit levels, for the item embeddings.
    fn dot(&self, token: &[i8], codes: &[i8]) -> i32;

    /// Integer dot product of a token with the levels of one row of a filter at 2, 4 or 8 bits; 0 at any other width.
    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        scalar::filter_row(token, codes, bits)
    }
}
