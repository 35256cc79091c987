//! A desk for tests of the `chord` command: a folder with a small data set, and the command in it.

// Each test file uses a part of it.
#![allow(dead_code)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder with a data set of 60 users who walk round a ring of 40 items, each at a pace of their own.
pub(crate) struct Desk {
    folder: TempDir,
}

/// A model small enough for tests in debug builds.
pub(crate) const SMALL: [&str; 12] = [
    "model.dim=16",
    "model.inner=16",
    "model.window=8",
    "profile.features=8",
    "profile.hidden=8",
    "train.batch=8",
    "train.evaluate_every=1",
    "train.checkpoint_every=1",
    "train.uniform.widths=[4]",
    "train.uniform.epochs=1",
    "train.static.epochs=1",
    "train.personal.epochs=1",
];

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines = (0..60).map(|user| {
            let items = (0..12).map(|t| format!(" i{}", (user * 7 + t * (1 + user % 3)) % 40));
            format!("u{user}{}\n", items.collect::<String>())
        });
        std::fs::write(folder.path().join("ring.txt"), lines.collect::<String>()).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chord"));
        command.args(args).current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn train_args<'a>(&self, run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let sets = ["data.source=ring.txt"].into_iter().chain(SMALL).chain(more.iter().copied());
        ["train", "--run", run, "--device", "cpu"]
            .into_iter()
            .chain(sets.flat_map(|s| ["--set", s]))
            .collect()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "chord {args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that must be refused with exit code 2; what it said.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(2), "chord {args:?}: {}", text(&output.stderr));
        text(&output.stderr)
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
