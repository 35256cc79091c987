//! Element-level importance: a score for every weight, which reconstructs the importance of its filter.
//!
//! The importance of element (c, i) is `sum_r softplus(A_r(z))_c * softplus(B_r)_i`, a sum of `rank` outer products.
//! The filter's importance is its mean over the channel's elements, weighted by the squared weights: an element
//! matters as much as the error its rounding makes.

use super::{Channels, zero_linear};
use crate::model::backbone::Backbone;
use crate::tensor::{Backend, Device, Tensor};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::prelude::Backend as BurnBackend;
use burn::tensor::Distribution;
use burn::tensor::activation::softplus;

/// Bound on the outputs A(z).
const LARGEST: f32 = 10.0;

/// The factors A (from the user embedding) and B (one for each layer's inputs).
#[derive(Module, Debug)]
pub struct ElementImportance<B: BurnBackend> {
    /// User embedding -> [channels * rank].
    outputs: Linear<B>,
    /// Per layer, [rank, inputs].
    inputs: Vec<Param<burn::Tensor<B, 2>>>,
    #[module(skip)]
    rank: usize,
}

impl ElementImportance<Backend> {
    pub(super) fn new(channels: &Channels, hidden: usize, rank: usize, device: &Device) -> Self {
        let factor = |&inputs: &usize| {
            Param::from_tensor(Tensor::random([rank, inputs], Distribution::Normal(0.0, 0.5), device))
        };
        // Weights at zero keep the deviation at zero; random biases keep the ranks apart.
        let outputs = zero_linear(hidden, channels.total() * rank, device);
        let bias = Tensor::random([channels.total() * rank], Distribution::Normal(0.0, 0.1), device);
        Self {
            outputs: Linear { bias: Some(Param::from_tensor(bias)), ..outputs },
            inputs: channels.inputs.iter().map(factor).collect(),
            rank,
        }
    }

    /// log e(z) - log e(0): `z` [batch, hidden] -> [batch, channels].
    pub(super) fn forward(&self, z: Tensor<2>, backbone: &Backbone<Backend>) -> Tensor<2> {
        let means = backbone.layers().into_iter().zip(&self.inputs).map(|(layer, factor)| {
            let squared = layer.weight.val().detach().square();
            let total = squared.clone().sum_dim(1).clamp_min(1e-12);
            squared.matmul(softplus(factor.val(), 1.0).transpose()) / total
        });
        // [1, channels, rank]
        let means = Tensor::cat(means.collect(), 0).unsqueeze::<3>();
        let log_importance = |outputs: Tensor<2>| {
            let [batch, width] = outputs.dims();
            // Beyond these bounds softplus is 0 in f32, and its logarithm infinite, or a factor that means nothing more.
            let outputs = outputs.reshape([batch, width / self.rank, self.rank]).clamp(-LARGEST, LARGEST);
            let outputs = softplus(outputs, 1.0);
            (outputs * means.clone()).sum_dim(2).reshape([batch, width / self.rank]).log()
        };
        let neutral = self.outputs.bias.as_ref().expect("made with a bias").val().unsqueeze::<2>();
        log_importance(self.outputs.forward(z)) - log_importance(neutral)
    }
}
