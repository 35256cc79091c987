//! One HTML file that needs nothing beside it.

use super::merge::{Merged, Source};
use super::table::{Table, escape};

const STYLE: &str = "body{font:15px sans-serif;margin:2em;max-width:1500px}table{border-collapse:collapse;\
font-size:13px}td,th{border:1px solid #ccc;padding:3px 7px;text-align:right}td:first-child,th:first-child\
{text-align:left}pre{background:#f4f4f4;padding:1em;overflow:auto}svg{max-width:100%;height:auto}";

/// A plot and the name of its file.
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) svg: String,
}

/// Tables, plots, sources and configuration.
pub(super) fn html(merged: &Merged, tables: &[Table], plots: &[Plot], config: &str) -> String {
    let title = format!("CHORD on {}", merged.summary.data);
    let tables: String = tables.iter().map(Table::html).collect();
    let plots: String = plots.iter().map(|p| format!("<figure>{}</figure>\n", p.svg)).collect();
    let sources: String =
        sources(&merged.sources).lines().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{tables}<h2>Plots</h2>\n{plots}\
         <h2>Sources</h2>\n<ul>\n{sources}</ul>\n<h2>Configuration</h2>\n<pre>{config}</pre>\n</body>\n</html>\n",
        title = escape(&title),
        config = escape(config)
    )
}

/// Runs with their seeds, commits and machines, one on each line.
pub(super) fn sources(sources: &[Source]) -> String {
    let told = |s: &Source| {
        let trained: Vec<String> = s.trained.iter().map(ToString::to_string).collect();
        let trained =
            if trained.is_empty() { "an unrecorded commit".to_owned() } else { trained.join(" and ") };
        let tuning = s.fine_tuning.as_ref().map_or(String::new(), |choice| {
            let t = &choice.chosen;
            format!("; fine-tuning chosen on validation: {} steps at {}", t.steps, t.learning_rate)
        });
        format!("{}: seed {}; trained by {trained}; evaluated by {}{tuning}\n", s.run, s.seed, s.evaluated)
    };
    sources.iter().map(told).collect()
}
