//! What all plots share: SVG text, colours, axes.

use plotters::coord::Shift;
use plotters::prelude::*;

/// Why a plot cannot be drawn.
pub(super) type PlotError = DrawingAreaErrorKind<std::io::Error>;

/// Where a plot is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Colours of lines (Okabe and Ito 2008), told apart with any colour vision.
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// The SVG of what `draw` draws on white, `size` in pixels.
pub(super) fn svg(
    size: (u32, u32),
    draw: impl FnOnce(&Area) -> Result<(), PlotError>,
) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        area.present()?;
    }
    Ok(text)
}

/// A named line of points (x, y).
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Low and high end at some x.
    pub(super) intervals: Vec<(f64, f64, f64)>,
}

/// Lines with their points and intervals over labelled axes, in the given order of colours.
pub(super) fn lines(
    area: &Area,
    title: &str,
    (x_name, y_name): (&str, &str),
    lines: &[Line],
) -> Result<(), PlotError> {
    let points = || lines.iter().flat_map(|l| &l.points);
    let ends = lines.iter().flat_map(|l| &l.intervals).flat_map(|&(_, low, high)| [low, high]);
    // The names stand to the right of all points.
    let x = range(points().map(|p| p.0));
    let x = x.start..x.end + 0.4 * (x.end - x.start);
    let y = range(points().map(|p| p.1).chain(ends));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(x, y)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).x_desc(x_name).y_desc(y_name).draw()?;
    for (line, &colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), &colour))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        chart.draw_series(line.points.iter().map(|&p| Circle::new(p, 3, colour.filled())))?;
        let bar = |&(x, low, high): &(f64, f64, f64)| PathElement::new([(x, low), (x, high)], colour);
        chart.draw_series(line.intervals.iter().map(bar))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()
}

/// From the least to the greatest, with room at both ends.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    match low <= high {
        true => {
            let room = ((high - low) * 0.05).max(1e-3);
            low - room..high + room
        }
        false => 0.0..1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_svg_with_their_names() {
        let line =
            |name: &str, points| Line { name: name.to_owned(), points, intervals: vec![(1.0, 0.0, 3.0)] };
        let both = [line("first", vec![(1.0, 2.0), (2.0, 5.0)]), line("second", vec![(3.0, 4.0)])];
        let text = svg((300, 200), |area| lines(area, "a title", ("bits", "CE"), &both)).unwrap();
        for word in ["<svg", "a title", "bits", "CE", "first", "second", "</svg>"] {
            assert!(text.contains(word), "{word} is missing");
        }
        assert_eq!(text.matches("<circle").count(), 3);
        assert_eq!(range([1.0, 3.0].into_iter()), 0.9..3.1);
        assert_eq!(range(std::iter::empty()), 0.0..1.0);
    }
}
