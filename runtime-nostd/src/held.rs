//! The running plan in the arena, and the layers as it says.

use chord_plan::{Bundle, Plan};

use crate::Widths;
use crate::kernels::{Linear, Tokens, packed_words};
use crate::span::{copy, span};

/// Room for the running plan.
pub(crate) struct Held<'a> {
    /// The plan's codes, four to a byte.
    pub(crate) codes: &'a mut [u8],
    /// Packed weights, layer after layer; empty if the model is read in place.
    pub(crate) packed: &'a mut [u32],
}

impl Held<'_> {
    /// Makes a checked plan the running one.
    pub(crate) fn hold<K: Linear>(&mut self, plan: &Plan<'_>, bundle: &Bundle<'_>, kernel: &K) {
        copy(plan.packed_codes(), self.codes);
        let mut rest = &mut *self.packed;
        for (index, layer) in bundle.manifest().layers().enumerate() {
            let Some(packed) = rest.split_off_mut(..packed_words(&layer)) else { return };
            if !packed.is_empty() {
                let widths = Widths::new(self.codes, bundle.manifest().palette, layer.first_channel);
                kernel.pack(&bundle.layer(index), widths, packed);
            }
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
        if self.packed.is_empty() {
            let widths = self.widths(bundle, layer.layer().first_channel);
            return kernel.layer(tokens, &layer, widths, scratch, out);
        }
        let start = bundle.manifest().layers().take(index).map(|layer| packed_words(&layer)).sum();
        let packed = span(self.packed, start, packed_words(layer.layer()));
        kernel.packed_layer(tokens, layer.layer(), packed, scratch, out);
    }
}
