//! The knobs. Their meaning and defaults stand in `configs/default.toml`, which is compiled in.

use crate::allocator::Rule;
use crate::data::{Filters, SplitRule};
use crate::model::activation_quantiser::ActivationQuantiser;
use chord_plan::manifest::Activation;
use serde::{Deserialize, Serialize};

/// Everything a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where interactions come from.
    pub data: DataConfig,
    /// The backbone.
    pub model: ModelConfig,
    /// The profile encoder.
    pub profile: ProfileConfig,
    /// The hypernetworks.
    pub hypernetwork: HypernetworkConfig,
    /// The quantiser.
    pub quantisation: QuantisationConfig,
    /// Bit budgets.
    pub budget: BudgetConfig,
    /// The per-user baseline of evaluations.
    pub fine_tuning: FineTuningConfig,
    /// Optimisation.
    pub train: TrainConfig,
}

impl Config {
    /// Inputs of a training window: SASRec's own window; Caser computes a longer stretch of windows at once.
    pub fn training_window(&self) -> usize {
        let window = usize::from(self.model.window);
        match self.model.backbone {
            BackboneName::SasRec => window,
            BackboneName::Caser => window.max(self.train.stretch),
        }
    }
}

/// `[data]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// "ml-100k" or a path.
    pub source: String,
    /// Folder of fetched data sets.
    pub cache: std::path::PathBuf,
    /// Malformed lines that may be skipped.
    pub skip_bad: usize,
    /// Least rating; 0 is none.
    pub min_rating: f64,
    /// Least interactions of a user and of an item.
    pub k_core: usize,
    /// Least interactions of a user.
    pub min_length: usize,
    /// How interactions are held out.
    pub split: SplitName,
    /// Of a temporal split: share of interactions between the cuts.
    pub validation_share: f64,
    /// Of a temporal split: share of interactions after the second cut.
    pub test_share: f64,
}

/// Names of split rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitName {
    /// Each user's last two interactions are held out.
    LeaveOneOut,
    /// What comes after two points in time is held out.
    Temporal,
}

impl DataConfig {
    /// What is held out.
    pub fn split(&self) -> SplitRule {
        match self.split {
            SplitName::LeaveOneOut => SplitRule::LeaveOneOut,
            SplitName::Temporal => {
                SplitRule::Temporal { validation_share: self.validation_share, test_share: self.test_share }
            }
        }
    }

    /// Which interactions count.
    pub fn filters(&self) -> Filters {
        Filters { min_rating: self.min_rating, k_core: self.k_core, min_length: self.min_length }
    }
}

/// Names of backbones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackboneName {
    /// Self-attention.
    SasRec,
    /// Convolutions.
    Caser,
}

/// `[model]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Which ranking model.
    pub backbone: BackboneName,
    /// Hidden size.
    pub dim: u16,
    /// Feed-forward size.
    pub inner: u16,
    /// Transformer blocks.
    pub blocks: u8,
    /// Attention heads.
    pub heads: u8,
    /// Horizontal filters of each height (Caser).
    pub horizontal: u16,
    /// Vertical filters (Caser).
    pub vertical: u16,
    /// Device window L.
    pub window: u16,
    /// Feed-forward activation.
    pub activation: ActivationName,
    /// Where SASRec normalises.
    pub norm: NormOrder,
    /// Where SASRec counts positions from.
    pub positions: PositionsFrom,
    /// Added to variances.
    pub norm_epsilon: f32,
    /// Of initial embeddings.
    pub embedding_std: f64,
    /// Dropout rate.
    pub dropout: f64,
}

/// Where SASRec's layer norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormOrder {
    /// Before attention, before the feed-forward layers, and at the end.
    Pre,
    /// On the input, and after each residual sum, as in BERT and RecBole.
    Post,
}

/// Which end of a history has a fixed position embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionsFrom {
    /// The newest item has the last position.
    Right,
    /// The oldest item in the window has the first position, as in RecBole.
    Left,
}

/// Names of activation functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivationName {
    /// max(x, 0)
    Relu,
    /// With erf.
    Gelu,
}

impl From<ActivationName> for Activation {
    fn from(name: ActivationName) -> Self {
        match name {
            ActivationName::Relu => Self::Relu,
            ActivationName::Gelu => Self::Gelu,
        }
    }
}

/// `[profile]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileConfig {
    /// Items the GRU sees; 0 is all.
    pub recent: usize,
    /// Items in the pooled sum.
    pub pooled: usize,
    /// Inputs of the GRU.
    pub features: usize,
    /// Size of the user embedding.
    pub hidden: usize,
    /// Dropout of the user embedding.
    pub dropout: f64,
    /// Share of items left out in training.
    pub history_dropout: f64,
}

/// `[hypernetwork]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HypernetworkConfig {
    /// Element-level importance on.
    pub element: bool,
    /// Filter-level importance on.
    pub filter: bool,
    /// Layer-level importance on.
    pub layer: bool,
    /// Rank of element-level importance.
    pub rank: usize,
    /// Standard deviation of initial shared log-scores.
    pub shared_spread: f64,
}

/// `[quantisation]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantisationConfig {
    /// Bits of plan codes.
    pub palette: Vec<u8>,
    /// Activations into quantised layers.
    pub activations: ActivationQuantiser,
    /// Whether every width has a scale and a bias of its own.
    pub per_width: bool,
    /// Initial range in standard deviations.
    pub range_deviations: f32,
}

/// `[budget]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// Average bits per weight.
    pub default: f32,
    /// How bits follow from scores.
    pub allocator: Rule,
    /// Share of training steps at the default.
    pub fixed_share: f64,
    /// Least budget drawn in training.
    pub lowest: f32,
    /// Greatest budget drawn in training.
    pub highest: f32,
    /// Budgets of the rows of a saved evaluation.
    pub evaluate: Vec<f32>,
}

/// `[fine_tuning]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuningConfig {
    /// Users that are fine-tuned; 0 leaves the baseline out.
    pub users: usize,
    /// Numbers of steps to choose from, increasing.
    pub steps: Vec<usize>,
    /// Learning rates to choose from.
    pub learning_rates: Vec<f64>,
}

/// `[train]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Of everything random.
    pub seed: u64,
    /// Windows in a step.
    pub batch: usize,
    /// Longest stretch of a sequence that a training window of Caser covers.
    pub stretch: usize,
    /// Threads a step is split over.
    pub shards: usize,
    /// Whether the weights of quantised layers keep their initial values.
    pub frozen_layers: bool,
    /// Warm-up steps.
    pub warm_up: usize,
    /// Gradient norm bound.
    pub clip: f32,
    /// Decoupled decay of matrices.
    pub weight_decay: f32,
    /// Share that a step keeps of the running mean of weights; 0 is no mean.
    pub averaging: f32,
    /// Of straight-through gates.
    pub gate_temperature: f32,
    /// Epochs between validations.
    pub evaluate_every: usize,
    /// Which validation is the best.
    pub choose_by: ChooseBy,
    /// Validations without a better one that end a stage; 0 is never.
    pub patience: usize,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// What is minimised.
    pub loss: LossConfig,
    /// Learning from the full-precision model, too.
    pub distillation: DistillationConfig,
    /// Full precision.
    pub fp32: Schedule,
    /// Full precision again, with what was reserved for personal stages.
    pub refit: Schedule,
    /// Uniform baselines.
    pub uniform: UniformConfig,
    /// Shared scores by Fisher information.
    pub fisher: FisherConfig,
    /// Static mixed precision.
    #[serde(rename = "static")]
    pub static_: Schedule,
    /// Personal plans.
    pub personal: PersonalConfig,
    /// Baseline: binary masks.
    pub masks: MasksConfig,
}

/// `[train.loss]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Which.
    pub kind: LossName,
    /// Items drawn as negatives.
    pub negatives: usize,
}

/// `[train.distillation]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillationConfig {
    /// Share of it in the loss of all stages but full precision; 0 leaves it out.
    pub weight: f32,
    /// Of both softmaxes.
    pub temperature: f32,
    /// Run folder of another teacher; empty is the run itself.
    pub teacher: std::path::PathBuf,
}

/// Names of losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// Cross-entropy over the whole catalogue.
    Softmax,
    /// Cross-entropy over the target and negatives that all positions of a step share.
    SampledSoftmax,
    /// Binary cross-entropy with negatives of each position's own, as in the SASRec paper.
    Bce,
}

/// `[train.fisher]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FisherConfig {
    /// Training windows the information is estimated on; 0 leaves it out.
    pub windows: usize,
    /// Whether static mixed precision by these scores alone is trained, as a baseline.
    pub train: bool,
}

/// `[train.masks]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasksConfig {
    /// Whether the baseline is trained, with the schedules of the static and the personal stage.
    pub train: bool,
}

/// `[train.personal]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonalConfig {
    /// Passes over the training windows.
    pub epochs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of each user's training interactions, the newest, that personal stages have for themselves.
    pub reserved: f64,
    /// What learns beside the profile encoder and the hypernetworks.
    pub learns: Learns,
    /// Whether personal deviations are taken from their mean over users.
    pub centred: bool,
    /// Shares of the personal deviation to choose from on validation.
    pub strengths: Vec<f32>,
    /// Supervision by each user's own Fisher information.
    pub fisher: SupervisionConfig,
}

/// `[train.personal.fisher]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisionConfig {
    /// Of the squared distance between deviations, beside a position's loss; 0 leaves it out.
    pub weight: f32,
    /// Training windows of each user.
    pub windows: usize,
}

impl PersonalConfig {
    /// Length and step size.
    pub fn schedule(&self) -> Schedule {
        Schedule { epochs: self.epochs, learning_rate: self.learning_rate }
    }
}

/// How much of the backbone a personal stage trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Learns {
    /// Nothing.
    Plans,
    /// Scales and biases of widths.
    Widths,
    /// All of it.
    Everything,
}

/// Names of figures that choose among validations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChooseBy {
    /// The highest NDCG over the whole ranking.
    Ndcg,
    /// The lowest cross-entropy of the held-out item.
    CrossEntropy,
}

/// Length and step size of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Passes over the training windows.
    pub epochs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
}

/// `[train.uniform]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UniformConfig {
    /// A baseline for each.
    pub widths: Vec<u8>,
    /// Passes over the training windows.
    pub epochs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
}

impl UniformConfig {
    /// Length and step size.
    pub fn schedule(&self) -> Schedule {
        Schedule { epochs: self.epochs, learning_rate: self.learning_rate }
    }
}
