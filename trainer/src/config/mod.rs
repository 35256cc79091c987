//! Configuration: the committed defaults, overlaid by a file, overlaid by `--set`.

mod overlay;
mod schema;
mod validate;

pub use overlay::{ConfigError, DEFAULTS, load, load_over};
pub use schema::{
    BackboneName, BudgetConfig, ChooseBy, Config, DataConfig, DistillationConfig, FisherConfig,
    HypernetworkConfig, Learns, LossConfig, LossName, MasksConfig, ModelConfig, NormOrder, PersonalConfig,
    PositionsFrom, ProfileConfig, QuantisationConfig, Schedule, TrainConfig, UniformConfig,
};
