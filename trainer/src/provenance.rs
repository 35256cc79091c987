//! Where a result comes from: the commit of the source and the machine.

use serde::{Deserialize, Serialize};

/// What was running, and where. Fields that cannot be found out are left empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this program.
    pub chord: String,
    /// Commit that an optimised build of this program was made of (`build.rs`).
    pub commit: Option<String>,
    /// Whether tracked files differed from that commit then.
    pub dirty: Option<bool>,
    /// Processor and its logical cores.
    pub machine: String,
}

impl Provenance {
    /// Of this process.
    pub fn here() -> Self {
        Self {
            chord: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("CHORD_COMMIT").map(str::to_owned),
            dirty: option_env!("CHORD_DIRTY").map(|dirty| dirty == "true"),
            machine: machine(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
        }
    }
}

impl std::fmt::Display for Provenance {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let commit = self.commit.as_deref().unwrap_or("unknown");
        let dirty = if self.dirty == Some(true) { ", with changes" } else { "" };
        write!(f, "chord {}, commit {commit}{dirty}; {}", self.chord, self.machine)
    }
}

/// The processor of a `/proc/cpuinfo`.
fn machine(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    match cpuinfo.lines().filter(|line| line.starts_with("processor")).count() {
        0 => model.to_owned(),
        cores => format!("{model}, {cores} cores"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_with_its_cores() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: Fast (R) 1\n\nprocessor\t: 1\nmodel name\t: Fast (R) 1\n";
        assert_eq!(machine(cpuinfo), "Fast (R) 1, 2 cores");
        assert_eq!(machine(""), "unknown processor");
    }
}
