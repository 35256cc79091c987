//! Adam (Kingma and Ba 2015, arXiv 1412.6980) with the gradient of all parameters clipped together and decoupled weight
//! decay (Loshchilov and Hutter 2019, arXiv 1711.05101), and the running mean of the weights it goes through (Polyak and
//! Juditsky 1992; exponential, with the bias to the first steps taken out).
//!
//! Moments and means are kept by parameter name, so that a checkpoint holds them beside the weights in one file.

use crate::config::TrainConfig;
use crate::model::parameters::{MapByName, map_by_name};
use crate::tensor::{Backend, Device, Tensor, floats, values};
use burn::module::{AutodiffModule, Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::TensorData;
use pulp::Arch;
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
    /// Share that a step keeps of `means`; 0 keeps none.
    pub averaging: f32,
    /// Threads that a large parameter is updated by, on the CPU; 0 and 1 are one. The result is the same.
    pub threads: usize,
    /// Running means of weights by parameter name, flat.
    pub means: BTreeMap<String, Tensor<1>>,
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
        Self { first: flat(first, device), second: flat(second, device) }
    }
}

/// Host data as a tensor of one axis.
pub(super) fn flat(data: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = data.len();
    floats(data, [n], device)
}

impl Adam {
    /// This state under the settings of a configuration.
    pub fn configured(self, train: &TrainConfig) -> Self {
        let TrainConfig { weight_decay, averaging, shards: threads, .. } = *train;
        Self { weight_decay, averaging, threads, ..self }
    }

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
        let mut sums = Sums { shards, gradients: BTreeMap::new() };
        module.visit(&mut sums);
        let t = self.steps as i32;
        let bias2 = (1.0 - BETA2.powi(t)).sqrt();
        let rule = Rule {
            rate: learning_rate as f32 * bias2 / (1.0 - BETA1.powi(t)),
            kept: 1.0 - learning_rate as f32 * self.weight_decay,
            epsilon: EPSILON * bias2,
            threads: self.threads,
        };
        let scale = Scale::of(&mut sums.gradients, clip);
        let gradients = sums.gradients;
        // The plain mean of the first steps, until they are as many as an exponential one remembers.
        let kept_mean = self.averaging.min(1.0 - 1.0 / t as f32);
        map_by_name(module, &mut Update { adam: self, gradients, scale, rule, kept_mean })
    }

    /// `module` with the running means in place of the weights that have one.
    pub fn averaged<M: Module<Backend>>(&self, module: M) -> M {
        map_by_name(module, &mut Averaged(&self.means))
    }
}

/// A flat gradient: on the host, where the CPU can take it apart without copying, or on its device.
// With GPU backends tensors are large; there is one of these for each parameter.
#[allow(clippy::large_enum_variant)]
enum Gradient {
    Host(TensorData),
    Device(Tensor<1>),
}

impl Gradient {
    fn new(gradient: Tensor<1>) -> Self {
        match gradient.device() {
            Device::Flex(_) => Self::Host(gradient.into_data()),
            _ => Self::Device(gradient),
        }
    }
}

/// Adds the shards' gradients, by parameter id.
struct Sums<'a> {
    shards: &'a mut [GradientsParams],
    gradients: BTreeMap<ParamId, Gradient>,
}

impl ModuleVisitor<Backend> for Sums<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let parts = self.shards.iter_mut().filter_map(|s| s.remove::<Backend, D>(param.id));
        if let Some(gradient) = parts.reduce(|a, b| a + b) {
            self.gradients.insert(param.id, Gradient::new(gradient.reshape([-1])));
        }
    }
}

/// What clipping multiplies every gradient with; it stays where the gradients are, so that no GPU is waited for.
#[derive(Clone)]
// As above; there is one of these in a step.
#[allow(clippy::large_enum_variant)]
enum Scale {
    Host(f32),
    Device(Tensor<1>),
}

impl Scale {
    /// For gradients that are all in one place.
    fn of(gradients: &mut BTreeMap<ParamId, Gradient>, clip: f32) -> Self {
        let (mut host, mut device) = (0.0, None);
        for gradient in gradients.values_mut() {
            match gradient {
                Gradient::Host(data) => {
                    host += square_sum(values(data));
                }
                Gradient::Device(gradient) => {
                    let square = gradient.clone().square().sum();
                    device = Some(device.map_or(square.clone(), |sum: Tensor<1>| sum + square));
                }
            }
        }
        match device {
            Some(square) => Self::Device(((square.sqrt() + 1e-6).recip() * clip).clamp_max(1.0)),
            None => Self::Host((clip / (host.sqrt() as f32 + 1e-6)).min(1.0)),
        }
    }
}

/// The squares' sum, in eight running sums so that no addition waits for the one before.
fn square_sum(values: &[f32]) -> f64 {
    Arch::new().dispatch(|| {
        let (eights, rest) = values.as_chunks::<8>();
        let mut sums = [0.0f64; 8];
        for eight in eights {
            sums.iter_mut().zip(eight).for_each(|(sum, &g)| *sum += f64::from(g) * f64::from(g));
        }
        sums.into_iter().sum::<f64>() + rest.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>()
    })
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Rule {
    rate: f32,
    /// Share of a matrix that decay leaves.
    kept: f32,
    epsilon: f32,
    threads: usize,
}

/// Elements that are worth a thread.
const PART: usize = 1 << 16;

impl Rule {
    /// In one pass: a large table is read and written once, with nothing allocated.
    fn on_host(self, gradient: &[f32], scale: f32, [first, second, weights]: [&mut [f32]; 3]) {
        let whole = gradient.len();
        let part = whole.div_ceil(self.threads.max(1)).max(PART);
        let parts = (gradient.chunks(part).zip(first.chunks_mut(part)))
            .zip(second.chunks_mut(part).zip(weights.chunks_mut(part)));
        std::thread::scope(|scope| {
            for (at, ((gradient, first), (second, weights))) in parts.enumerate() {
                let mut update = move || self.on_part(gradient, scale, [first, second, weights]);
                // The last part is this thread's own.
                if (at + 1) * part < whole {
                    scope.spawn(update);
                } else {
                    update()
                }
            }
        });
    }

    fn on_part(self, gradient: &[f32], scale: f32, [first, second, weights]: [&mut [f32]; 3]) {
        let moments = first.iter_mut().zip(second);
        Arch::new().dispatch(|| {
            for ((g, (m, v)), w) in gradient.iter().zip(moments).zip(weights) {
                let g = g * scale;
                *m = *m * BETA1 + g * (1.0 - BETA1);
                *v = *v * BETA2 + g * g * (1.0 - BETA2);
                *w = *w * self.kept - *m / (v.sqrt() + self.epsilon) * self.rate;
            }
        });
    }

    /// The same, operation by operation.
    fn on_device(
        self,
        gradient: Tensor<1>,
        scale: Tensor<1>,
        [first, second, weights]: [Tensor<1>; 3],
    ) -> [Tensor<1>; 3] {
        let gradient = gradient * scale;
        let first = first * BETA1 + gradient.clone() * (1.0 - BETA1);
        let second = second * BETA2 + gradient.square() * (1.0 - BETA2);
        let update = first.clone() / (second.clone().sqrt() + self.epsilon) * self.rate;
        [first, second, weights * self.kept - update]
    }
}

struct Update<'a> {
    adam: &'a mut Adam,
    gradients: BTreeMap<ParamId, Gradient>,
    scale: Scale,
    rule: Rule,
    kept_mean: f32,
}

impl MapByName for Update<'_> {
    fn map<const D: usize>(&mut self, path: &[String], param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove(&id) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let rule = if D > 1 { self.rule } else { Rule { kept: 1.0, ..self.rule } };
        let name = path.join(".");
        let (shape, weights) = (tensor.dims(), tensor.inner().reshape([-1]));
        let device = weights.device();
        let Moments { first, second } = self
            .adam
            .moments
            .remove(&name)
            .unwrap_or_else(|| Moments { first: weights.zeros_like(), second: weights.zeros_like() });
        let state = [first, second, weights];
        let [first, second, weights] = match (gradient, self.scale.clone()) {
            (Gradient::Host(mut gradient), Scale::Host(scale)) => {
                let mut state = state.map(Tensor::into_data);
                rule.on_host(values(&mut gradient), scale, state.each_mut().map(values));
                state.map(|data| Tensor::from_data(data, &device))
            }
            (Gradient::Device(gradient), Scale::Device(scale)) => rule.on_device(gradient, scale, state),
            _ => unreachable!("gradients are all in one place"),
        };
        if self.adam.averaging > 0.0 {
            let mean = match self.adam.means.remove(&name) {
                Some(mean) => mean * self.kept_mean + weights.clone() * (1.0 - self.kept_mean),
                None => weights.clone(),
            };
            self.adam.means.insert(name.clone(), mean);
        }
        self.adam.moments.insert(name, Moments { first, second });
        Param::from_mapped_value(id, Tensor::from_inner(weights.reshape(shape)).require_grad(), mapper)
    }
}

struct Averaged<'a>(&'a BTreeMap<String, Tensor<1>>);

impl MapByName for Averaged<'_> {
    fn map<const D: usize>(&mut self, path: &[String], param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(mean) = self.0.get(&path.join(".")) else { return param };
        let (id, tensor, mapper) = param.consume();
        let mean = Tensor::from_inner(mean.clone().reshape(tensor.dims()));
        Param::from_mapped_value(id, mean.set_require_grad(tensor.is_require_grad()), mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{floats, to_host};

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

    /// Of three weights the plain mean, of the fourth on what an exponential one with these shares is.
    #[test]
    fn weights_are_averaged() {
        let (mut adam, mut point) = (Adam { averaging: 2.0 / 3.0, ..Adam::default() }, start());
        let mut mean = [0.0f32; 2];
        for kept in [0.0, 1.0 / 2.0, 2.0 / 3.0, 2.0 / 3.0] {
            point = step(point, &mut adam, 1, 1e9);
            let now = to_host(point.at.val());
            mean.iter_mut().zip(now).for_each(|(mean, now)| *mean = *mean * kept + now * (1.0 - kept));
        }
        let found = to_host(adam.averaged(point.clone()).at.val());
        found.iter().zip(mean).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} {b}"));
        assert!(found != to_host(point.at.val()));
        assert_eq!(to_host(Adam::default().averaged(point.clone()).at.val()), to_host(point.at.val()));
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

    /// One pass on the host, of two threads, and operation by operation are the same to the last bit.
    #[test]
    fn host_and_device_agree() {
        let device = Device::Flex(Default::default());
        let n = 2 * PART + 50;
        let wave = |f: f32| (0..n).map(|i| (i as f32 * f).sin()).collect::<Vec<_>>();
        let rule = Rule { rate: 0.01, kept: 0.99, epsilon: 1e-8, threads: 2 };
        let (gradient, state) =
            (wave(0.7), [wave(0.3), wave(0.5).iter().map(|x| x.abs()).collect(), wave(1.1)]);
        let mut host = state.clone();
        rule.on_host(&gradient, 0.5, host.each_mut().map(Vec::as_mut_slice));
        let tensor = |data: Vec<f32>| floats(data, [n], &device);
        let scale = floats(vec![0.5], [1], &device);
        assert_eq!(host, rule.on_device(tensor(gradient), scale, state.map(tensor)).map(to_host));
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
