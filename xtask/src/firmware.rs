//! Builds the firmware for a board.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::boards::Board;

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Firmware<'a> {
    /// The board.
    pub board: &'static Board,
    /// The program: `rerank`, `updates`, `bare`, `whole`, `count`.
    pub bin: &'a str,
    /// Folder with model, plan, history and candidates; the firmware's own if none.
    pub request: Option<&'a Path>,
    /// Packs the plan into the arena.
    pub packed: bool,
    /// Cargo's target directory; the usual one if none.
    pub target_dir: Option<&'a Path>,
}

/// The firmware's folder.
pub fn folder() -> PathBuf {
    crate::test::workspace().join("firmware-example")
}

impl Firmware<'_> {
    /// Builds; returns the ELF, which the next build overwrites.
    ///
    /// # Errors
    /// The messages of a build that fails.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_with(&[])
    }

    /// As [`build`](Self::build), with one network alone, a feature of the firmware.
    ///
    /// # Errors
    /// The messages of a build that fails.
    pub fn build_for(&self, network: &str) -> Result<PathBuf> {
        self.build_with(&["--no-default-features", "--features", network])
    }

    /// As [`build`](Self::build), with an engine that computes in fixed point.
    ///
    /// # Errors
    /// The messages of a build that fails.
    pub fn build_fixed_point(&self) -> Result<PathBuf> {
        self.build_with(&["--features", "fixed-point"])
    }

    fn build_with(&self, features: &[&str]) -> Result<PathBuf> {
        let Self { board, bin, .. } = *self;
        let target_dir = match self.target_dir {
            Some(dir) => dir.to_owned(),
            // Apart from the workspace's, and for each core: their flags differ.
            None => env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| folder().join("target"), |dir| PathBuf::from(dir).join("firmware")),
        };
        // Of two cores with one target neither throws the other's build away.
        let target_dir = target_dir.join(board.core);
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["build", "--release", "--locked", "--target", board.target, "--bin", bin])
            .args(["--features", board.name])
            .args(["bare", "whole", "count"].contains(&bin).then_some("--features=bare"))
            .args((bin == "updates").then_some("--features=uart"))
            .args(self.packed.then_some("--features=packed"))
            .args(features)
            .args(["--config", &format!("target.{}.rustflags={:?}", board.target, board.rustflags)])
            .arg("--target-dir")
            .arg(&target_dir)
            .current_dir(folder());
        // Flags of the host would come in place of the core's.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        if let Some(request) = self.request {
            let request = request.canonicalize().with_context(|| request.display().to_string())?;
            command.env("CHORD_REQUEST_DIR", request);
        }
        let output = command.output().context("running cargo")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(target_dir.join(board.target).join("release").join(bin))
    }
}
