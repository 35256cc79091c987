//! Adam (Kingma and Ba 2015, arXiv 1412.6980) with the gradient of all parameters clipped together.
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
#[derive(Default)]
pub struct Adam {
    /// Steps taken.
    pub steps: u64,
    /// First and second moments by parameter name.
    pub moments: BTreeMap<String, Moments>,
}

/// Running means of a parameter's gradient and squared gradient, flat.
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
        module.map(&mut Update { adam: self, gradients, scale, rate, epsilon: EPSILON * bias2, path: Vec::new() })
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
        let moments = self.adam.moments.remove(&self.path.join(".")).unwrap_or_else(|| Moments {
            first: gradient.zeros_like(),
            second: gradient.zeros_like(),
        });
        let first = moments.first * BETA1 + gradient.clone() * (1.0 - BETA1);
        let second = moments.second * BETA2 + gradient.square() * (1.0 - BETA2);
        let update = first.clone() / (second.clone().sqrt() + self.epsilon) * self.rate;
        let shape = tensor.dims();
        let new = tensor.inner() - update.reshape(shape);
        self.adam.moments.insert(self.path.join("."), Moments { first, second });
        Param::from_mapped_value(id, Tensor::from_inner(new).require_grad(), mapper)
    }
}
