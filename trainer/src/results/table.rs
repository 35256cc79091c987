//! Tables as Markdown, HTML and CSV.

use super::comparison::{COMPARED, Difference, Summarised};
use super::figure::Figure;
use super::merge::Merged;
use crate::evaluation::bootstrap::Interval;
use crate::markdown;
use std::fmt::Write;

/// A table of text; the first column is aligned to the left, the others to the right.
pub(super) struct Table {
    pub(super) title: String,
    pub(super) note: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// The main table, what CHORD gains over each row, and how much it depends on its plan.
pub(super) fn tables(merged: &Merged, rows: &[Summarised], differences: &[Difference]) -> [Table; 3] {
    let columns = format!("minus,users,{}", COMPARED.map(Figure::title).join(","));
    let paired = |title: &str, note: &str, benefit: bool| Table {
        title: title.to_owned(),
        note: format!(
            "{note} Paired user by user, with 95% bootstrap intervals over users. Better is above 0 in NDCG@10 and HR@10, below 0 in the others."
        ),
        head: format!("CHORD,{columns}").split(',').map(str::to_owned).collect(),
        rows: differences.iter().filter(|d| d.benefit == benefit).map(difference).collect(),
    };
    [
        main(merged, rows),
        paired("CHORD minus other rows", "Benefit, or its absence.", true),
        paired(
            "Dependence on the plan: own minus swapped and random plans",
            "This shows that a foreign plan, or one of chance, does harm. It is no evidence of benefit.",
            false,
        ),
    ]
}

/// Figures with their intervals in the main table.
const SPREAD: [Figure; 3] = [Figure::Ndcg10, Figure::CrossEntropy, Figure::CalibratedCrossEntropy];

fn main(merged: &Merged, rows: &[Summarised]) -> Table {
    let s = &merged.summary;
    let means = [Figure::Hr5, Figure::Hr10, Figure::Ndcg5];
    let sampled = [Figure::SampledHr10, Figure::SampledNdcg10];
    let head = ["model", "bits"]
        .into_iter()
        .chain(means.map(Figure::title))
        .chain(["NDCG@10 [95%]", "CE [95%]", "calibrated CE [95%]", "temperature", "log-rank"])
        .chain(["model bytes", "update bytes", "MACs"])
        .chain(["adaptation MACs", "adaptation bytes"])
        .chain(sampled.map(Figure::title));
    let line = |row: &Summarised| {
        let mean = |figure| format!("{:.4}", row.figure(figure).mean);
        let r = &row.row;
        let mut cells = vec![r.name.clone(), format!("{:.2}", r.bits)];
        cells.extend(means.map(mean));
        cells.extend(SPREAD.map(|figure| spread(row.figure(figure))));
        cells.extend([format!("{:.2}", r.temperature), mean(Figure::LogRank)]);
        cells.extend([r.model_bytes, r.update_bytes].map(|bytes| bytes.to_string()));
        cells.extend([r.macs, r.adaptation_macs].map(|macs| format!("{macs:.0}")));
        cells.push(r.adaptation_bytes.to_string());
        cells.extend(sampled.map(mean));
        cells
    };
    Table {
        title: format!("{}, {} users, {} items, {} items held out", s.data, s.users, s.items, s.split.name()),
        note: format!(
            "Full ranking, ties against the target; means over users and {} seed(s), intervals 95% bootstrap over \
             users. Calibrated CE divides a model's logits by a temperature fitted on validation. MACs encode a full \
             window; scoring a candidate takes {} more. sampled-99 ranks among 99 random items and stands here only \
             for comparison with older papers.",
            merged.sources.len(),
            s.score_macs
        ),
        head: head.map(str::to_owned).collect(),
        rows: rows.iter().map(line).collect(),
    }
}

fn difference(d: &Difference) -> Vec<String> {
    let names = [d.own_name.clone(), d.minus_name.clone(), d.users.to_string()];
    names.into_iter().chain(COMPARED.map(|figure| d.figures[figure.key()].to_string())).collect()
}

fn spread(i: &Interval) -> String {
    format!("{:.4} [{:.4}, {:.4}]", i.mean, i.low, i.high)
}

impl Table {
    /// With padded columns.
    pub(super) fn markdown(&self) -> String {
        format!("## {}\n\n{}\n\n{}", self.title, self.note, markdown::table(&self.head, &self.rows))
    }

    /// As a `table` element with its heading.
    pub(super) fn html(&self) -> String {
        let mut out = format!("<h2>{}</h2>\n<p>{}</p>\n<table>\n", escape(&self.title), escape(&self.note));
        let mut line = |tag: &str, cells: &[String]| {
            let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
            writeln!(out, "<tr>{}</tr>", cells.collect::<String>()).expect("writing to a string");
        };
        line("th", &self.head);
        self.rows.iter().for_each(|row| line("td", row));
        out + "</table>\n"
    }
}

/// Text as HTML shows it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The main table with every figure and both ends of its interval.
pub(super) fn csv(rows: &[Summarised]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let ends = Figure::ALL.iter().flat_map(|f| ["", "_low", "_high"].map(|end| format!("{}{end}", f.key())));
    let about = ["id", "model", "users", "bits", "model_bytes", "update_bytes", "macs"];
    let about =
        about.into_iter().chain(["adaptation_macs", "adaptation_bytes", "temperature"]).map(str::to_owned);
    writer.write_record(about.chain(ends))?;
    for row in rows {
        let r = &row.row;
        let about = [
            r.id.clone(),
            r.name.clone(),
            row.users.to_string(),
            r.bits.to_string(),
            r.model_bytes.to_string(),
            r.update_bytes.to_string(),
            r.macs.to_string(),
            r.adaptation_macs.to_string(),
            r.adaptation_bytes.to_string(),
            r.temperature.to_string(),
        ];
        let ends = Figure::ALL.iter().flat_map(|&figure| {
            let interval = row.figure(figure);
            [interval.mean, interval.low, interval.high].map(|x| x.to_string())
        });
        writer.write_record(about.into_iter().chain(ends))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

#[cfg(test)]
mod tests {
    use super::super::comparison::{differences, summaries};
    use super::super::merge::tests::fake;
    use super::*;

    #[test]
    fn every_form_tells_the_same_figures() {
        let desk = tempfile::tempdir().unwrap();
        let merged = Merged::open(&[fake(&desk.path().join("a"), &[], 4)]).unwrap();
        let (rows, differences) = (summaries(&merged), differences(&merged));
        let tables = tables(&merged, &rows, &differences);
        let markdown = tables[0].markdown();
        let lines: Vec<&str> = markdown.lines().filter(|l| l.starts_with('|')).collect();
        assert_eq!(lines.len(), 2 + 4);
        assert!(lines.iter().all(|l| l.chars().count() == lines[0].chars().count()), "{markdown}");
        // Ranks 4, 9 and 10.
        assert!(lines[2].contains("| 0.3333 | 0.6667 |") && lines[2].contains("7.6667 ["), "{markdown}");
        let swapped = tables[2].markdown();
        assert!(swapped.contains("no evidence of benefit") && swapped.contains("personal@3.swapped"));
        assert!(!tables[1].markdown().contains("swapped"));
        let html = tables[0].html();
        assert_eq!(html.matches("<tr>").count(), 1 + 4);
        assert!(html.contains("<td>0.6667</td>"));
        assert_eq!(escape("a<b & c>"), "a&lt;b &amp; c&gt;");

        let csv = csv(&rows).unwrap();
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let column = reader.headers().unwrap().iter().position(|h| h == "cross_entropy").unwrap();
        let first = reader.records().next().unwrap().unwrap();
        assert_eq!(first[column].parse::<f64>().unwrap(), rows[0].figure(Figure::CrossEntropy).mean);
    }
}
