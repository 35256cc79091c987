//! The whole system in one module: backbone, shared scores, profile encoder and hypernetworks.

use super::activation_quantiser::ActivationQuantiser;
use super::backbone::Backbone;
use super::caser::CaserShape;
use super::dropout::Dropout;
use super::mixed_precision::{PaletteSteps, uniform};
use super::profile::Profile;
use super::quantised_linear::LayerWeights;
use crate::allocator::{Allocation, AllocationError, Allocator, gates};
use crate::config::{Config, Learns};
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
        Backend::seed(&cpu, config.train.seed);
        let mut backbone = Backbone::new(config, items, &cpu);
        if config.quantisation.per_width {
            backbone = backbone.map_layers(|l| l.with_per_width(&[0, 2, 4, 8]));
        }
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

    /// With gradients only where a stage learns: the backbone, with the shared scores where they are learned; in
    /// personal stages the profile encoder and the hypernetworks, with as much of the backbone as `learns` says.
    pub fn learning(self, stage: Precision, learns: Learns) -> Self {
        fn only<M: Module<Backend>>(module: M, learns: Learns) -> M {
            module.map(&mut RequireGrad { learns, depth: 0 })
        }
        let when = |on| if on { Learns::Everything } else { Learns::Plans };
        let personal = stage.is_personal();
        Self {
            backbone: only(self.backbone, if personal { learns } else { Learns::Everything }),
            shared: only(self.shared, when(matches!(stage, Precision::Static | Precision::StaticMask))),
            profile: only(self.profile, when(personal)),
            hypernetworks: only(self.hypernetworks, when(personal)),
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

/// Sets which parameters take part in backpropagation.
struct RequireGrad {
    learns: Learns,
    /// Modules entered below one that holds scales and biases of widths.
    depth: usize,
}

impl ModuleMapper<Backend> for RequireGrad {
    fn enter_module(&mut self, name: &str, _: &str) {
        if name == "per_width" || self.depth > 0 {
            self.depth += 1;
        }
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let learns = match self.learns {
            Learns::Plans => false,
            Learns::Widths => self.depth > 0,
            Learns::Everything => true,
        };
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
        CaserShape {
            items: items as usize,
            window: m.window.into(),
            dim: m.dim.into(),
            horizontal: m.horizontal.into(),
            vertical: m.vertical.into(),
        }
    }
}
