//! Requests for the example firmware, and building it around one.

use std::path::Path;
use std::sync::Mutex;
use std::{fs, io};

use chord_plan::{Bundle, Manifest, Plan};
use chord_runtime::{Engine, Options, Profile, ProfileRequirements, Ranked, Requirements};
use xtask::boards::Board;
use xtask::firmware::Firmware;

use crate::random_model::{self, Random};

/// What the firmware ranks: the files that its build script reads.
#[derive(Clone, Debug)]
pub struct Request {
    /// `model.chord`.
    pub model: Vec<u8>,
    /// `user.plan`.
    pub plan: Vec<u8>,
    /// `history.txt`: item rows, oldest first.
    pub history: Vec<u32>,
    /// `candidates.txt`: item rows.
    pub candidates: Vec<u32>,
}

impl Request {
    /// A model of these sizes with random weights, plan, history and candidates.
    ///
    /// # Panics
    /// If the manifest is not valid.
    pub fn random(manifest: &Manifest, history: usize, candidates: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let model = random_model::bundle(manifest, &mut random);
        let bundle = Bundle::parse(&model).expect("a written bundle is valid");
        let plan = random_model::plan(&bundle, 1 + random.below(1000) as u32, &mut random);
        let history = random_model::items(history, &bundle, &mut random);
        let candidates = random_model::items(candidates, &bundle, &mut random);
        Self { plan, history, candidates, model }
    }

    /// Writes the files to a folder, which is made if needed.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        let lines = |items: &[u32]| items.iter().map(|item| format!("{item}\n")).collect::<String>();
        fs::create_dir_all(dir)?;
        fs::write(dir.join("model.chord"), &self.model)?;
        fs::write(dir.join("user.plan"), &self.plan)?;
        fs::write(dir.join("history.txt"), lines(&self.history))?;
        fs::write(dir.join("candidates.txt"), lines(&self.candidates))
    }

    /// The messages that the firmware has to print, from the engine on this machine.
    ///
    /// # Panics
    /// If the engine refuses the request.
    pub fn expected_messages(&self) -> Vec<String> {
        let bundle = Bundle::parse(&self.model).expect("the request's model is valid");
        let plan = Plan::parse(&self.plan).expect("the request's plan is valid");
        let mut arena = vec![0; Requirements::of(&bundle, &Options::default()).arena_bytes];
        let mut lines = vec![format!("info arena {} bytes", arena.len())];
        let mut engine =
            Engine::new(bundle, &plan, &mut arena, Options::default()).expect("the plan fits the model");
        let mut ranked = vec![Ranked::default(); self.candidates.len()];
        let ranked =
            engine.rank(&self.history, &self.candidates, &mut ranked).expect("the request can be ranked");
        for (place, Ranked { item, logit }) in (1..).zip(ranked) {
            lines.push(format!("info rank {place} item {item} logit {:08x}", logit.to_bits()));
        }
        if let Some(requirements) = ProfileRequirements::of(&bundle) {
            let mut arena = vec![0; requirements.arena_bytes];
            let mut profile = Profile::new(bundle, &mut arena).expect("the bundle has a profile encoder");
            for &item in &self.history {
                profile.append(item).expect("the history can be encoded");
            }
            let embedding = profile.embedding().expect("the embedding is finite");
            for (place, x) in embedding.iter().enumerate() {
                lines.push(format!("info user {place} {:08x}", x.to_bits()));
            }
        }
        lines
    }
}

/// Builds the firmware around the request in `request_dir` for a board and puts the ELF at `elf`.
///
/// Only the firmware's own crate is built anew for each request. `target_dir` is cargo's, for all builds.
///
/// # Panics
/// If the build fails, with its output.
pub fn build(board: &'static Board, request_dir: &Path, target_dir: &Path, elf: &Path) {
    // One build at a time: they all leave the ELF at the same place.
    static BUILD: Mutex<()> = Mutex::new(());
    let _alone = BUILD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let firmware = Firmware {
        board,
        bin: "rerank",
        request: Some(request_dir),
        packed: false,
        target_dir: Some(target_dir),
    };
    fs::copy(firmware.build().unwrap_or_else(|output| panic!("{output}")), elf)
        .expect("the ELF can be copied");
}
