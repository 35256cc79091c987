//! A model under its plan, as a forward pass reads it.

use core::cell::Cell;

use chord_plan::Bundle;
use chord_plan::numerics::level;

use super::layer::{Bounds, layer};
use super::memory::Buffers;
use super::number::{Scale, field, mantissa};
use crate::Widths;
use crate::held::Held;
use crate::kernels::pairs::ROWS;
use crate::span::span;

/// A model, its plan, and whether its numbers so far were finite.
pub(super) struct Model<'f> {
    pub(super) bundle: &'f Bundle<'f>,
    held: &'f Held<'f>,
    finite: Cell<bool>,
}

impl<'f> Model<'f> {
    pub(super) fn new(bundle: &'f Bundle<'f>, held: &'f Held<'f>) -> Self {
        Self { bundle, held, finite: Cell::new(true) }
    }

    /// Takes note of numbers with exponent fields of up to `field`.
    pub(super) fn see(&self, field: i32) {
        if field == 255 {
            self.finite.set(false);
        }
    }

    /// The scale of the vector that items are scored with; NaN if not all numbers of the model are finite.
    pub(super) fn scored(&self, scale: Scale) -> f32 {
        if self.finite.get() { scale.to_f32() } else { f32::NAN }
    }

    /// Widths of the channels from `first_channel` on.
    pub(super) fn widths(&self, first_channel: usize) -> Widths<'f> {
        self.held.widths(self.bundle, first_channel)
    }

    /// Bounds of layer number `index` of all.
    pub(super) fn bounds(&self, index: usize, bounds: &[i16]) -> Bounds {
        let bounds = Bounds::new(*span(bounds, 2 * index, 2).first_chunk().unwrap_or(&[0, 255]));
        if !bounds.is_finite() {
            self.see(255);
        }
        bounds
    }

    /// Layer number `index` for `count` quantised tokens from row `first` on, to `buffers.output`.
    pub(super) fn layer(
        &self,
        index: usize,
        first: usize,
        count: usize,
        buffers: &mut Buffers<'_>,
    ) -> Bounds {
        let view = self.bundle.layer(index);
        let (inputs, outputs) = (view.layer().inputs, view.layer().outputs);
        let widths = self.widths(view.layer().first_channel);
        let bounds = self.bounds(index, buffers.bounds);
        let tokens = span(buffers.codes, first * inputs, count * inputs).chunks((ROWS * inputs).max(1));
        let scales = span(buffers.scales, first, count).chunks(ROWS);
        let out = buffers.output.chunks_mut((ROWS * outputs).max(1));
        for ((codes, scales), out) in tokens.zip(scales).zip(out) {
            layer(codes, scales, &view, widths, bounds, buffers.words, out);
        }
        bounds
    }
}

/// The values of an item row, magnitudes below 2^24, and their unit.
pub(super) fn item(codes: &[i8], range: f32) -> (impl Iterator<Item = i32>, i32) {
    let step = mantissa(range) as i32;
    let values = codes.iter().map(move |&code| i32::from(level(code, 8)) * step);
    (values, field(range) - 142 - 8)
}
