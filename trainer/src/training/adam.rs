//! Adam (Kingma and Ba 2015, arXiv 1412.6980) with the gradient of all parameters clipped together and decoupled weight
//! decay (Loshchilov and Hutter 2019, arXiv 1711.05101).
//!
//! Moments are kept by parameter name, so that a checkpoint holds them beside the weights in one file.

use crate::tensor::{Backend, Device, Tensor};
use burn::module::{AutodiffModule, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::TensorData;
use std::collections::BTreeMap;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The optimiser's state.
#[derive(Debug, Default)]
pub struct Adam {
    /// Steps taken.
    pub steps: u64,
    /// First and second moments by parameter name.
    pub moments: BTreeMap<String, Moments>,
    /// Share of every matrix that a step at rate 1 takes away; vectors (biases, norms, ranges) keep theirs.
    pub weight_decay: f32,
}

/// Running means of a parameter's gradient and squared gradient, flat.
#[derive(Debug)]
pub struct Moments {
    /// Of the gradient.
    pub first: Tensor<1>,
    /// Of its square.
    pub second: Tensor<1>,
}

impl Moments {
    /// From host data, on a plain (not autodiff) device.
    pub fn from_host(first: Vec<f32>, second: Vec<f32>, device: &Device) -> Self {
        let flat = |data: Vec<f32>| {
            let n = data.len();
            Tensor::from_data(TensorData::new(data, [n]), device)
        };
        Self { first: flat(first), second: flat(second) }
    }
}

impl Adam {
    /// One step on the parameters of `module` that have a gradient in `shards`, whose gradients add up.
    ///
    /// `clip` bounds the Euclidean norm of the whole gradient.
    pub fn step<M: AutodiffModule<Backend>>(
        &mut self,
        module: M,
        shards: &mut [GradientsParams],
        learning_rate: f64,
        clip: f32,
    ) -> M {
        self.steps += 1;
        let mut sums = Sums { shards, gradients: BTreeMap::new(), square: None };
        module.visit(&mut sums);
        let Sums { gradients, square, .. } = sums;
        let Some(square) = square else { return module };
        let scale = ((square.sqrt() + 1e-6).recip() * clip).clamp_max(1.0);
        let t = self.steps as i32;
        let rate = learning_rate as f32 * (1.0 - BETA2.powi(t)).sqrt() / (1.0 - BETA1.powi(t));
        let bias2 = (1.0 - BETA2.powi(t)).sqrt();
        let kept = 1.0 - learning_rate as f32 * self.weight_decay;
        module.map(&mut Update {
            adam: self,
            gradients,
            scale,
            rate,
            kept,
            epsilon: EPSILON * bias2,
            path: Vec::new(),
        })
    }
}

/// Adds the shards' gradients, by parameter id.
struct Sums<'a> {
    shards: &'a mut [GradientsParams],
    gradients: BTreeMap<burn::module::ParamId, Tensor<1>>,
    square: Option<Tensor<1>>,
}

impl ModuleVisitor<Backend> for Sums<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let parts = self.shards.iter_mut().filter_map(|s| s.remove::<Backend, D>(param.id));
        if let Some(gradient) = parts.reduce(|a, b| a + b) {
            let flat = gradient.reshape([-1]);
            let square = flat.clone().square().sum();
            self.square = Some(match self.square.take() {
                Some(sum) => sum + square,
                None => square,
            });
            self.gradients.insert(param.id, flat);
        }
    }
}

struct Update<'a> {
    adam: &'a mut Adam,
    gradients: BTreeMap<burn::module::ParamId, Tensor<1>>,
    scale: Tensor<1>,
    rate: f32,
    /// Of a matrix.
    kept: f32,
    epsilon: f32,
    path: Vec<String>,
}

impl ModuleMapper<Backend> for Update<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove(&id) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let gradient = gradient * self.scale.clone();
        let moments = self
            .adam
            .moments
            .remove(&self.path.join("."))
            .unwrap_or_else(|| Moments { first: gradient.zeros_like(), second: gradient.zeros_like() });
        let first = moments.first * BETA1 + gradient.clone() * (1.0 - BETA1);
        let second = moments.second * BETA2 + gradient.square() * (1.0 - BETA2);
        let update = first.clone() / (second.clone().sqrt() + self.epsilon) * self.rate;
        let shape = tensor.dims();
        let old = tensor.inner();
        let old = if D > 1 && self.kept < 1.0 { old * self.kept } else { old };
        let new = old - update.reshape(shape);
        self.adam.moments.insert(self.path.join("."), Moments { first, second });
        Param::from_mapped_value(id, Tensor::from_inner(new).require_grad(), mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{floats, to_host};
    use burn::module::Module;

    #[derive(Module, Debug)]
    struct Point<B: burn::prelude::Backend> {
        at: Param<burn::Tensor<B, 1>>,
    }

    fn step(point: Point<Backend>, adam: &mut Adam, shards: usize, clip: f32) -> Point<Backend> {
        let gradients = |_| {
            let point = Point::<Backend>::from_inner(point.valid());
            let loss = (point.at.val() * point.at.val()).sum() * 0.5 / shards as f32;
            GradientsParams::from_grads(loss.backward(), &point)
        };
        let mut gradients: Vec<_> = (0..shards).map(gradients).collect();
        adam.step(point, &mut gradients, 0.1, clip)
    }

    fn start() -> Point<Backend> {
        let device = Device::autodiff(Device::Flex(Default::default()));
        Point { at: Param::from_tensor(floats(vec![3.0, -4.0], [2], &device)) }
    }

    /// Two steps against the formulas of the paper, in f64.
    #[test]
    fn follows_the_paper() {
        let (mut adam, mut point) = (Adam::default(), start());
        let (mut x, mut m, mut v) = ([3.0f64, -4.0], [0.0; 2], [0.0; 2]);
        for t in 1..=2 {
            point = step(point, &mut adam, 1, 1e9);
            for i in 0..2 {
                let g = x[i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (mh, vh): (f64, f64) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                x[i] -= 0.1 * mh / (vh.sqrt() + 1e-8);
            }
        }
        let found = to_host(point.at.val());
        found.iter().zip(x).for_each(|(a, b)| assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}"));
    }

    #[derive(Module, Debug)]
    struct Pair<B: burn::prelude::Backend> {
        vector: Param<burn::Tensor<B, 1>>,
        matrix: Param<burn::Tensor<B, 2>>,
    }

    /// Where the gradient is 0, Adam stays and only the decay moves, and only matrices.
    #[test]
    fn matrices_decay() {
        let device = Device::autodiff(Device::Flex(Default::default()));
        let pair = Pair {
            vector: Param::from_tensor(floats(vec![2.0], [1], &device)),
            matrix: Param::from_tensor(floats(vec![2.0], [1, 1], &device)),
        };
        let loss = (pair.vector.val() * 0.0 + pair.matrix.val().reshape([1]) * 0.0).sum();
        let mut gradients = [GradientsParams::from_grads(loss.backward(), &pair)];
        let mut adam = Adam { weight_decay: 0.5, ..Adam::default() };
        let pair = adam.step(pair, &mut gradients, 0.1, 1.0);
        assert_eq!([to_host(pair.vector.val()), to_host(pair.matrix.val())], [[2.0], [2.0 * 0.95]]);
    }

    #[test]
    fn shards_add_up_and_long_gradients_are_clipped() {
        let (mut whole, mut split) = (Adam::default(), Adam::default());
        step(start(), &mut whole, 1, 1.0);
        step(start(), &mut split, 2, 1.0);
        let first = |adam: &Adam| to_host(adam.moments["at"].first.clone());
        // The gradient (3, -4) has norm 5 and is cut to 1; the first moment holds a tenth of it.
        for (a, b) in first(&whole).iter().zip([0.06, -0.08]) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        for (a, b) in first(&whole).iter().zip(first(&split)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
