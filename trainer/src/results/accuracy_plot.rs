//! Accuracy against average bits.

use super::chart::{self, Line, PlotError};
use super::comparison::Summarised;
use super::figure::Figure;
use crate::evaluation::row::Kind;

/// One line for each way to choose widths, as SVG; full precision runs along the whole axis.
pub(super) fn plot(rows: &[Summarised], figure: Figure) -> Result<String, PlotError> {
    let mut lines: Vec<Line> = Vec::new();
    let wide = |row: &&Summarised| matches!(row.row.kind, Kind::FullPrecision | Kind::FineTuned);
    let bits = rows.iter().filter(|row| !wide(row)).map(|row| row.row.bits);
    let (least, most) = bits.fold((2.0f64, 8.0f64), |(least, most), b| (least.min(b), most.max(b)));
    for row in rows {
        let (name, interval) = (line_name(row), row.figure(figure));
        let Some(name) = name else { continue };
        if wide(&row) {
            let points = vec![(least, interval.mean), (most, interval.mean)];
            lines.push(Line { name, points, intervals: Vec::new() });
            continue;
        }
        let index = lines.iter().position(|l| l.name == name).unwrap_or_else(|| {
            lines.push(Line { name, points: Vec::new(), intervals: Vec::new() });
            lines.len() - 1
        });
        lines[index].points.push((row.row.bits, interval.mean));
        lines[index].intervals.push((row.row.bits, interval.low, interval.high));
    }
    // Intervals at the same bits would hide each other.
    for (index, line) in lines.iter_mut().filter(|l| !l.intervals.is_empty()).enumerate() {
        let apart = 0.04 * index as f64;
        line.points.iter_mut().for_each(|point| point.0 += apart);
        line.intervals.iter_mut().for_each(|interval| interval.0 += apart);
    }
    let title = format!("{} against bits, 95% intervals over users (lines .04 bits apart)", figure.title());
    chart::svg((720, 420), |area| {
        chart::lines(area, &title, ("average bits per weight", figure.title()), &lines)
    })
}

/// What rows of one line share; controls, and fine-tuning, which may be of a sample of users, are left to the tables.
fn line_name(row: &Summarised) -> Option<String> {
    match row.row.kind {
        Kind::FullPrecision => Some(row.row.name.clone()),
        Kind::Uniform => Some("uniform".to_owned()),
        Kind::Personal => Some("CHORD".to_owned()),
        Kind::Masked => Some("masks per user".to_owned()),
        Kind::Shared => Some(row.row.id.split('@').next().unwrap_or_default().to_owned()),
        Kind::FineTuned | Kind::Control(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::comparison::summaries;
    use super::super::merge::Merged;
    use super::super::merge::tests::fake;
    use super::*;

    #[test]
    fn full_precision_spans_the_bits_and_rows_that_are_not_of_all_stay_out() {
        let desk = tempfile::tempdir().unwrap();
        let merged = Merged::open(&[fake(&desk.path().join("a"), &[], 4)]).unwrap();
        let text = plot(&summaries(&merged), Figure::CrossEntropy).unwrap();
        assert!(text.contains("CHORD") && text.contains("fp32") && !text.contains("swapped"));
        // Both ends of full precision, and CHORD's one budget.
        assert_eq!(text.matches("<circle").count(), 3);
    }
}
