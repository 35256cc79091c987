//! Caser's filters over quantised item rows (`docs/fixed-point.md`, section 9).

use chord_plan::bundle::LayerView;
use chord_plan::numerics::level;

use super::layer::{Bounds, products_shift};
use super::number::{Scale, aligned, high, shift_right};
use super::weighted::weighted;
use crate::Widths;
use crate::caser::columns;
use crate::kernels::pairs;
use crate::span::{span, span_mut};

/// The quantised item rows of the window.
#[derive(Clone, Copy)]
pub(super) struct Image<'i> {
    /// Items x dim, without the zero rows before the first item.
    codes: &'i [i8],
    /// `sum a` of each row.
    sums: &'i [i32],
    /// Mantissas of the rows' scales, in units of the largest one's.
    mantissas: &'i [u32],
    /// That unit's exponent.
    exponent: i32,
    dim: usize,
    /// How many zero rows there are.
    padding: usize,
}

impl<'i> Image<'i> {
    /// Rows with so many scales, which become mantissas; their sums go to `sums`.
    pub(super) fn new(
        codes: &'i [i8],
        scales: &'i mut [u32],
        dim: usize,
        padding: usize,
        sums: &'i mut [i32],
    ) -> Self {
        let rows = codes.chunks_exact(dim.max(1));
        sums.iter_mut().zip(rows).for_each(|(sum, row)| *sum = pairs::sum(row));
        let exponent = Scale::largest_exponent(scales);
        for word in &mut *scales {
            *word = Scale::from_word(*word).cut(exponent);
        }
        Self { codes, sums, mantissas: scales, exponent, dim, padding }
    }

    /// A scale with the rows' exponent: units do not ask for more.
    pub(super) fn scale(&self) -> Scale {
        Scale { mantissa: 0, exponent: self.exponent }
    }
}

/// A layer of filters over an image. `multipliers` of its functions have room for as many words as there are items.
pub(super) struct Filters<'f> {
    image: Image<'f>,
    layer: LayerView<'f>,
    widths: Widths<'f>,
    bounds: Bounds,
    /// Unit of the outputs, and the bits that the products' lies below.
    unit: i32,
    down: u32,
}

impl<'f> Filters<'f> {
    /// A layer whose outputs are to be in units of `2^unit`, [`Bounds::units`]' for the image's scale or a larger one:
    /// magnitudes are at most 2^30 + 2^14.
    pub(super) fn new(
        image: Image<'f>,
        layer: LayerView<'f>,
        widths: Widths<'f>,
        bounds: Bounds,
        unit: i32,
    ) -> Self {
        let (_, product) = bounds.units(layer.layer().inputs, image.scale());
        Self { image, layer, widths, bounds, unit, down: (unit - product) as u32 }
    }

    /// The largest output of each horizontal filter of a height over all places, to `maxima`. `sums` has room for as many
    /// words as the window has rows.
    pub(super) fn horizontal(
        &self,
        height: usize,
        multipliers: &mut [u32],
        sums: &mut [i32],
        maxima: &mut [i32],
    ) {
        let Image { codes: items, sums: item_sums, dim, padding, .. } = self.image;
        let places = (padding + item_sums.len() + 1).saturating_sub(height);
        let sums = span_mut(sums, 0, places);
        let shift = products_shift(self.layer.layer().inputs);
        let (up, down) = (shift.max(0), (-shift).max(0));
        for (filter, largest) in maxima.iter_mut().enumerate() {
            let (bits, output) = self.start(filter, multipliers);
            if bits == 0 {
                *largest = output(0).max(0);
                continue;
            }
            sums.fill(0);
            for (row, codes) in self.layer.codes(filter).chunks(dim.max(1)).enumerate() {
                // The items that this row of the filter lies over, from place to place.
                let first = row.saturating_sub(padding);
                let sums = sums.get_mut(first + padding - row..).unwrap_or_default();
                let of_items = item_sums.iter().zip(&*multipliers).enumerate().skip(first);
                for ((item, (&item_sum, &multiplier)), sum) in of_items.zip(sums) {
                    let product = pairs::product(span(items, item * dim, dim), item_sum, codes, bits);
                    *sum += high(product << up >> down, multiplier);
                }
            }
            // Rounding keeps the order.
            *largest = output(sums.iter().copied().max().unwrap_or(0)).max(0);
        }
    }

    /// Outputs of the vertical filters, dim x filters. `weights` has room for as many words as there are items.
    pub(super) fn vertical(&self, multipliers: &mut [u32], weights: &mut [i32], out: &mut [i32]) {
        let Image { codes: items, sums, dim, padding, .. } = self.image;
        let (inputs, filters) = (self.layer.layer().inputs, self.layer.layer().outputs);
        // 1 ..= 8 bits, for a window of up to 100.
        let down = (16 - products_shift(inputs)).max(0);
        let weights = span_mut(weights, 0, sums.len());
        for filter in 0..filters {
            let (bits, output) = self.start(filter, multipliers);
            let out = columns(out, filter, filters);
            if bits == 0 {
                out.for_each(|y| *y = output(0));
                continue;
            }
            let codes = self.layer.codes(filter).get(padding..).unwrap_or_default();
            for ((weight, &code), &multiplier) in weights.iter_mut().zip(codes).zip(&*multipliers) {
                // Below 2^24.
                *weight = (i32::from(level(code, bits)) * multiplier as i32) >> down;
            }
            weighted(weights, items, dim, dim, output, out);
        }
    }

    /// Leaves a filter's multipliers of the items' products; returns its bits and what makes an output of a sum.
    fn start(&self, filter: usize, multipliers: &mut [u32]) -> (u8, impl Fn(i32) -> i32 + use<>) {
        let bits = self.widths.bits(filter);
        let bias = aligned(self.layer.bias(filter, bits), self.unit);
        let (step, below) = match bits {
            0 => (0, 0),
            _ => self.bounds.step(self.layer.range(filter, bits), bits),
        };
        for (multiplier, &mantissa) in multipliers.iter_mut().zip(self.image.mantissas) {
            *multiplier = (step * mantissa) >> 16;
        }
        let down = below + self.down;
        (bits, move |sum| shift_right(sum, down) + bias)
    }
}
