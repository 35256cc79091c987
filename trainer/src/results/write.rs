//! The files of a merged table.

use super::accuracy_plot;
use super::chart::PlotError;
use super::comparison::{Difference, Summarised, differences, summaries};
use super::curves_plot;
use super::figure::Figure;
use super::maps_plot;
use super::merge::{Merged, Source};
use super::report::{Plot, html, sources};
use super::table::{csv, tables};
use crate::evaluation::saved::Summary;
use serde::Serialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why results cannot be written.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of the training metrics is damaged.
    #[error("{path}: {source}")]
    Metrics {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: serde_json::Error,
    },
    /// A table cannot be put into CSV.
    #[error("table.csv: {0}")]
    Csv(#[from] csv::Error),
    /// A plot cannot be drawn.
    #[error("a plot cannot be drawn: {0}")]
    Plot(#[from] PlotError),
}

#[derive(Serialize)]
struct Json<'a> {
    data: &'a str,
    users: usize,
    items: usize,
    split: crate::data::Split,
    score_macs: u64,
    runs: &'a [Source],
    rows: &'a [Summarised],
    differences: &'a [Difference],
}

/// Writes tables, plots, configuration and report into `folder`, and returns the main table as text.
///
/// # Errors
/// If the metrics of the first run are damaged or a file cannot be written.
pub fn write(merged: &Merged, folder: &Path) -> Result<String, ResultsError> {
    let (rows, differences) = (summaries(merged), differences(merged));
    let tables = tables(merged, &rows, &differences);
    let plots = plots(merged, &rows)?;
    let config = toml::to_string(&merged.config).expect("a configuration is plain data");
    let Summary { data, users, items, split, score_macs, .. } = &merged.summary;
    let json = Json {
        data,
        users: *users,
        items: *items,
        split: *split,
        score_macs: *score_macs,
        runs: &merged.sources,
        rows: &rows,
        differences: &differences,
    };
    let told: Vec<String> = tables.iter().map(|t| t.markdown()).collect();
    let origin: String = sources(&merged.sources).lines().map(|line| format!("- {line}\n")).collect();
    let save = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        crate::atomic_file::write(&path, content).map_err(|source| ResultsError::Io { path, source })
    };
    save("table.md", format!("{}\n## Sources\n\n{origin}", told.join("\n")).as_bytes())?;
    save("table.json", serde_json::to_string_pretty(&json).expect("plain data").as_bytes())?;
    save("table.csv", &csv(&rows)?)?;
    save("config.toml", config.as_bytes())?;
    for plot in &plots {
        save(plot.file, plot.svg.as_bytes())?;
    }
    save("report.html", html(merged, &tables, &plots, &config).as_bytes())?;
    Ok(told.into_iter().next().unwrap_or_default())
}

/// Accuracy of all runs; maps and curves of the first one.
fn plots(merged: &Merged, rows: &[Summarised]) -> Result<Vec<Plot>, ResultsError> {
    let mut plots = vec![
        Plot { file: "ndcg10.svg", svg: accuracy_plot::plot(rows, Figure::Ndcg10)? },
        Plot { file: "cross_entropy.svg", svg: accuracy_plot::plot(rows, Figure::CrossEntropy)? },
    ];
    if let Some(maps) = &merged.summary.maps {
        plots.push(Plot { file: "importance.svg", svg: maps_plot::importance(maps)? });
        plots.push(Plot { file: "plans.svg", svg: maps_plot::plans(maps)? });
    }
    let path = merged.folder.join("metrics.jsonl");
    if path.exists() {
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ResultsError::Io { path: path.clone(), source })?;
        let epochs = curves_plot::parse(&text).map_err(|source| ResultsError::Metrics { path, source })?;
        plots.push(Plot { file: "curves.svg", svg: curves_plot::plot(&epochs)? });
    }
    Ok(plots)
}
