//! The running plan in the arena, and the layers as it says.

use chord_plan::{Bundle, Plan};

use crate::Widths;
use crate::kernels::{Linear, Tokens, packed_words};
use crate::span::{copy, span, span_mut};

/// Room for the running plan.
pub(crate) struct Held<'a> {
    /// The plan's codes, four to a byte.
    pub(crate) codes: &'a mut [u8],
    /// Where each layer's packed weights start, and where the last ones end; empty if the model is read in place.
    pub(crate) starts: &'a mut [u32],
    /// Packed weights, layer after layer.
    pub(crate) packed: &'a mut [u32],
}

impl Held<'_> {
    /// Makes a checked plan the running one.
    pub(crate) fn hold<K: Linear>(&mut self, plan: &Plan<'_>, bundle: &Bundle<'_>, kernel: &K) {
        copy(plan.packed_codes(), self.codes);
        let Some((first, ends)) = self.starts.split_first_mut() else { return };
        *first = 0;
        let mut end = 0;
        for ((index, layer), to) in bundle.manifest().layers().enumerate().zip(ends) {
            let widths = Widths::new(self.codes, bundle.manifest().palette, layer.first_channel);
            let words = packed_words(&layer, widths);
            if words > 0 {
                kernel.pack(&bundle.layer(index), widths, span_mut(self.packed, end, words));
            }
            end += words;
            *to = end as u32;
        }
    }

    /// Widths of the channels from `first_channel` on.
    pub(crate) fn widths(&self, bundle: &Bundle<'_>, first_channel: usize) -> Widths<'_> {
        Widths::new(self.codes, bundle.manifest().palette, first_channel)
    }

    /// Layer number `index` for all `tokens`, as [`Linear::layer`].
    pub(crate) fn layer<K: Linear>(
        &self,
        bundle: &Bundle<'_>,
        kernel: &K,
        index: usize,
        tokens: Tokens<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        let layer = bundle.layer(index);
        let Some(&[start, end]) = self.starts.get(index..).and_then(<[u32]>::first_chunk) else {
            let widths = self.widths(bundle, layer.layer().first_channel);
            return kernel.layer(tokens, &layer, widths, scratch, out);
        };
        let packed = span(self.packed, start as usize, end.wrapping_sub(start) as usize);
        kernel.packed_layer(tokens, layer.layer(), packed, scratch, out);
    }
}
