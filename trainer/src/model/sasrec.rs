//! SASRec (Kang and McAuley 2018, arXiv 1808.09781) with tied item embeddings and no padding row.
//!
//! Pre-norm with positions from the right, the forward pass follows docs/numerics.md section 8, in floating point.
//! Post-norm with positions from the left, it is that of RecBole 1.2.1 (Zhao et al. 2021, arXiv 2011.01731).

use super::activation_quantiser::ActivationQuantiser;
use super::dropout::Dropout;
use super::quantised_linear::{LayerWeights, QuantisedLinear};
use crate::config::{NormOrder, PositionsFrom};
use crate::tensor::{Backend, Device, IntTensor, Tensor, floats, integers};
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::prelude::Backend as BurnBackend;
use burn::tensor::Distribution;
use burn::tensor::activation::{gelu, relu, softmax};
use chord_plan::manifest::{Activation, LayerKind, LayerName, SasRecShape};

/// Quantised layers of a block, in the order of their channels in a plan.
pub const LAYERS_PER_BLOCK: usize = 6;

/// One transformer block.
#[derive(Module, Debug)]
pub struct Block<B: BurnBackend> {
    /// Before attention; post-norm: after its residual sum.
    pub norm1: LayerNorm<B>,
    /// Before the feed-forward layers; post-norm: after their residual sum.
    pub norm2: LayerNorm<B>,
    /// Queries of attention.
    pub query: QuantisedLinear<B>,
    /// Keys of attention.
    pub key: QuantisedLinear<B>,
    /// Values of attention.
    pub value: QuantisedLinear<B>,
    /// Projection of the attended values.
    pub output: QuantisedLinear<B>,
    /// First feed-forward layer, dim -> inner.
    pub expand: QuantisedLinear<B>,
    /// Second feed-forward layer, inner -> dim.
    pub contract: QuantisedLinear<B>,
}

impl<B: BurnBackend> Block<B> {
    /// The quantised layers in plan order.
    pub fn layers(&self) -> [&QuantisedLinear<B>; LAYERS_PER_BLOCK] {
        [&self.query, &self.key, &self.value, &self.output, &self.expand, &self.contract]
    }
}

/// The backbone.
#[derive(Module, Debug)]
pub struct SasRec<B: BurnBackend> {
    /// Item embeddings, [items, dim]; also the output layer.
    pub items: Param<burn::Tensor<B, 2>>,
    /// Position embeddings, [window, dim].
    pub positions: Param<burn::Tensor<B, 2>>,
    /// Transformer blocks.
    pub blocks: Vec<Block<B>>,
    /// On the input, where blocks are post-norm.
    pub input_norm: Option<LayerNorm<B>>,
    /// Before the output layer, where blocks are pre-norm.
    pub final_norm: Option<LayerNorm<B>>,
    #[module(skip)]
    shape: Shape,
}

/// Sizes and positions of a backbone, in a form burn's modules can carry.
#[derive(Clone, Debug)]
struct Shape(SasRecShape, PositionsFrom);

/// A left-padded batch of sequences.
pub struct Sequences {
    /// Item rows, [batch, tokens]; padding holds row 0.
    pub items: IntTensor<2>,
    /// Added to attention scores, [batch, 1, tokens, tokens]: -1e9 for later tokens and padding, else 0.
    pub mask: Tensor<4>,
    /// 1 for items, 0 for padding, [batch, tokens, 1].
    pub real: Tensor<3>,
    /// Places counted from the oldest item, [batch, tokens]; padding holds 0.
    pub from_left: IntTensor<2>,
}

impl Sequences {
    /// Aligns sequences of item rows to the right, padding to the longest.
    pub fn new(rows: &[&[u32]], device: &Device) -> Self {
        let (batch, tokens) = (rows.len(), rows.iter().map(|r| r.len()).max().unwrap_or(0));
        let mut items = vec![0i32; batch * tokens];
        let mut mask = vec![-1e9f32; batch * tokens * tokens];
        let mut real = vec![0.0f32; batch * tokens];
        let mut from_left = vec![0i32; batch * tokens];
        for (b, row) in rows.iter().enumerate() {
            let pad = tokens - row.len();
            for (slot, &item) in items[b * tokens + pad..].iter_mut().zip(*row) {
                *slot = item as i32;
            }
            real[b * tokens + pad..(b + 1) * tokens].fill(1.0);
            for t in pad..tokens {
                from_left[b * tokens + t] = (t - pad) as i32;
                mask[(b * tokens + t) * tokens + pad..=(b * tokens + t) * tokens + t].fill(0.0);
            }
        }
        Self {
            items: integers(items, [batch, tokens], device),
            mask: floats(mask, [batch, 1, tokens, tokens], device),
            real: floats(real, [batch, tokens, 1], device),
            from_left: integers(from_left, [batch, tokens], device),
        }
    }
}

/// What varies between forward passes of the same weights.
pub struct Pass<'a> {
    /// The weights of every quantised layer, in plan order.
    pub weights: &'a [LayerWeights],
    /// How activations enter quantised layers.
    pub activations: ActivationQuantiser,
    /// Dropout masks, or none.
    pub dropout: &'a mut Dropout,
    /// Dropout rate.
    pub rate: f64,
}

impl<B: BurnBackend> SasRec<B> {
    /// The sizes.
    pub fn shape(&self) -> &SasRecShape {
        &self.shape.0
    }

    /// Where positions are counted from.
    pub fn positions_from(&self) -> PositionsFrom {
        self.shape.1
    }

    /// The quantised layers in plan order.
    pub fn layers(&self) -> impl Iterator<Item = &QuantisedLinear<B>> {
        self.blocks.iter().flat_map(Block::layers)
    }

    /// Names of the quantised layers in plan order.
    pub fn layer_names(&self) -> Vec<String> {
        let blocks = 0..self.shape().blocks;
        let names =
            blocks.flat_map(|block| LayerKind::ALL.map(|kind| LayerName::Block(block, kind).to_string()));
        names.collect()
    }
}

impl SasRec<Backend> {
    /// A new backbone; embeddings ~ N(0, `embedding_std`^2).
    pub fn new(
        shape: &SasRecShape,
        order: NormOrder,
        positions: PositionsFrom,
        embedding_std: f64,
        device: &Device,
    ) -> Self {
        let (dim, inner) = (usize::from(shape.dim), usize::from(shape.inner));
        let embedding = |rows: usize| {
            Param::from_tensor(Tensor::random([rows, dim], Distribution::Normal(0.0, embedding_std), device))
        };
        let norm = || LayerNormConfig::new(dim).with_epsilon(f64::from(shape.norm_epsilon)).init(device);
        let square = || QuantisedLinear::new(dim, dim, device);
        let block = |_| Block {
            norm1: norm(),
            norm2: norm(),
            query: square(),
            key: square(),
            value: square(),
            output: square(),
            expand: QuantisedLinear::new(dim, inner, device),
            contract: QuantisedLinear::new(inner, dim, device),
        };
        Self {
            items: embedding(shape.items as usize),
            positions: embedding(usize::from(shape.positions)),
            blocks: (0..shape.blocks).map(block).collect(),
            input_norm: (order == NormOrder::Post).then(norm),
            final_norm: (order == NormOrder::Pre).then(norm),
            shape: Shape(*shape, positions),
        }
    }

    /// Applies `change` to every quantised layer.
    pub fn map_layers(
        mut self,
        change: impl Fn(QuantisedLinear<Backend>) -> QuantisedLinear<Backend>,
    ) -> Self {
        self.blocks = (self.blocks.into_iter())
            .map(|b| Block {
                query: change(b.query),
                key: change(b.key),
                value: change(b.value),
                output: change(b.output),
                expand: change(b.expand),
                contract: change(b.contract),
                ..b
            })
            .collect();
        self
    }

    /// Hidden states after the last norm, [batch, tokens, dim].
    pub fn hidden(&self, sequences: &Sequences, pass: &mut Pass) -> Tensor<3> {
        let [batch, tokens] = sequences.items.dims();
        let dim = usize::from(self.shape().dim);
        let items = self.items.val().select(0, sequences.items.clone().reshape([batch * tokens]));
        // As rows of all tokens: the CPU backend is slow at broadcasting anything else.
        let x = items.reshape([batch, tokens * dim]) + self.position_embeddings(sequences);
        let mut x = x.reshape([batch, tokens, dim]);
        if let Some(norm) = &self.input_norm {
            x = norm.forward(x);
        }
        x = pass.dropout.apply(x, pass.rate);
        let heads = usize::from(self.shape().heads);
        // For each head: the same weakness.
        let mask = sequences.mask.clone().repeat_dim(1, heads);
        // One of the two is the identity.
        let post = self.input_norm.is_some();
        let before = |norm: &LayerNorm<Backend>, x: Tensor<3>| if post { x } else { norm.forward(x) };
        let after = |norm: &LayerNorm<Backend>, x: Tensor<3>| if post { norm.forward(x) } else { x };
        for (block, weights) in self.blocks.iter().zip(pass.weights.chunks(LAYERS_PER_BLOCK)) {
            let [query, key, value, output, expand, contract] = weights else {
                unreachable!("weights come from layers()")
            };
            let h = pass.activations.apply(before(&block.norm1, x.clone()));
            let q = block.query.forward(h.clone(), query);
            let k = block.key.forward(h.clone(), key);
            let v = block.value.forward(h, value);
            let c = pass.activations.apply(self.attention(q, k, v, mask.clone(), pass));
            x = after(&block.norm1, x + pass.dropout.apply(block.output.forward(c, output), pass.rate));
            let h = pass.activations.apply(before(&block.norm2, x.clone()));
            let f = self.activate(block.expand.forward(h, expand));
            let f = pass.activations.apply(pass.dropout.apply(f, pass.rate));
            x = after(&block.norm2, x + pass.dropout.apply(block.contract.forward(f, contract), pass.rate));
        }
        match &self.final_norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// [1 or batch, tokens x dim].
    fn position_embeddings(&self, sequences: &Sequences) -> Tensor<2> {
        let [batch, tokens] = sequences.items.dims();
        let [window, dim] = self.positions.dims();
        match self.positions_from() {
            PositionsFrom::Right => {
                self.positions.val().slice_dim(0, window - tokens..window).reshape([1, tokens * dim])
            }
            PositionsFrom::Left => {
                let places = sequences.from_left.clone().reshape([batch * tokens]);
                self.positions.val().select(0, places).reshape([batch, tokens * dim])
            }
        }
    }

    fn attention(
        &self,
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        mask: Tensor<4>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let [batch, tokens, dim] = q.dims();
        let heads = usize::from(self.shape().heads);
        let split = |x: Tensor<3>| x.reshape([batch, tokens, heads, dim / heads]).swap_dims(1, 2);
        let scale = ((dim / heads) as f32).sqrt().recip();
        let scores = split(q).matmul(split(k).swap_dims(2, 3)) * scale + mask;
        let shares = pass.dropout.apply(softmax(scores, 3), pass.rate);
        shares.matmul(split(v)).swap_dims(1, 2).reshape([batch, tokens, dim])
    }

    fn activate(&self, x: Tensor<3>) -> Tensor<3> {
        match self.shape().activation {
            Activation::Relu => relu(x),
            Activation::Gelu => gelu(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::initialisation::seeded;
    use crate::tensor::to_host;

    const VARIANTS: [(NormOrder, PositionsFrom); 2] =
        [(NormOrder::Pre, PositionsFrom::Right), (NormOrder::Post, PositionsFrom::Left)];

    fn hidden((order, positions): (NormOrder, PositionsFrom), rows: &[&[u32]]) -> Vec<Vec<f32>> {
        let device = Device::Flex(Default::default());
        let shape = SasRecShape {
            items: 20,
            positions: 6,
            dim: 8,
            inner: 8,
            blocks: 2,
            heads: 2,
            activation: Activation::Gelu,
            norm_epsilon: 1e-5,
        };
        let model = seeded(1, &device, || SasRec::new(&shape, order, positions, 0.5, &device));
        let weights: Vec<_> = model.layers().map(QuantisedLinear::full_precision).collect();
        let mut dropout = Dropout::off();
        let activations = ActivationQuantiser::None;
        let mut pass = Pass { weights: &weights, activations, dropout: &mut dropout, rate: 0.0 };
        let hidden = model.hidden(&Sequences::new(rows, &device), &mut pass);
        let [_, tokens, dim] = hidden.dims();
        to_host(hidden).chunks(tokens * dim).map(<[f32]>::to_vec).collect()
    }

    fn close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
    }

    #[test]
    fn padding_changes_nothing() {
        for variant in VARIANTS {
            let alone = hidden(variant, &[&[3, 4, 5]]);
            let padded = hidden(variant, &[&[9, 8, 7, 6, 5], &[3, 4, 5]]);
            close(&alone[0], &padded[1][2 * 8..]);
        }
    }

    #[test]
    fn later_items_do_not_reach_earlier_positions() {
        for variant in VARIANTS {
            let (a, b) = (hidden(variant, &[&[3, 4, 5, 6]]), hidden(variant, &[&[3, 4, 5, 11]]));
            close(&a[0][..3 * 8], &b[0][..3 * 8]);
            assert!(a[0][3 * 8..] != b[0][3 * 8..]);
        }
    }

    /// What precedes the newest item moves the positions of one variant and not of the other.
    #[test]
    fn positions_count_from_their_end() {
        let [right, left] = VARIANTS;
        let first = |variant, rows: &[u32]| hidden(variant, &[rows])[0][..8].to_vec();
        close(&first(left, &[3]), &first(left, &[3, 4, 5]));
        assert!(first(right, &[3]) != first(right, &[3, 4, 5]));
    }
}
