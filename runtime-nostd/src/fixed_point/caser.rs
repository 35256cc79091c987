//! Caser's forward pass in fixed point (`docs/fixed-point.md`, section 9).

use chord_plan::Bundle;
use chord_plan::manifest::{Activation, CaserShape};

use super::activation::activate;
use super::filter::{Filters, Image};
use super::memory::Buffers;
use super::model::{Model, item};
use super::number::{Scale, field};
use crate::held::Held;
use crate::items::Items;
use crate::span::{span, span_mut};

/// A model and its plan: what a forward pass reads.
pub(crate) struct Forward<'f> {
    model: Model<'f>,
    shape: &'f CaserShape,
}

impl<'f> Forward<'f> {
    pub(crate) fn new(bundle: &'f Bundle<'f>, shape: &'f CaserShape, held: &'f Held<'f>) -> Self {
        Self { model: Model::new(bundle, held), shape }
    }

    /// Encodes a history to the quantised vector that items are scored with: its codes are the first `dim` ones of
    /// `buffers.codes`, its scale is returned; NaN if not all numbers of the model are finite.
    ///
    /// The history is not empty, fits the buffers and has only items that exist.
    pub(crate) fn encode(&self, history: impl Items, buffers: &mut Buffers<'_>) -> f32 {
        let (window, dim) = (usize::from(self.shape.window), usize::from(self.shape.dim));
        let features = self.shape.features();
        self.quantise_items(history, buffers);
        let unit = self.filter(history.len(), buffers);
        let scale = buffers.quantise(0, features, unit, 0);
        let unit = self.dense(window + 1, features, scale, buffers);
        activate(Activation::Relu, span_mut(buffers.output, 0, dim), unit);
        let scale = buffers.quantise(0, dim, unit, 0);
        let unit = self.dense(window + 2, dim, scale, buffers);
        self.model.scored(buffers.quantise(0, dim, unit, 0))
    }

    /// Leaves the history's item rows in `buffers.codes` and `buffers.scales`, each quantised by itself.
    fn quantise_items(&self, history: impl Items, buffers: &mut Buffers<'_>) {
        for row in 0..history.len() {
            let (codes, range) = history.row(self.model.bundle, row);
            self.model.see(field(range));
            let (values, unit) = item(codes, range);
            buffers.output.iter_mut().zip(values).for_each(|(x, value)| *x = value);
            buffers.quantise(0, self.shape.dim.into(), unit, row);
        }
    }

    /// Leaves the features of `len` quantised items in `buffers.output`; returns their unit.
    fn filter(&self, len: usize, buffers: &mut Buffers<'_>) -> i32 {
        let (window, dim) = (usize::from(self.shape.window), usize::from(self.shape.dim));
        let Buffers { output, scores, scales, codes, bounds, .. } = buffers;
        let (mut work, mut features) = (&mut **scores, &mut **output);
        let mut take = |len| work.split_off_mut(..len).unwrap_or_default();
        let (sums, multipliers) = (take(len), bytemuck::cast_slice_mut(take(len)));
        let (codes, scales) = (span(codes, 0, len * dim), span_mut(scales, 0, len));
        let image = Image::new(codes, scales, dim, window.saturating_sub(len), sums);
        // The heights' layers, then the vertical one.
        let inputs = |index| if index < window { (index + 1) * dim } else { window };
        let units = |index| self.model.bounds(index, bounds).units(inputs(index), image.scale());
        let unit = (0..=window).fold(i32::MIN, |unit, index| unit.max(units(index).0));
        let filters = |index| {
            let layer = self.model.bundle.layer(index);
            let widths = self.model.widths(layer.layer().first_channel);
            Filters::new(image, layer, widths, self.model.bounds(index, bounds), unit)
        };
        if let Some(columns) = features.split_off_mut(..self.shape.vertical_features()) {
            filters(window).vertical(multipliers, work, columns);
        }
        let of_height = features.chunks_exact_mut(usize::from(self.shape.horizontal).max(1));
        for (index, maxima) in of_height.enumerate() {
            filters(index).horizontal(index + 1, multipliers, work, maxima);
        }
        unit
    }

    /// A dense layer for the token, `inputs` long with the scale, to `buffers.output`; returns the unit of its outputs.
    fn dense(&self, index: usize, inputs: usize, scale: Scale, buffers: &mut Buffers<'_>) -> i32 {
        self.model.layer(index, 0, 1, buffers).units(inputs, scale).0
    }
}
