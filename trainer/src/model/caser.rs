//! Caser (Tang and Wang 2018, arXiv 1809.07426): convolutions over the newest L items, read as an image of L rows and
//! `dim` columns.
//!
//! Horizontal filters of every height 1..=L slide down the rows, pass a ReLU and keep their maximum; vertical filters
//! weigh the L rows of each column. Two dense layers follow, as in RecBole's definition, without its user embedding
//! (on the device, the plan personalises) and, as in the paper, without a nonlinearity before the output layer, which
//! is the item embeddings. Rows before the first item are zero.
//!
//! All windows of a sequence are computed at once: a horizontal filter's value at a row is shared by every window that
//! holds it, so training on every position costs little more than on the last.

use super::quantised_linear::QuantisedLinear;
use super::sasrec::{Pass, Sequences};
use crate::tensor::{Backend, Device, Tensor};
use burn::module::{Module, Param};
use burn::prelude::Backend as BurnBackend;
use burn::tensor::Distribution;
use burn::tensor::activation::relu;
use chord_plan::manifest::CaserShape;

/// The backbone. Every filter is an output channel of a quantised layer.
#[derive(Module, Debug)]
pub struct Caser<B: BurnBackend> {
    /// Item embeddings, [items, dim]; also the output layer.
    pub items: Param<burn::Tensor<B, 2>>,
    /// Filters of height h = 1..=L: h * dim -> `horizontal`, oldest row first.
    pub horizontal: Vec<QuantisedLinear<B>>,
    /// L -> `vertical`, oldest row first.
    pub vertical: QuantisedLinear<B>,
    /// Column by column the vertical outputs, then the horizontal ones by height -> dim, with a ReLU.
    pub dense: QuantisedLinear<B>,
    /// dim -> dim.
    pub output: QuantisedLinear<B>,
    #[module(skip)]
    shape: CaserShape,
}

impl<B: BurnBackend> Caser<B> {
    /// The quantised layers in plan order.
    pub fn layers(&self) -> impl Iterator<Item = &QuantisedLinear<B>> {
        self.horizontal.iter().chain([&self.vertical, &self.dense, &self.output])
    }

    /// Names of the quantised layers in plan order.
    pub fn layer_names(&self) -> Vec<String> {
        let horizontal = (1..=self.horizontal.len()).map(|height| format!("horizontal{height}"));
        horizontal.chain(["vertical", "dense", "output"].map(str::to_owned)).collect()
    }

    /// The sizes.
    pub fn shape(&self) -> &CaserShape {
        &self.shape
    }
}

/// Window, dim, horizontal filters of each height, vertical filters.
fn sizes(shape: &CaserShape) -> [usize; 4] {
    [shape.window, shape.dim, shape.horizontal, shape.vertical].map(usize::from)
}

impl Caser<Backend> {
    /// A new backbone; embeddings ~ N(0, `embedding_std`^2).
    pub fn new(shape: &CaserShape, embedding_std: f64, device: &Device) -> Self {
        let [window, dim, horizontal, vertical] = sizes(shape);
        let embeddings =
            Tensor::random([shape.items as usize, dim], Distribution::Normal(0.0, embedding_std), device);
        Self {
            items: Param::from_tensor(embeddings),
            horizontal: (1..=window).map(|h| QuantisedLinear::new(h * dim, horizontal, device)).collect(),
            vertical: QuantisedLinear::new(window, vertical, device),
            dense: QuantisedLinear::new(vertical * dim + window * horizontal, dim, device),
            output: QuantisedLinear::new(dim, dim, device),
            shape: *shape,
        }
    }

    /// Applies `change` to every quantised layer.
    pub fn map_layers(self, change: impl Fn(QuantisedLinear<Backend>) -> QuantisedLinear<Backend>) -> Self {
        Self {
            horizontal: self.horizontal.into_iter().map(&change).collect(),
            vertical: change(self.vertical),
            dense: change(self.dense),
            output: change(self.output),
            ..self
        }
    }

    /// The hidden state after every token, [batch, tokens, dim].
    pub fn hidden(&self, sequences: &Sequences, pass: &mut Pass) -> Tensor<3> {
        let [batch, tokens] = sequences.items.dims();
        let [window, dim, horizontal, vertical] = sizes(&self.shape);
        let rows = self.items.val().select(0, sequences.items.clone().reshape([batch * tokens]));
        let rows = rows.reshape([batch, tokens, dim]) * sequences.real.clone();
        let rows = pass.activations.apply(rows);
        let before = Tensor::zeros([batch, window - 1, dim], &rows.device());
        let rows = Tensor::cat(vec![before, rows], 1);
        // `count` tensors of `length` rows each, one row later each.
        let shifted = |x: &Tensor<3>, count: usize, length: usize| -> Vec<Tensor<3>> {
            (0..count).map(|start| x.clone().slice_dim(1, start..start + length)).collect()
        };
        let mut features = Vec::with_capacity(window + 1);
        let columns = Tensor::stack::<4>(shifted(&rows, window, tokens), 3);
        let columns = columns.reshape([batch, tokens * dim, window]);
        let mixed = self.vertical.forward(columns, &pass.weights[window]);
        features.push(mixed.reshape([batch, tokens, dim * vertical]));
        for (index, (layer, weights)) in self.horizontal.iter().zip(pass.weights).enumerate() {
            let height = index + 1;
            let places = window - height + 1;
            let patches = Tensor::cat(shifted(&rows, height, tokens + places - 1), 2);
            let values = relu(layer.forward(patches, weights));
            let largest = shifted(&values, places, tokens).into_iter().reduce(Tensor::max_pair);
            features.push(largest.expect("a window holds at least one place"));
        }
        let features = Tensor::cat(features, 2);
        debug_assert_eq!(features.dims()[2], vertical * dim + window * horizontal);
        let features = pass.activations.apply(pass.dropout.apply(features, pass.rate));
        let z = relu(self.dense.forward(features, &pass.weights[window + 1]));
        self.output.forward(pass.activations.apply(z), &pass.weights[window + 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::activation_quantiser::ActivationQuantiser;
    use crate::model::dropout::Dropout;
    use crate::model::initialisation::seeded;
    use crate::tensor::to_host;

    const SHAPE: CaserShape = CaserShape { items: 9, window: 3, dim: 4, horizontal: 2, vertical: 2 };

    fn model() -> Caser<Backend> {
        let device = Device::Flex(Default::default());
        seeded(5, &device, || Caser::new(&SHAPE, 0.7, &device))
    }

    fn hidden(model: &Caser<Backend>, rows: &[&[u32]]) -> Vec<Vec<f32>> {
        let weights: Vec<_> = model.layers().map(QuantisedLinear::full_precision).collect();
        let mut dropout = Dropout::off();
        let activations = ActivationQuantiser::None;
        let mut pass = Pass { weights: &weights, activations, dropout: &mut dropout, rate: 0.0 };
        let hidden = model.hidden(&Sequences::new(rows, &model.items.device()), &mut pass);
        let [_, tokens, dim] = hidden.dims();
        to_host(hidden).chunks(tokens * dim).map(<[f32]>::to_vec).collect()
    }

    /// The definition, window by window in plain loops.
    fn plain(model: &Caser<Backend>, window: [Option<usize>; 3]) -> Vec<f32> {
        let [_, dim, horizontal, vertical] = sizes(&SHAPE);
        let items = to_host(model.items.val());
        let image: Vec<Vec<f32>> = (window.iter())
            .map(|row| row.map_or(vec![0.0; dim], |r| items[r * dim..(r + 1) * dim].to_vec()))
            .collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let dense = |layer: &QuantisedLinear<Backend>, x: &[f32]| -> Vec<f32> {
            to_host(layer.weight.val()).chunks(x.len()).map(|w| dot(w, x)).collect()
        };
        let mut features = Vec::new();
        let filters = to_host(model.vertical.weight.val());
        for column in 0..dim {
            let pixels: Vec<f32> = image.iter().map(|row| row[column]).collect();
            features.extend(filters.chunks(3).map(|filter| dot(filter, &pixels)));
        }
        for (index, layer) in model.horizontal.iter().enumerate() {
            for filter in to_host(layer.weight.val()).chunks((index + 1) * dim) {
                let values = image.windows(index + 1).map(|rows| dot(filter, &rows.concat()));
                features.push(values.fold(0.0, f32::max));
            }
        }
        assert_eq!(features.len(), vertical * dim + 3 * horizontal);
        let z: Vec<f32> = dense(&model.dense, &features).into_iter().map(|z| z.max(0.0)).collect();
        dense(&model.output, &z)
    }

    #[test]
    fn every_position_sees_its_own_window() {
        let model = model();
        let found = hidden(&model, &[&[3, 4, 5, 1, 8], &[7, 2]]);
        let close = |a: &[f32], b: Vec<f32>| {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
        };
        close(&found[0][..4], plain(&model, [None, None, Some(3)]));
        close(&found[0][8..12], plain(&model, [Some(3), Some(4), Some(5)]));
        close(&found[0][16..], plain(&model, [Some(5), Some(1), Some(8)]));
        close(&found[1][12..16], plain(&model, [None, None, Some(7)]));
        close(&found[1][16..], plain(&model, [None, Some(7), Some(2)]));
    }

    #[test]
    fn layers_are_named_in_plan_order() {
        let model = model();
        let names = ["horizontal1", "horizontal2", "horizontal3", "vertical", "dense", "output"];
        assert_eq!(model.layer_names(), names);
        let sizes: Vec<_> = model.layers().map(|l| (l.inputs(), l.outputs())).collect();
        assert_eq!(sizes, [(4, 2), (8, 2), (12, 2), (3, 2), (14, 4), (4, 4)]);
    }
}
