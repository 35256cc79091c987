//! The `chord` command: one file for each subcommand, arguments parsed and checked before anything runs.

mod budget;
mod config;
mod data;
mod embed;
mod evaluate;
mod export;
mod import;
mod inspect;
mod items;
mod make_table;
mod plan;
mod quickstart;
mod reproduce;
mod rerank;
mod rows;
mod sweep;
mod table;
mod train;

use crate::training::error::TrainingError;
use crate::training::interrupt;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// CHORD: recommenders that keep, for each user, as many bits of each channel as that user needs.
#[derive(Debug, Parser)]
#[command(name = "chord", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one go on MovieLens-100K: train, compare, plan, re-rank
    Quickstart(quickstart::Quickstart),
    /// Train a backbone, its baselines and the hypernetworks
    Train(train::Train),
    /// Train every point of a grid of knobs, and compare
    Sweep(sweep::Sweep),
    /// Hit rate, NDCG and cross-entropy of a run's models
    Evaluate(evaluate::Evaluate),
    /// A table from its configuration: train and evaluate several seeds, then tabulate
    Reproduce(reproduce::Reproduce),
    /// Tables, plots and a report of evaluated runs that differ only in their seed
    Table(make_table::MakeTable),
    /// Start a run from SASRec weights that PyTorch or RecBole trained
    Import(import::Import),
    /// Write the frozen model as a bundle for devices, or full-precision weights for PyTorch or RecBole
    Export(export::Export),
    /// Encode one user's interactions with the device's profile encoder on this machine
    Embed(embed::Embed),
    /// Make one user's plan
    Plan(plan::MakePlan),
    /// Write item rows that go with a request to a device whose bundle has no item table
    Rows(rows::MakeRows),
    /// Rank candidates with the device runtime on this machine
    Rerank(rerank::Rerank),
    /// Describe a bundle or a plan
    Inspect(inspect::Inspect),
    /// Fetch or describe interaction data
    Data(data::Data),
    /// Print the default configuration, every knob with its meaning
    Config(config::PrintConfig),
}

/// An error with its causes, without repeating a cause that the error above it already tells.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Runs the command line of this process. Bad input exits with 2, an interrupt with 130.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Quickstart(command) => command.run(),
        Command::Train(command) => command.run(),
        Command::Sweep(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Reproduce(command) => command.run(),
        Command::Table(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Embed(command) => command.run(),
        Command::Plan(command) => command.run(),
        Command::Rows(command) => command.run(),
        Command::Rerank(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Data(command) => command.run(),
        Command::Config(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", message(&error));
            match error.downcast_ref() {
                Some(TrainingError::Interrupted { .. }) => ExitCode::from(interrupt::EXIT_CODE),
                _ => ExitCode::from(2),
            }
        }
    }
}
