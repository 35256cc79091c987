//! Configuration: the committed defaults, overlaid by a file, overlaid by `--set`.

mod overlay;
mod schema;
mod validate;

pub use overlay::{ConfigError, DEFAULTS, load};
pub use schema::{
    BudgetConfig, ChooseBy, Config, DataConfig, HypernetworkConfig, ModelConfig, ProfileConfig,
    QuantisationConfig, Schedule, TrainConfig, UniformConfig,
};
