//! The trainer of CHORD (arXiv 2510.03038): a frozen recommender, and the hypernetworks that plan for each user how
//! many bits of it a device keeps.
//!
//! - [`data`]: interactions in, sequences out.
//! - [`model`], [`hypernetwork`], [`allocator`]: the networks and the plan they lead to.
//! - [`training`], [`evaluation`], [`results`]: stages with checkpoints; metrics; tables and plots of several runs.
//! - [`freeze`], [`frozen`], [`simulation`]: the model that leaves for devices, and their arithmetic in plain view.
//! - [`interop`]: weights from PyTorch and back.
//! - [`config`], [`run`], [`provenance`], [`cli`]: knobs, run folders, where results come from, the command.

// Deep generic types of the tensor library.
#![recursion_limit = "256"]

pub mod allocator;
pub mod atomic_file;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod evaluation;
mod exponential;
pub mod freeze;
pub mod frozen;
pub mod hypernetwork;
pub mod inspect;
pub mod interop;
pub mod logging;
mod markdown;
pub mod model;
pub mod provenance;
pub mod random;
pub mod results;
pub mod run;
pub mod simulation;
pub mod tensor;
pub mod training;
