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
    let title = format!("{} against bits, 95% intervals over users", figure.title());
    chart::svg((720, 420), |area| {
        chart::lines(area, &title, ("average bits per weight", figure.title()), &lines)
    })
}

/// What rows of one line share; controls are left to the tables.
fn line_name(row: &Summarised) -> Option<String> {
    match row.row.kind {
        Kind::FullPrecision | Kind::FineTuned => Some(row.row.name.clone()),
        Kind::Uniform => Some("uniform".to_owned()),
        Kind::Personal => Some("CHORD".to_owned()),
        Kind::Masked => Some("masks per user".to_owned()),
        Kind::Shared => Some(row.row.id.split('@').next().unwrap_or_default().to_owned()),
        Kind::Control(_) => None,
    }
}
