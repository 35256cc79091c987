//! The whole system in one module: backbone, shared scores, profile encoder and hypernetworks.

use super::activation_quantiser::ActivationQuantiser;
use super::backbone::Backbone;
use super::dropout::Dropout;
use super::initialisation::seeded;
use super::mixed_precision::{PaletteSteps, uniform};
use super::parameters::{MapByName, map_by_name};
use super::profile::Profile;
use super::quantised_linear::LayerWeights;
use crate::allocator::{Allocation, AllocationError, Allocator, gates};
use crate::config::{Config, Learns, TrainConfig};
use crate::hypernetwork::{Channels, Granularities, Hypernetworks, SharedScores};
use crate::model::profile::Histories;
use crate::tensor::{Backend, Device, Tensor, to_host};
use burn::module::{AutodiffModule, Module, Param};
use burn::prelude::Backend as BurnBackend;
use burn::tensor::backend::DeviceOps;
use chord_plan::manifest::{CaserShape, SasRecShape};

/// Everything a run trains.
#[derive(Module, Debug)]
pub struct Chord<B: BurnBackend> {
    /// Frozen on the device.
    pub backbone: Backbone<B>,
    /// Scores of static mixed precision.
    pub shared: SharedScores<B>,
    /// Device: interactions -> user embedding.
    pub profile: Profile<B>,
    /// Cloud: user embedding -> deviation from the shared scores.
    pub hypernetworks: Hypernetworks<B>,
}

/// How the weights of a forward pass are chosen; each is also the training stage that prepares for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f32 weights and activations.
    Fp32,
    /// One width for every channel.
    Uniform(u8),
    /// One plan for all users, from the Fisher information of the full-precision model.
    Fisher,
    /// One plan for all users, from learned scores.
    Static,
    /// A plan for each user.
    Personal,
    /// One binary mask for all users: channels have 0 or 8 bits.
    StaticMask,
    /// A binary mask for each user, as in DIET (Fu et al., KDD 2024).
    PersonalMask,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Fp32 => write!(f, "fp32"),
            Self::Uniform(bits) => write!(f, "uniform{bits}"),
            Self::Fisher => write!(f, "fisher"),
            Self::Static => write!(f, "static"),
            Self::Personal => write!(f, "personal"),
            Self::StaticMask => write!(f, "static-mask"),
            Self::PersonalMask => write!(f, "personal-mask"),
        }
    }
}

impl Precision {
    /// How activations enter quantised layers at this precision.
    pub fn activations(self, config: &Config) -> ActivationQuantiser {
        match self {
            Self::Fp32 => ActivationQuantiser::None,
            _ => config.quantisation.activations,
        }
    }

    /// The widths that plan codes stand for, in bits.
    pub fn palette(self, config: &Config) -> &[u8] {
        match self {
            Self::StaticMask | Self::PersonalMask => &[0, 8],
            _ => &config.quantisation.palette,
        }
    }

    /// Whether each user has a plan.
    pub fn is_personal(self) -> bool {
        matches!(self, Self::Personal | Self::PersonalMask)
    }
}

/// The allocator of a precision and a backbone.
pub fn allocator(config: &Config, precision: Precision, channels: &Channels) -> Allocator {
    Allocator::new(config.budget.allocator, precision.palette(config), channels.weights_per_channel())
}

impl Chord<Backend> {
    /// Fresh weights. Initialised on the CPU, so that every device starts from the same ones.
    pub fn new(config: &Config, items: u32, device: &Device) -> Self {
        let cpu = Device::autodiff(Device::Flex(Default::default()));
        // Tracked tensors cannot move between backends: plain ones do, and learn again there. All of it while no one
        // else draws: burn draws some parameters when they are first read.
        let moved = seeded(config.train.seed, &cpu, || {
            Self::from_inner(Self::draw(config, items, &cpu).valid().to_device(DeviceOps::inner(device)))
        });
        learning_where(moved, |_| true)
    }

    fn draw(config: &Config, items: u32, cpu: &Device) -> Self {
        let mut backbone = Backbone::new(config, items, cpu);
        if config.quantisation.per_width {
            backbone = backbone.map_layers(|l| l.with_per_width(&[0, 2, 4, 8]));
        }
        let channels = Channels::of(&backbone);
        let (p, h) = (&config.profile, &config.hypernetwork);
        let granularities = Granularities { element: h.element, filter: h.filter, layer: h.layer };
        Self {
            shared: SharedScores::new(&channels, h.shared_spread, cpu),
            profile: Profile::new(usize::from(config.model.dim), p.features, p.hidden, cpu),
            hypernetworks: Hypernetworks::new(&channels, p.hidden, h.rank, granularities, cpu),
            backbone,
        }
    }

    /// With gradients only where a stage learns: the backbone, with the shared scores where they are learned; in
    /// personal stages the profile encoder and the hypernetworks, with as much of the backbone as the configuration
    /// says.
    pub fn learning(self, stage: Precision, train: &TrainConfig) -> Self {
        let personal = stage.is_personal();
        let learns = if personal { train.personal.learns } else { Learns::Everything };
        let learns = |path: &[String]| {
            let is = |name: &str| path.iter().any(|part| part == name);
            match learns {
                Learns::Plans => false,
                Learns::Widths => is("per_width"),
                // Only quantised layers call a parameter weight.
                Learns::Everything => !(train.frozen_layers && is("weight")),
            }
        };
        Self {
            backbone: learning_where(self.backbone, learns),
            shared: learning_where(self.shared, |_| {
                matches!(stage, Precision::Static | Precision::StaticMask)
            }),
            profile: learning_where(self.profile, |_| personal),
            hypernetworks: learning_where(self.hypernetworks, |path| {
                personal && path.iter().all(|part| part != "shrinkage")
            }),
        }
    }

    /// User embeddings, [batch, hidden]; see [`Profile::forward`].
    pub fn user_embeddings(&self, histories: &Histories, dropout: &mut Dropout, rate: f64) -> Tensor<2> {
        self.profile.forward(self.backbone.items().val(), histories, dropout, rate)
    }

    /// Log-scores of every channel: [1, channels] without user embeddings, else [batch, channels].
    pub fn log_scores(&self, users: Option<Tensor<2>>) -> Tensor<2> {
        let shared = self.shared.forward(&Channels::of(&self.backbone));
        match users {
            None => shared,
            Some(z) => shared + self.hypernetworks.forward(z, &self.backbone),
        }
    }

    /// The plan of each row of `log_scores` within `budget` bits.
    ///
    /// # Errors
    /// If the budget is out of reach or a score is not finite.
    pub fn allocate(
        log_scores: &Tensor<2>,
        allocator: &Allocator,
        budget: f32,
    ) -> Result<Vec<Allocation>, AllocationError> {
        let width = log_scores.dims()[1];
        to_host(log_scores.clone().detach())
            .chunks(width)
            .map(|row| allocator.allocate(row, budget))
            .collect()
    }

    /// The weights of every layer at a precision that needs no scores.
    pub fn fixed_weights(&self, precision: Precision) -> Option<Vec<LayerWeights>> {
        match precision {
            Precision::Fp32 => Some(self.backbone.full_precision()),
            Precision::Uniform(bits) => Some(uniform(&self.backbone, bits)),
            _ => None,
        }
    }

    /// The weights of every layer under differentiable gates.
    ///
    /// # Errors
    /// As [`Chord::allocate`].
    pub fn planned_weights(
        &self,
        log_scores: Tensor<2>,
        palette: &PaletteSteps,
        allocator: &Allocator,
        budget: f32,
        temperature: f32,
    ) -> Result<Vec<LayerWeights>, AllocationError> {
        let allocations = Self::allocate(&log_scores, allocator, budget)?;
        Ok(palette.select(&gates(log_scores, &allocations, temperature)))
    }
}

/// `module` with gradients for the parameters at these paths alone.
fn learning_where<M: Module<Backend>>(module: M, learns: impl Fn(&[String]) -> bool) -> M {
    map_by_name(module, &mut RequireGrad(learns))
}

struct RequireGrad<F>(F);

impl<F: Fn(&[String]) -> bool> MapByName for RequireGrad<F> {
    fn map<const D: usize>(&mut self, path: &[String], param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let learns = (self.0)(path);
        Param::from_mapped_value(id, tensor.detach().set_require_grad(learns), mapper)
    }
}

impl Config {
    /// Sizes of a SASRec backbone for a catalogue of `items`.
    pub fn sasrec_shape(&self, items: u32) -> SasRecShape {
        let m = &self.model;
        SasRecShape {
            items,
            positions: m.window,
            dim: m.dim,
            inner: m.inner,
            blocks: m.blocks,
            heads: m.heads,
            activation: m.activation.into(),
            norm_epsilon: m.norm_epsilon,
        }
    }

    /// Sizes of a Caser backbone for a catalogue of `items`.
    pub fn caser_shape(&self, items: u32) -> CaserShape {
        let m = &self.model;
        CaserShape { items, window: m.window, dim: m.dim, horizontal: m.horizontal, vertical: m.vertical }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// Names of the parameters that learn.
    fn learning(stage: Precision, more: &[&str]) -> Vec<String> {
        struct Names(Vec<String>, Vec<String>);
        impl burn::module::ModuleVisitor<Backend> for Names {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.0.push(name.to_owned());
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.0.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if param.is_require_grad() {
                    self.1.push(self.0.join("."));
                }
            }
        }
        let sets = ["model.dim=8", "model.blocks=1", "quantisation.per_width=true"].into_iter();
        let sets: Vec<String> = sets.chain(more.iter().copied()).map(str::to_owned).collect();
        let config = config::load(None, &sets).unwrap();
        let device = Device::autodiff(Device::Flex(Default::default()));
        let mut names = Names(Vec::new(), Vec::new());
        Chord::new(&config, 5, &device).learning(stage, &config.train).visit(&mut names);
        names.1
    }

    #[test]
    fn stages_learn_their_own_parts() {
        let all = |names: &[String], part: &str| names.iter().all(|n| n.contains(part)) && !names.is_empty();
        let any = |names: &[String], part: &str| names.iter().any(|n| n.contains(part));
        assert!(all(&learning(Precision::Fp32, &[]), "backbone."));
        assert!(any(&learning(Precision::Static, &[]), "shared."));
        assert!(!any(&learning(Precision::Fisher, &[]), "shared."));
        let plans = learning(Precision::Personal, &[]);
        assert!(any(&plans, "profile.") && any(&plans, "hypernetworks.") && !any(&plans, "backbone."));
        assert!(!any(&plans, "shrinkage."));
        let widths = learning(Precision::Personal, &["train.personal.learns=widths"]);
        let backbone: Vec<String> = widths.into_iter().filter(|n| n.starts_with("backbone")).collect();
        assert!(all(&backbone, "per_width"));
        let frozen = learning(Precision::Fp32, &["train.frozen_layers=true"]);
        assert!(any(&frozen, "items") && any(&frozen, "log_range") && !any(&frozen, ".weight"));
    }
}
