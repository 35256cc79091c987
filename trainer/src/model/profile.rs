//! The profile encoder of the device: recent interactions -> user embedding.
//!
//! A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078; reset after the recurrent product, as in cuDNN) over the
//! newest items, plus a linear map of the normalised sum over a longer stretch. Its inputs are the frozen item
//! embeddings, so the device needs no second table.

use super::dropout::Dropout;
use crate::tensor::{Backend, Device, Tensor, floats, integers};
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::prelude::Backend as BurnBackend;
use burn::tensor::activation::{sigmoid, tanh};

/// Embeddings start at a standard deviation of .02 and stay small: brings them near 1 for the GRU.
pub const EMBEDDING_SCALE: f32 = 8.0;

/// Added to the variance in the layer norm.
pub const NORM_EPSILON: f32 = 1e-5;

/// GRU and pooled branch.
#[derive(Module, Debug)]
pub struct Profile<B: BurnBackend> {
    /// Item embedding -> input features.
    pub input: Linear<B>,
    /// Input features -> reset, update and candidate gates.
    pub gates_input: Linear<B>,
    /// State -> reset, update and candidate gates.
    pub gates_state: Linear<B>,
    /// Sum of input features -> user embedding.
    pub pooled: Linear<B>,
    /// Of the user embedding.
    pub norm: LayerNorm<B>,
}

/// Histories on a device, left-padded.
pub struct Histories {
    /// Item rows in order of time, [batch * steps]; padding holds row 0.
    items: crate::tensor::IntTensor<1>,
    /// 1 for real items, [batch, steps, 1].
    real: Tensor<3>,
    /// 1 / sqrt(length), [batch, 1].
    weight: Tensor<2>,
    /// Trailing steps the GRU runs over.
    recent: usize,
    /// Trailing steps in the pooled sum.
    pooled: usize,
}

impl Histories {
    /// The sum is over the newest `pooled` items of each history; the GRU sees the newest `recent`, or all if that is 0.
    pub fn new(rows: &[&[u32]], recent: usize, pooled: usize, device: &Device) -> Self {
        let tail = |r: &&[u32], n: usize| r.len().min(n);
        let batch = rows.len();
        let recent = if recent == 0 { usize::MAX } else { recent };
        let seen = recent.max(pooled);
        let steps = rows.iter().map(|r| tail(r, seen)).max().unwrap_or(0).max(1);
        let mut items = vec![0i32; batch * steps];
        let mut real = vec![0.0f32; batch * steps];
        let mut weight = vec![1.0f32; batch];
        for (b, row) in rows.iter().enumerate() {
            let n = tail(row, seen);
            for (i, &item) in row[row.len() - n..].iter().enumerate() {
                items[b * steps + steps - n + i] = item as i32;
                real[b * steps + steps - n + i] = 1.0;
            }
            weight[b] = (tail(row, pooled).max(1) as f32).sqrt().recip();
        }
        Self {
            items: integers(items, [batch * steps], device),
            real: floats(real, [batch, steps, 1], device),
            weight: floats(weight, [batch, 1], device),
            recent: recent.min(steps),
            pooled: pooled.min(steps),
        }
    }
}

impl Profile<Backend> {
    /// For item embeddings of size `dim`, `features` inputs of the GRU and a user embedding of size `hidden`.
    pub fn new(dim: usize, features: usize, hidden: usize, device: &Device) -> Self {
        Self {
            input: LinearConfig::new(dim, features).init(device),
            gates_input: LinearConfig::new(features, 3 * hidden).init(device),
            gates_state: LinearConfig::new(hidden, 3 * hidden).init(device),
            pooled: LinearConfig::new(features, hidden).init(device),
            norm: LayerNormConfig::new(hidden).with_epsilon(NORM_EPSILON.into()).init(device),
        }
    }

    /// User embeddings, [batch, hidden]. `items` is the frozen table, [items, dim]; no gradient reaches it. Input
    /// features and the embedding itself are dropped out at `rate`.
    pub fn forward(
        &self,
        items: Tensor<2>,
        histories: &Histories,
        dropout: &mut Dropout,
        rate: f64,
    ) -> Tensor<2> {
        let [batch, steps, _] = histories.real.dims();
        let dim = items.dims()[1];
        let embedded = items.detach().select(0, histories.items.clone()) * EMBEDDING_SCALE;
        let features = dropout.apply(self.input.forward(embedded.reshape([batch, steps, dim])), rate);
        let features = features * histories.real.clone();
        let width = features.dims()[2];
        let newest = features.clone().slice([0..batch, steps - histories.pooled..steps]);
        let sum = newest.sum_dim(1).reshape([batch, width]) * histories.weight.clone();
        let recent = features.slice([0..batch, steps - histories.recent..steps]);
        let real = histories.real.clone().slice([0..batch, steps - histories.recent..steps]);
        let state = self.recur(recent, real);
        dropout.apply(self.norm.forward(state + self.pooled.forward(sum)), rate)
    }

    /// The last state of the GRU; padding keeps it at zero.
    fn recur(&self, features: Tensor<3>, real: Tensor<3>) -> Tensor<2> {
        let [batch, steps, _] = features.dims();
        let hidden = self.pooled.weight.dims()[1];
        let inputs = self.gates_input.forward(features);
        let mut state = Tensor::<2>::zeros([batch, hidden], &inputs.device());
        for t in 0..steps {
            let input = inputs.clone().slice([0..batch, t..t + 1]).reshape([batch, 3 * hidden]);
            let recurrent = self.gates_state.forward(state.clone());
            let both = sigmoid(
                input.clone().slice([0..batch, 0..2 * hidden])
                    + recurrent.clone().slice([0..batch, 0..2 * hidden]),
            );
            let reset = both.clone().slice([0..batch, 0..hidden]);
            let update = both.slice([0..batch, hidden..2 * hidden]);
            let candidate = tanh(
                input.slice([0..batch, 2 * hidden..3 * hidden])
                    + reset * recurrent.slice([0..batch, 2 * hidden..3 * hidden]),
            );
            let next = candidate.clone() + update * (state - candidate);
            state = next * real.clone().slice([0..batch, t..t + 1]).reshape([batch, 1]);
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_host;
    use burn::tensor::Distribution;

    fn embeddings(
        (profile, items): &(Profile<Backend>, Tensor<2>),
        rows: &[&[u32]],
        recent: usize,
        pooled: usize,
    ) -> Vec<Vec<f32>> {
        let histories = Histories::new(rows, recent, pooled, &items.device());
        let embeddings = profile.forward(items.clone(), &histories, &mut Dropout::off(), 0.0);
        to_host(embeddings).chunks(6).map(<[f32]>::to_vec).collect()
    }

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    /// 0 recent items are all: also those before the sum begins, and beside longer histories.
    #[test]
    fn the_gru_sees_what_it_is_told_to() {
        let device = Device::Flex(Default::default());
        // Drawn once: burn's generator is shared with other tests.
        let items = Tensor::<2>::random([20, 8], Distribution::Normal(0.0, 0.1), &device);
        let model = (Profile::new(8, 4, 6, &device), items);
        let embeddings = |rows: &[&[u32]], recent, pooled| embeddings(&model, rows, recent, pooled);
        let (long, short): (&[u32], &[u32]) = (&[1, 2, 3, 4, 5, 6, 7, 8], &[9, 8, 7]);
        let all = embeddings(&[long, short], 0, 2);
        assert!(close(&all[0], &embeddings(&[long], 8, 2)[0]));
        assert!(close(&all[1], &embeddings(&[short], 3, 2)[0]));
        assert!(!close(&all[0], &embeddings(&[long], 2, 2)[0]));
        assert!(!close(&all[0], &embeddings(&[long], 0, 3)[0]), "the third last item is not in the sum");
    }
}
