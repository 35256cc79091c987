//! A request for a program on a board: a random model, a plan, a history and candidates.

#[path = "../../../plan-format/tests/random_model/mod.rs"]
pub(crate) mod random_model;

use std::fs;
use std::path::Path;

use chord_plan::{Bundle, Manifest};

use random_model::Random;

/// Writes the files of a request to a folder. The model has its item table or not; rows of it are there for either.
pub(crate) fn write(manifest: &Manifest, has_items: bool, folder: &Path) {
    let mut random = Random(1);
    let [with, without] = random_model::with_and_without_items(manifest, &mut random);
    let table = Bundle::parse(&with).unwrap();
    let model = if has_items { &with } else { &without };
    let bundle = Bundle::parse(model).unwrap();
    fs::create_dir_all(folder).unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    put("model.chord", model);
    put("user.plan", &random_model::plan(&bundle, 1, &mut random));
    for (name, len) in [("history", 12), ("candidates", 20)] {
        let items = random_model::items(len, &table, &mut random);
        let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
        put(&format!("{name}.txt"), lines.as_bytes());
        put(&format!("{name}.rows"), &random_model::rows(&table, &items, bundle.model()));
    }
}
