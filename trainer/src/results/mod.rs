//! Runs that differ only in their seed, merged into tables, plots and one report (docs/evaluation.md).

mod accuracy_plot;
mod chart;
mod comparison;
mod curves_plot;
mod figure;
mod maps_plot;
mod merge;
mod report;
mod table;
mod write;

pub use merge::{MergeError, Merged};
pub use write::{ResultsError, write};
