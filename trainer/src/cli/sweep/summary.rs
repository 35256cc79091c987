//! What a sweep came to, as Markdown, JSON and CSV.

use super::grid::Point;
use crate::evaluation::Report;
use crate::markdown;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One finished run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Folder in the sweep's.
    pub(super) run: String,
    /// Value by dotted path of the knob.
    pub(super) settings: BTreeMap<String, toml::Value>,
    /// On the validation items.
    pub(super) validation: Report,
    /// On the test items, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test: Option<Report>,
}

impl Row {
    pub(super) fn new(point: &Point, validation: Report, test: Option<Report>) -> Self {
        Self { run: point.name.clone(), settings: point.settings.clone(), validation, test }
    }

    /// Metrics by name, in the order of the report.
    fn metrics(&self) -> Vec<(String, String)> {
        let reports = [("validation", Some(&self.validation)), ("test", self.test.as_ref())];
        let of = |(split, report): (&str, Option<&Report>)| {
            let value = report.map(|report| serde_json::to_value(report).expect("plain data"));
            let metric = |(name, value): (&String, &Value)| (format!("{split}.{name}"), value.to_string());
            value.iter().flat_map(Value::as_object).flatten().map(metric).collect::<Vec<_>>()
        };
        reports.into_iter().flat_map(of).collect()
    }
}

/// As a table for people.
pub(super) fn markdown(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let splits = if first.test.is_some() { &["validation", "test"][..] } else { &["validation"] };
    let mut heads: Vec<String> = first.settings.keys().cloned().collect();
    for split in splits {
        heads.extend(["HR@10", "NDCG@10", "NDCG", "CE"].map(|metric| format!("{split} {metric}")));
    }
    let cells = |row: &Row| {
        let figures = [Some(&row.validation), row.test.as_ref()].into_iter().flatten();
        let figures = figures.flat_map(|r| [r.hr10, r.ndcg10, r.ndcg, r.cross_entropy]);
        let settings = row.settings.values().map(ToString::to_string);
        settings.chain(figures.map(|figure| format!("{figure:.4}"))).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    markdown::table(&heads, &rows)
}

/// With every metric, for other programs.
///
/// # Errors
/// None that a writer into memory has.
pub(super) fn csv(rows: &[Row]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if let Some(first) = rows.first() {
        let metrics = first.metrics().into_iter().map(|(name, _)| name);
        let heads = first.settings.keys().cloned().chain(metrics);
        writer.write_record(std::iter::once("run".to_owned()).chain(heads))?;
    }
    for row in rows {
        let settings = row.settings.values().map(|value| match value {
            toml::Value::String(text) => text.clone(),
            value => value.to_string(),
        });
        let cells = settings.chain(row.metrics().into_iter().map(|(_, value)| value));
        writer.write_record(std::iter::once(row.run.clone()).chain(cells))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}
