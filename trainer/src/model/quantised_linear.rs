//! A linear layer whose output channels can be kept at any width of the palette (docs/numerics.md section 1).

use crate::tensor::{Device, Tensor, floats};
use burn::module::{Module, Param};
use burn::prelude::Backend as BurnBackend;
use burn::tensor::Distribution;

/// Weights [outputs, inputs], bias [outputs] and the logarithm of each channel's range [outputs].
#[derive(Module, Debug)]
pub struct QuantisedLinear<B: BurnBackend> {
    /// Full-precision weights, [outputs, inputs].
    pub weight: Param<burn::Tensor<B, 2>>,
    /// Bias, [outputs]; kept at 0 bits too.
    pub bias: Param<burn::Tensor<B, 1>>,
    /// ln r_c, [outputs]: learned in the log domain with the LSQ gradient (Esser et al. 2020, arXiv 1902.08153).
    pub log_range: Param<burn::Tensor<B, 1>>,
    /// What each width adds, if widths have scales and biases of their own.
    pub per_width: Option<PerWidth<B>>,
}

/// Scale and bias of each channel at each width of the palette: the plan's code chooses among them, so that they reach
/// the device once and the plan stays 2 bits per channel.
#[derive(Module, Debug)]
pub struct PerWidth<B: BurnBackend> {
    /// Added to the logarithm of the range, [widths, outputs].
    pub log_scale: Param<burn::Tensor<B, 2>>,
    /// Added to the bias, [widths, outputs].
    pub bias: Param<burn::Tensor<B, 2>>,
    #[module(skip)]
    pub(super) palette: Vec<u8>,
}

impl<B: BurnBackend> PerWidth<B> {
    /// The row of a width.
    pub fn row(&self, bits: u8) -> Option<usize> {
        self.palette.iter().position(|&b| b == bits)
    }
}

/// A layer at one width for all channels.
#[derive(Clone)]
pub struct AtWidth {
    /// [outputs, inputs].
    pub weight: Tensor<2>,
    /// [1, outputs].
    pub bias: Tensor<2>,
}

/// The weights and biases one forward pass uses for a layer.
// With GPU backends tensors are large; a handful of these lives at a time.
#[allow(clippy::large_enum_variant)]
pub enum LayerWeights {
    /// The same for all users.
    Shared(AtWidth),
    /// Weights and biases of each user of the batch, selected by gates.
    PerUser {
        /// The narrowest width's weights, then what each step of the palette adds, [1 + steps][outputs, inputs].
        steps: Vec<Tensor<2>>,
        /// [batch, outputs] for each step.
        gates: Vec<Tensor<2>>,
        /// [batch, outputs]; [1, outputs] where all users share it.
        bias: Tensor<2>,
    },
}

type Linear = QuantisedLinear<crate::tensor::Backend>;

impl Linear {
    /// Weights ~ N(0, 1/inputs), zero bias.
    pub fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let std = (inputs as f64).recip().sqrt();
        Self {
            weight: Param::from_tensor(Tensor::random(
                [outputs, inputs],
                Distribution::Normal(0.0, std),
                device,
            )),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
            log_range: Param::from_tensor(Tensor::zeros([outputs], device)),
            per_width: None,
        }
    }

    /// Gives every width of `palette` a scale and a bias of its own, neutral at first.
    pub fn with_per_width(self, palette: &[u8]) -> Self {
        let device = self.weight.device();
        let zeros = || Param::from_tensor(Tensor::zeros([palette.len(), self.outputs()], &device));
        let per_width = PerWidth { log_scale: zeros(), bias: zeros(), palette: palette.to_vec() };
        Self { per_width: Some(per_width), ..self }
    }

    /// Number of inputs of each channel.
    pub fn inputs(&self) -> usize {
        self.weight.dims()[1]
    }

    /// Number of output channels.
    pub fn outputs(&self) -> usize {
        self.weight.dims()[0]
    }

    /// Sets each channel's range to `min(max |w|, deviations * std(w))`.
    pub fn initialise_ranges(self, deviations: f32) -> Self {
        let (outputs, inputs) = (self.outputs(), self.inputs());
        let device = self.weight.device();
        let weights = crate::tensor::to_host(self.weight.val());
        let log_ranges = weights.chunks(inputs).map(|w| {
            let n = w.len() as f32;
            let mean = w.iter().sum::<f32>() / n;
            let variance = w.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / (n - 1.0).max(1.0);
            let largest = w.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            let range = if inputs > 1 { largest.min(deviations * variance.sqrt()) } else { largest };
            range.max(1e-6).ln()
        });
        let log_range = floats(log_ranges.collect(), [outputs], &device);
        Self { log_range: self.log_range.map(|_| log_range.require_grad()), ..self }
    }

    /// The layer at full precision.
    pub fn full_precision(&self) -> LayerWeights {
        LayerWeights::Shared(AtWidth { weight: self.weight.val(), bias: self.bias.val().unsqueeze() })
    }

    /// The layer at each of `widths` bits; 0 bits leaves the bias alone.
    ///
    /// Forward values are those of the device. Backward, the rounding passes gradients straight through to the
    /// weights inside the range, and the range gets the LSQ gradient.
    pub fn at_widths(&self, widths: &[u8]) -> Vec<AtWidth> {
        let pairs: Vec<[u8; 2]> = widths.iter().map(|&bits| [bits; 2]).collect();
        self.at_pairs(&pairs)
    }

    /// As [`at_widths`](Self::at_widths), for pairs of a width and of the width whose own scale and bias it takes.
    pub fn at_pairs(&self, pairs: &[[u8; 2]]) -> Vec<AtWidth> {
        let range = self.log_range.val().exp().unsqueeze_dim::<2>(1);
        let scaled = (self.weight.val() / range.clone()).clamp(-1.0, 1.0);
        let plain = scaled.clone().detach();
        let master = ((plain.clone() + 1.0) * 128.0).floor().clamp(0.0, 255.0);
        let at = |[bits, tables]: [u8; 2]| {
            let own = self.per_width.as_ref().and_then(|own| {
                let row = own.row(tables)?;
                Some((
                    own.log_scale.val().slice_dim(0, row..row + 1),
                    own.bias.val().slice_dim(0, row..row + 1),
                ))
            });
            let bias = self.bias.val().unsqueeze::<2>();
            let (scale, bias) = match own {
                Some((log_scale, own)) => (Some(log_scale.exp().transpose()), bias + own),
                None => (None, bias),
            };
            if bits == 0 {
                return AtWidth { weight: self.weight.val().zeros_like(), bias };
            }
            let code = (master.clone() / f32::from(1u16 << (8 - bits))).floor();
            let level = (code * 2.0 + 1.0) / f32::from(1u16 << bits) - 1.0;
            let weight = range.clone() * (scaled.clone() + (level - plain.clone()));
            AtWidth { weight: scale.map_or(weight.clone(), |scale| weight * scale), bias }
        };
        pairs.iter().map(|&pair| at(pair)).collect()
    }

    /// `x` [batch, tokens, inputs] -> [batch, tokens, outputs].
    pub fn forward(&self, x: Tensor<3>, weights: &LayerWeights) -> Tensor<3> {
        let [batch, tokens, inputs] = x.dims();
        match weights {
            LayerWeights::Shared(AtWidth { weight, bias }) => {
                let y = x.reshape([batch * tokens, inputs]).matmul(weight.clone().transpose());
                y.reshape([batch, tokens, self.outputs()]) + bias.clone().unsqueeze_dim(1)
            }
            LayerWeights::PerUser { steps, gates, bias } => {
                let y = if tokens <= MIX_OUTPUTS {
                    mix_outputs(x, steps, gates)
                } else {
                    x.matmul(mix_weights(steps, gates).swap_dims(1, 2))
                };
                y + bias.clone().unsqueeze_dim(1)
            }
        }
    }
}

/// Up to this many tokens, mixing the products of all widths (work per token) costs less than making every user's matrix
/// first. More of them pay for the matrix, which needs no gates broadcast over tokens: on the CPU a walk element by
/// element, forward and back.
const MIX_OUTPUTS: usize = 4;

/// Products with all steps at once, then each user's own mix: [batch, tokens, inputs] -> [batch, tokens, outputs].
fn mix_outputs(x: Tensor<3>, steps: &[Tensor<2>], gates: &[Tensor<2>]) -> Tensor<3> {
    let [batch, tokens, inputs] = x.dims();
    let outputs = steps[0].dims()[0];
    let all = Tensor::cat(steps.to_vec(), 0);
    let products = x.reshape([batch * tokens, inputs]).matmul(all.transpose());
    let products = products.reshape([batch, tokens, steps.len() * outputs]);
    let part = |step: usize| products.clone().slice_dim(2, step * outputs..(step + 1) * outputs);
    let gated = gates.iter().enumerate().map(|(i, gate)| part(i + 1) * gate.clone().unsqueeze_dim(1));
    gated.fold(part(0), |sum, gated| sum + gated)
}

/// Each user's own matrix, [batch, outputs, inputs].
fn mix_weights(steps: &[Tensor<2>], gates: &[Tensor<2>]) -> Tensor<3> {
    // One small product for each channel: [outputs, batch, 1 + steps] x [outputs, 1 + steps, inputs]. The narrowest
    // width's gate is 1: as a term of the product it costs less than as a sum that is broadcast over the users.
    let all_gates = [gates[0].ones_like()].into_iter().chain(gates.iter().cloned()).collect();
    let gates: Tensor<3> = Tensor::stack(all_gates, 2);
    let steps: Tensor<3> = Tensor::stack(steps.to_vec(), 1);
    gates.swap_dims(0, 1).matmul(steps).swap_dims(0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Backend, to_host};
    use chord_plan::numerics::{level, master_code, step};

    fn layer(device: &Device) -> Linear {
        Backend::seed(device, 3);
        Linear::new(24, 10, device).initialise_ranges(1.3)
    }

    /// Training sees exactly the values of the contract, at every width.
    #[test]
    fn fake_quantisation_is_the_contract() {
        let layer = layer(&Device::Flex(Default::default()));
        let weights = to_host(layer.weight.val());
        let ranges = to_host(layer.log_range.val().exp());
        for (&bits, tensor) in [0, 2, 4, 8].iter().zip(layer.at_widths(&[0, 2, 4, 8])) {
            for (index, found) in to_host(tensor.weight).into_iter().enumerate() {
                let range = ranges[index / 24];
                let expected = f32::from(level(master_code(weights[index], range), bits)) * step(range, bits);
                assert!((found - expected).abs() <= 1e-6 * range, "{bits} bits: {found} {expected}");
            }
        }
    }

    /// Mixing outputs and mixing weights are the same function.
    #[test]
    fn mixes_agree() {
        let device = Device::Flex(Default::default());
        let wave = |n: usize, f: f32| (0..n).map(|i| (i as f32 * f).sin()).collect::<Vec<_>>();
        let steps: Vec<_> = (1..=4).map(|s| floats(wave(15, s as f32), [5, 3], &device)).collect();
        let gates: Vec<_> = (1..=3).map(|s| floats(wave(10, 0.3 * s as f32), [2, 5], &device)).collect();
        let x = floats(wave(24, 0.9), [2, 4, 3], &device);
        let outputs = to_host(mix_outputs(x.clone(), &steps, &gates));
        let weights = to_host(x.matmul(mix_weights(&steps, &gates).swap_dims(1, 2)));
        outputs.iter().zip(&weights).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
    }

    /// Gradients pass straight through inside the range, stop outside, and reach the range from both.
    #[test]
    fn gradients_are_straight_through_and_lsq() {
        let device = Device::autodiff(Device::Flex(Default::default()));
        let layer = layer(&device);
        let gradients = layer.at_widths(&[4])[0].weight.clone().sum().backward();
        let weight = to_host(layer.weight.grad(&gradients).unwrap());
        let range_gradient = to_host(layer.log_range.grad(&gradients).unwrap());
        let weights = to_host(layer.weight.val());
        let ranges = to_host(layer.log_range.val().exp());
        for channel in 0..10 {
            let mut expected = 0.0;
            for i in channel * 24..(channel + 1) * 24 {
                let inside = weights[i].abs() < ranges[channel];
                assert!((weight[i] - f32::from(inside)).abs() < 1e-5, "{} {}", weights[i], ranges[channel]);
                let value = f32::from(level(master_code(weights[i], ranges[channel]), 4)) / 16.0;
                let inside = if inside { weights[i] / ranges[channel] } else { 0.0 };
                expected += ranges[channel] * (value - inside);
            }
            assert!(
                (range_gradient[channel] - expected).abs() < 1e-4,
                "{} {expected}",
                range_gradient[channel]
            );
        }
    }
}
