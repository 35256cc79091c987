//! The forward pass of Caser (`docs/numerics.md`, section 10).

use core::ops::Range;

use chord_plan::Bundle;
use chord_plan::bundle::LayerView;
use chord_plan::manifest::CaserShape;
use chord_plan::numerics::{channel_output, level, relu, step};

use crate::Widths;
use crate::arena::Buffers;
use crate::held::Held;
use crate::items::Items;
use crate::kernels::{Linear, Tokens};
use crate::span::{span, span_mut};

/// A model, its plan and a kernel: what a forward pass reads.
pub(crate) struct Forward<'f, K> {
    pub(crate) bundle: &'f Bundle<'f>,
    /// Its sizes.
    pub(crate) shape: &'f CaserShape,
    /// The running plan.
    pub(crate) held: &'f Held<'f>,
    pub(crate) kernel: &'f K,
}

/// The quantised item rows of the window.
#[derive(Clone, Copy)]
struct Image<'i> {
    /// Rows x dim, without the zero rows before the first item.
    codes: &'i [i8],
    scales: &'i [f32],
    dim: usize,
    /// How many zero rows there are.
    padding: usize,
}

impl Image<'_> {
    /// The items among the window's rows `rows`: number in `rows`, codes, scale.
    fn items(&self, rows: Range<usize>) -> impl Iterator<Item = (usize, &[i8], f32)> {
        (rows.start.max(self.padding)..rows.end).map_while(move |row| {
            let item = row - self.padding;
            let scale = self.scales.get(item)?;
            Some((row - rows.start, span(self.codes, item * self.dim, self.dim), *scale))
        })
    }
}

impl<K: Linear> Forward<'_, K> {
    /// Encodes a history to the quantised vector that items are scored with: its codes are the first `dim` ones of
    /// `buffers.codes`, its scale is returned.
    ///
    /// The history is not empty, fits the buffers and has only items that exist.
    pub(crate) fn encode(&self, history: impl Items, buffers: &mut Buffers<'_>) -> f32 {
        self.quantise_items(history, buffers);
        self.filter(history.len(), buffers)
    }

    /// The same for a history of `len` quantised items.
    fn filter(&self, len: usize, buffers: &mut Buffers<'_>) -> f32 {
        let (window, dim) = (usize::from(self.shape.window), usize::from(self.shape.dim));
        let image =
            Image { codes: buffers.codes, scales: buffers.scales, dim, padding: window.saturating_sub(len) };
        let mut maxima = &mut *buffers.output;
        if let Some(columns) = maxima.split_off_mut(..self.shape.vertical_features()) {
            self.vertical(window, image, columns);
        }
        let of_height = maxima.chunks_exact_mut(usize::from(self.shape.horizontal).max(1));
        for (index, maxima) in of_height.enumerate() {
            self.horizontal(index, image, maxima);
        }
        self.dense(window + 1, buffers.output, buffers.codes, buffers.scratch, buffers.token);
        buffers.token.iter_mut().for_each(|z| *z = relu(*z));
        // The features are not needed any more.
        let output = span_mut(buffers.output, 0, dim);
        self.dense(window + 2, buffers.token, buffers.codes, buffers.scratch, output);
        self.kernel.quantise(output, span_mut(buffers.codes, 0, dim))
    }

    /// Leaves the history's item rows in `buffers.codes` and `buffers.scales`, each quantised by itself.
    fn quantise_items(&self, history: impl Items, buffers: &mut Buffers<'_>) {
        let rows = buffers.codes.chunks_exact_mut(usize::from(self.shape.dim).max(1));
        for ((item, row), scale) in (0..history.len()).zip(rows).zip(&mut *buffers.scales) {
            let (codes, range) = history.row(self.bundle, item);
            let step = step(range, 8);
            for (x, &code) in buffers.token.iter_mut().zip(codes) {
                *x = f32::from(level(code, 8)) * step;
            }
            *scale = self.kernel.quantise(buffers.token, row);
        }
    }

    /// Outputs of the vertical filters, dim x filters.
    fn vertical(&self, index: usize, image: Image<'_>, out: &mut [f32]) {
        let layer = self.bundle.layer(index);
        let (widths, filters) = (self.widths(&layer), layer.layer().outputs);
        for filter in 0..filters {
            let bits = widths.bits(filter);
            let bias = layer.bias(filter, bits);
            columns(out, filter, filters).for_each(|y| *y = bias);
            if bits == 0 {
                continue;
            }
            let (codes, step) = (layer.codes(filter), step(layer.range(filter, bits), bits));
            for (row, item, scale) in image.items(0..codes.len()) {
                let level = i32::from(level(codes.get(row).copied().unwrap_or(0), bits));
                for (y, &a) in columns(out, filter, filters).zip(item) {
                    *y = channel_output(i32::from(a) * level, step, scale, *y);
                }
            }
        }
    }

    /// The largest output of each horizontal filter of a height over all places.
    fn horizontal(&self, index: usize, image: Image<'_>, maxima: &mut [f32]) {
        let layer = self.bundle.layer(index);
        let widths = self.widths(&layer);
        let height = index + 1;
        for (filter, largest) in maxima.iter_mut().enumerate() {
            let bits = widths.bits(filter);
            let bias = layer.bias(filter, bits);
            if bits == 0 {
                *largest = relu(bias);
                continue;
            }
            let (codes, step) = (layer.codes(filter), step(layer.range(filter, bits), bits));
            // Starting at 0 is the ReLU.
            *largest = 0.0;
            for place in 0..=usize::from(self.shape.window).saturating_sub(height) {
                let mut y = bias;
                for (row, item, scale) in image.items(place..place + height) {
                    let t = self.kernel.filter_row(item, span(codes, row * image.dim, image.dim), bits);
                    y = channel_output(t, step, scale, y);
                }
                // f32::max would drop a NaN.
                if y > *largest || y.is_nan() {
                    *largest = y;
                }
            }
        }
    }

    fn dense(&self, index: usize, x: &[f32], codes: &mut [i8], scratch: &mut [u32], out: &mut [f32]) {
        let codes = span_mut(codes, 0, x.len());
        let scales = &[self.kernel.quantise(x, codes)];
        self.held.layer(self.bundle, self.kernel, index, Tokens { codes, scales }, scratch, out);
    }

    fn widths(&self, layer: &LayerView<'_>) -> Widths<'_> {
        self.held.widths(self.bundle, layer.layer().first_channel)
    }
}

/// What filter number `filter` of `filters` has at each column.
pub(crate) fn columns<T>(out: &mut [T], filter: usize, filters: usize) -> impl Iterator<Item = &mut T> {
    out.iter_mut().skip(filter).step_by(filters)
}
