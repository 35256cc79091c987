//! Caser's filters over quantised item rows (`docs/fixed-point.md`, section 9).

use chord_plan::bundle::LayerView;
use chord_plan::numerics::level;

use super::layer::{Bounds, products_shift};
use super::number::{Scale, aligned, high, shift_right};
use super::weighted::weighted;
use crate::Widths;
use crate::caser::columns;
use crate::kernels::pairs::{self, Block, ROWS};
use crate::span::{copy, span, span_mut};

/// Words that [`Image::lay`] takes for so many items.
pub(super) const fn words(items: usize, dim: usize) -> usize {
    items / ROWS * pairs::words(ROWS, dim) + pairs::words(items % ROWS, dim)
}

/// The quantised item rows of the window.
#[derive(Clone, Copy)]
pub(super) struct Image<'i> {
    /// Items x dim, without the zero rows before the first item.
    codes: &'i [i8],
    /// The same laid out for products, four rows to a block.
    words: &'i [i32],
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
    /// Lays rows with so many scales out: these become mantissas.
    pub(super) fn lay(
        codes: &'i [i8],
        scales: &'i mut [u32],
        dim: usize,
        padding: usize,
        words: &'i mut [i32],
        sums: &'i mut [i32],
    ) -> Self {
        let blocks = words.chunks_mut(pairs::words(ROWS, dim).max(1));
        let rows = codes.chunks((ROWS * dim).max(1)).zip(scales.chunks(ROWS));
        for (((codes, scales), words), sums) in rows.zip(blocks).zip(sums.chunks_mut(ROWS)) {
            copy(Block::lay(codes, scales.len(), dim, words).sums(), sums);
        }
        let exponent = Scale::largest_exponent(scales);
        for word in &mut *scales {
            *word = Scale::from_word(*word).cut(exponent);
        }
        Self { codes, words, sums, mantissas: scales, exponent, dim, padding }
    }

    /// A scale with that exponent: units do not ask for more.
    fn scale(&self) -> Scale {
        Scale { mantissa: 0, exponent: self.exponent }
    }

    /// Rows of block number `block`, laid out.
    fn block(&self, block: usize) -> Block<'_> {
        let (first, size) = (ROWS * block, pairs::words(ROWS, self.dim));
        let rows = self.mantissas.len().saturating_sub(first).min(ROWS);
        Block::laid(
            span(self.words, block * size, pairs::words(rows, self.dim)),
            rows,
            span(self.sums, first, rows),
        )
    }
}

/// A layer of filters.
#[derive(Clone, Copy)]
pub(super) struct Filters<'f> {
    pub(super) layer: LayerView<'f>,
    pub(super) widths: Widths<'f>,
    pub(super) bounds: Bounds,
}

impl Filters<'_> {
    /// The least unit that the layer's outputs can be in: magnitudes in it are at most 2^30 + 2^14.
    pub(super) fn unit(&self, image: Image<'_>) -> i32 {
        self.bounds.units(self.layer.layer().inputs, image.scale()).0
    }

    /// The largest output, in units of `2^unit`, of each horizontal filter over all places, to `maxima`. `multipliers` has
    /// room for as many words as there are items, `sums` for as many as the window has rows.
    pub(super) fn horizontal(
        &self,
        height: usize,
        image: Image<'_>,
        unit: i32,
        multipliers: &mut [u32],
        sums: &mut [i32],
        maxima: &mut [i32],
    ) {
        let window = image.padding + image.mantissas.len();
        let sums = span_mut(sums, 0, (window + 1).saturating_sub(height));
        let shift = products_shift(self.layer.layer().inputs);
        let (up, down) = (shift.max(0), (-shift).max(0));
        for (filter, largest) in maxima.iter_mut().enumerate() {
            let Some(finish) = self.finish(filter, image, unit, multipliers) else {
                *largest = self.bias(filter, unit).max(0);
                continue;
            };
            sums.fill(0);
            let bits = self.widths.bits(filter);
            for (row, codes) in self.layer.codes(filter).chunks(image.dim.max(1)).enumerate() {
                // The items that this row of the filter lies over, place by place.
                let first = row.saturating_sub(image.padding);
                let end = (row + sums.len()).saturating_sub(image.padding);
                let mut block = first / ROWS;
                while block * ROWS < end {
                    let products = image.block(block).products(codes, bits);
                    for (item, product) in
                        (block * ROWS..end).zip(products).filter(|&(item, _)| item >= first)
                    {
                        let sum = sums.get_mut(item + image.padding - row);
                        if let (Some(sum), Some(&multiplier)) = (sum, multipliers.get(item)) {
                            *sum += high(product << up >> down, multiplier);
                        }
                    }
                    block += 1;
                }
            }
            // Rounding keeps the order.
            let most = sums.iter().copied().max().unwrap_or(0);
            *largest = finish(most).max(0);
        }
    }

    /// Outputs of the vertical filters, dim x filters, in units of `2^unit`. `multipliers` and `weights` have room for as
    /// many words as there are items.
    pub(super) fn vertical(
        &self,
        image: Image<'_>,
        unit: i32,
        multipliers: &mut [u32],
        weights: &mut [i32],
        out: &mut [i32],
    ) {
        let (inputs, filters) = (self.layer.layer().inputs, self.layer.layer().outputs);
        // 1 ..= 8 bits, for a window of up to 100.
        let down = (16 - products_shift(inputs)).max(0);
        let weights = span_mut(weights, 0, image.mantissas.len());
        for filter in 0..filters {
            let Some(finish) = self.finish(filter, image, unit, multipliers) else {
                let bias = self.bias(filter, unit);
                columns(out, filter, filters).for_each(|y| *y = bias);
                continue;
            };
            let bits = self.widths.bits(filter);
            let codes = self.layer.codes(filter).get(image.padding..).unwrap_or_default();
            for ((weight, &code), &multiplier) in weights.iter_mut().zip(codes).zip(&*multipliers) {
                // Below 2^24.
                *weight = (i32::from(level(code, bits)) * multiplier as i32) >> down;
            }
            weighted(weights, image.codes, image.dim, image.dim, finish, columns(out, filter, filters));
        }
    }

    fn bias(&self, filter: usize, unit: i32) -> i32 {
        aligned(self.layer.bias(filter, self.widths.bits(filter)), unit)
    }

    /// Leaves the multipliers of the items' products; returns what makes an output of their sum. `None` for a filter of 0
    /// bits.
    fn finish(
        &self,
        filter: usize,
        image: Image<'_>,
        unit: i32,
        multipliers: &mut [u32],
    ) -> Option<impl Fn(i32) -> i32 + use<>> {
        let bits = self.widths.bits(filter);
        if bits == 0 {
            return None;
        }
        let (step, below) = self.bounds.step(self.layer.range(filter, bits), bits);
        for (multiplier, &mantissa) in multipliers.iter_mut().zip(image.mantissas) {
            *multiplier = (step * mantissa) >> 16;
        }
        let (_, product) = self.bounds.units(self.layer.layer().inputs, image.scale());
        let (down, bias) = (below + (unit - product) as u32, self.bias(filter, unit));
        Some(move |sum| shift_right(sum, down) + bias)
    }
}
