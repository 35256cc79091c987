//! Item names of a bundle: `items.tsv` beside it, one line `row <tab> raw id <tab> title` for each item row.

use crate::data::Dataset;
use anyhow::{Context, bail, ensure};
use std::collections::HashMap;
use std::path::Path;

/// Raw ids and titles by item row.
pub(super) struct Items {
    ids: Vec<String>,
    titles: Vec<String>,
    rows: HashMap<String, u32>,
}

impl Items {
    /// The text of `items.tsv`.
    pub(super) fn write(data: &Dataset) -> String {
        (0..data.items.len() as u32)
            .map(|row| format!("{row}\t{}\t{}\n", data.items[row as usize], data.item_name(row)))
            .collect()
    }

    /// Reads `items.tsv`; errors name file, line and field.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let (mut ids, mut titles, mut rows) = (Vec::new(), Vec::new(), HashMap::new());
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}", path.display(), number + 1);
            let mut fields = line.split('\t');
            let (Some(row), Some(id), Some(title)) = (fields.next(), fields.next(), fields.next()) else {
                bail!("{}: expected row, id and title separated by tabs", place());
            };
            ensure!(row.parse() == Ok(number), "{}: row is {row:?}, expected {number}", place());
            ids.push(id.to_owned());
            titles.push(title.to_owned());
            rows.insert(id.to_owned(), number as u32);
        }
        Ok(Self { ids, titles, rows })
    }

    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The item row of a raw id.
    pub(super) fn row(&self, id: &str) -> anyhow::Result<u32> {
        self.rows.get(id).copied().with_context(|| format!("item {id:?} is unknown to this model"))
    }

    /// The raw id of a row.
    pub(super) fn id(&self, row: u32) -> &str {
        &self.ids[row as usize]
    }

    /// The title of a row.
    pub(super) fn title(&self, row: u32) -> &str {
        &self.titles[row as usize]
    }
}
