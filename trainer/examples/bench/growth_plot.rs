//! The tables of `growth` as curves.

use crate::growth::{Axis, curves};
use plotters::prelude::*;

/// Colours of lines (Okabe and Ito 2008), told apart with any colour vision.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// A panel for each axis, both logarithmic; all with the same milliseconds.
pub(crate) fn svg(axes: &[Axis]) -> anyhow::Result<String> {
    let all = || axes.iter().flat_map(|axis| &axis.rows).flat_map(|(_, row)| row).copied();
    let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (1000, 800)).into_drawing_area();
        area.fill(&WHITE)?;
        for (area, axis) in area.split_evenly((2, 2)).iter().zip(axes) {
            let first = axis.rows.first().map_or(1.0, |row| row.0);
            let last = axis.rows.last().map_or(2.0, |row| row.0).max(first * 1.1);
            let mut chart = ChartBuilder::on(area)
                .caption(format!("a step by {}", axis.name), ("sans-serif", 16))
                .margin(10)
                .x_label_area_size(36)
                .y_label_area_size(60)
                .build_cartesian_2d((first..last).log_scale(), (low * 0.8..high * 1.25).log_scale())?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .x_desc(axis.name)
                .y_desc("processor ms")
                .x_label_formatter(&|value| format!("{value:.0}"))
                .y_label_formatter(&|value| format!("{value:.0}"))
                .draw()?;
            for (index, (name, colour)) in curves().zip(COLOURS).enumerate() {
                let points: Vec<_> = axis.rows.iter().map(|(value, row)| (*value, row[index])).collect();
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), &colour))?
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
                chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .draw()?;
        }
        area.present()?;
    }
    Ok(text)
}
