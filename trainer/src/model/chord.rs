//! The whole system in one module: backbone, shared scores, profile encoder and hypernetworks.

use super::activation_quantiser::ActivationQuantiser;
use super::dropout::Dropout;
use super::mixed_precision::{PaletteSteps, uniform};
use super::profile::Profile;
use super::quantised_linear::LayerWeights;
use super::sasrec::SasRec;
use crate::allocator::{Allocation, AllocationError, RateDistortion, gates};
use crate::config::Config;
use crate::hypernetwork::{Channels, Granularities, Hypernetworks, SharedScores};
use crate::model::profile::Histories;
use crate::tensor::{Backend, Device, Tensor, to_host};
use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::Backend as BurnBackend;
use chord_plan::manifest::SasRecShape;

/// Everything a run trains.
#[derive(Module, Debug)]
pub struct Chord<B: BurnBackend> {
    /// Frozen on the device.
    pub backbone: SasRec<B>,
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
    /// One plan for all users, from the shared scores.
    Static,
    /// A plan for each user.
    Personal,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Fp32 => write!(f, "fp32"),
            Self::Uniform(bits) => write!(f, "uniform{bits}"),
            Self::Static => write!(f, "static"),
            Self::Personal => write!(f, "personal"),
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
}

/// The allocator of a configuration and a backbone.
pub fn allocator(config: &Config, channels: &Channels) -> RateDistortion {
    RateDistortion::new(&config.quantisation.palette, channels.weights_per_channel())
}

impl Chord<Backend> {
    /// Fresh weights. Initialised on the CPU, so that every device starts from the same ones.
    pub fn new(config: &Config, items: u32, device: &Device) -> Self {
        let cpu = Device::autodiff(Device::Flex(Default::default()));
        Backend::seed(&cpu, config.train.seed);
        let shape = config.shape(items);
        let backbone = SasRec::new(&shape, config.model.embedding_std, &cpu);
        let channels = Channels::of(&backbone);
        let (p, h) = (&config.profile, &config.hypernetwork);
        let granularities = Granularities { element: h.element, filter: h.filter, layer: h.layer };
        let model = Self {
            shared: SharedScores::new(&channels, h.shared_spread, &cpu),
            profile: Profile::new(usize::from(config.model.dim), p.features, p.hidden, &cpu),
            hypernetworks: Hypernetworks::new(&channels, p.hidden, h.rank, granularities, &cpu),
            backbone,
        };
        model.fork(device)
    }

    /// With gradients only where a stage learns: the backbone, with the shared scores in the static stage; only the
    /// profile encoder and the hypernetworks in the personal stage.
    pub fn learning(self, stage: Precision) -> Self {
        fn only<M: Module<Backend>>(module: M, learns: bool) -> M {
            module.map(&mut RequireGrad(learns))
        }
        let personal = stage == Precision::Personal;
        Self {
            backbone: only(self.backbone, !personal),
            shared: only(self.shared, stage == Precision::Static),
            profile: only(self.profile, personal),
            hypernetworks: only(self.hypernetworks, personal),
        }
    }

    /// User embeddings, [batch, hidden]; see [`Profile::forward`].
    pub fn user_embeddings(&self, histories: &Histories, dropout: &mut Dropout, rate: f64) -> Tensor<2> {
        self.profile.forward(self.backbone.items.val(), histories, dropout, rate)
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
        allocator: &RateDistortion,
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
            Precision::Static | Precision::Personal => None,
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
        allocator: &RateDistortion,
        budget: f32,
        temperature: f32,
    ) -> Result<Vec<LayerWeights>, AllocationError> {
        let allocations = Self::allocate(&log_scores, allocator, budget)?;
        Ok(palette.select(&gates(log_scores, &allocations, allocator.thresholds(), temperature)))
    }
}

/// Sets whether parameters take part in backpropagation.
struct RequireGrad(bool);

impl ModuleMapper<Backend> for RequireGrad {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        Param::from_mapped_value(id, tensor.detach().set_require_grad(self.0), mapper)
    }
}

impl Config {
    /// Sizes of the backbone for a catalogue of `items`.
    pub fn shape(&self, items: u32) -> SasRecShape {
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
}
