//! Configuration: the committed defaults, overlaid by a file, overlaid by `--set`.

mod overlay;
mod schema;
mod validate;

pub use overlay::{ConfigError, DEFAULTS, load};
pub use schema::{
    BackboneName, BudgetConfig, ChooseBy, Config, DataConfig, FisherConfig, HypernetworkConfig, Learns,
    LossConfig, LossName, MasksConfig, ModelConfig, PersonalConfig, ProfileConfig, QuantisationConfig,
    Schedule, TrainConfig, UniformConfig,
};
