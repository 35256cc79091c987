//! Tells optimised builds which commit they are made of, for the provenance of results. Other builds are not for results,
//! and need not be made anew at every commit.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return };
    // The log of HEAD grows with every commit and checkout.
    for path in [git(&["rev-parse", "--git-path", "logs/HEAD"]), git(&["rev-parse", "--git-path", "index"])] {
        path.iter().for_each(|path| println!("cargo::rerun-if-changed={path}"));
    }
    for source in ["src", "../plan-format", "../runtime-nostd", "../configs", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rustc-env=CHORD_COMMIT={commit}");
    if let Some(changes) = git(&["status", "--porcelain", "--untracked-files=no"]) {
        println!("cargo::rustc-env=CHORD_DIRTY={}", !changes.is_empty());
    }
}

/// What git says of this package's folder, or nothing where there is no git or no repository.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
