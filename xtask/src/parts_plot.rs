//! A picture of where the instructions of one ranking go: a bar for each model and holding, as wide as its instructions.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::bench_mcu::Model;

/// Groups of parts, in the bars' order: the names that parts of the group start with, what it is called, its colour
/// (Okabe and Ito's, which readers with any colour vision tell apart).
const GROUPS: [(&[&str], &str, RGBColor); 7] = [
    (&["block", "dense", "output"], "layers", RGBColor(0, 114, 178)),
    (&["filters"], "filters of Caser", RGBColor(86, 180, 233)),
    (&["attention"], "attention", RGBColor(230, 159, 0)),
    (&["quantise"], "quantisation", RGBColor(0, 158, 115)),
    (&["norm", "add"], "norms, residuals", RGBColor(240, 228, 66)),
    (&["candidates"], "candidates", RGBColor(204, 121, 167)),
    (&[], "all else: embedding, GELU, calls, sorting", RGBColor(170, 170, 170)),
];

/// Pixels: left margin, longest bar, height of a row and of its bar.
const LEFT: i32 = 140;
const LONGEST: i32 = 640;
const ROW: i32 = 34;
const BAR: i32 = 22;

/// The bars of the models whose parts are known.
pub(crate) fn svg(models: &[Model]) -> Result<String> {
    let models: Vec<&Model> = models.iter().filter(|model| model.parts.len() > 2).collect();
    let bars = models.len() as i32;
    let size = ((LEFT + LONGEST + 100) as u32, (44 + ROW * bars + 22 * GROUPS.len() as i32) as u32);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area, &models).map_err(|error| anyhow!("drawing the parts: {error}"))?;
    }
    Ok(text)
}

type Area<'t> = DrawingArea<SVGBackend<'t>, Shift>;

fn draw(area: &Area<'_>, models: &[&Model]) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let title = "Instructions of one ranking on a Cortex-M4F, 4 rows at once";
    area.draw(&Text::new(title, (10, 10), ("sans-serif", 16)))?;
    let longest = models.iter().map(|model| model.part("rank")[0]).max().unwrap_or(1);
    let place = |count: u64| LEFT + (count as f64 / longest as f64 * f64::from(LONGEST)).round() as i32;
    for (row, model) in (0..).zip(models) {
        let y = 40 + ROW * row;
        let name = format!("{}, {}", model.name, model.held);
        area.draw(&Text::new(name, (10, y + 5), ("sans-serif", 13)))?;
        let mut before = 0;
        for (group, (_, _, colour)) in GROUPS.iter().enumerate() {
            let end = before + instructions(model, group);
            area.draw(&Rectangle::new([(place(before), y), (place(end), y + BAR)], colour.filled()))?;
            before = end;
        }
        let total = format!("{:.2} M", before as f64 / 1e6);
        area.draw(&Text::new(total, (place(before) + 6, y + 5), ("sans-serif", 13)))?;
    }
    for (row, (_, name, colour)) in (0..).zip(GROUPS) {
        let y = 44 + ROW * models.len() as i32 + 20 * row;
        area.draw(&Rectangle::new([(LEFT, y), (LEFT + 14, y + 14)], colour.filled()))?;
        area.draw(&Text::new(name, (LEFT + 22, y), ("sans-serif", 13)))?;
    }
    area.present()?;
    Ok(())
}

/// Instructions of a group of [`GROUPS`] in a ranking; the last has what no other has.
fn instructions(model: &Model, group: usize) -> u64 {
    let of = |starts: &[&str]| -> u64 {
        let parts = model.parts.iter().filter(|(name, _)| !["apply", "rank"].contains(&name.as_str()));
        parts
            .filter(|(name, _)| starts.iter().any(|start| name.starts_with(start)))
            .map(|(_, [n, _])| n)
            .sum()
    };
    match GROUPS[group].0 {
        [] => model.part("rank")[0].saturating_sub(GROUPS.iter().map(|(starts, ..)| of(starts)).sum()),
        starts => of(starts),
    }
}
