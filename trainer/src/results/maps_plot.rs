//! Maps of some users: layers down, channels across.

use super::chart::{self, Area, PlotError};
use crate::evaluation::saved::Maps;
use plotters::prelude::*;

/// Pixels of a cell and of the margins of one user's map.
const CELL: (i32, i32) = (5, 12);
const LEFT: i32 = 100;
const TOP: i32 = 28;

/// Steps of colour on either side of the mean.
const SHADES: f32 = 8.0;

/// Log-scores minus the users' mean as SVG: orange where a user needs a channel more than others do, blue where less.
pub(super) fn importance(maps: &Maps) -> Result<String, PlotError> {
    let largest = maps.deviations.iter().flatten().fold(0.0f32, |m, d| m.max(d.abs()));
    let colour = |user: usize, channel: usize| {
        let share = maps.deviations[user][channel] / largest.max(f32::MIN_POSITIVE);
        shade((share * SHADES).round() / SHADES)
    };
    let title = format!(
        "log-importance minus the mean over users, from -{largest:.2} (blue) to +{largest:.2} (orange)"
    );
    draw(maps, &title, &colour)
}

/// Bits of the plans as SVG: the darker, the more.
pub(super) fn plans(maps: &Maps) -> Result<String, PlotError> {
    let colour = |user: usize, channel: usize| {
        let grey = 255 - maps.bits[user][channel].min(8) as u8 * 31;
        RGBColor(grey, grey, grey)
    };
    let title = format!("bits of each channel at a budget of {} (white 0, black 8)", maps.budget);
    draw(maps, &title, &colour)
}

fn shade(share: f32) -> RGBColor {
    let fade = |full: u8| (255.0 - (255.0 - f32::from(full)) * share.abs()) as u8;
    match share > 0.0 {
        true => RGBColor(fade(213), fade(94), fade(0)),
        false => RGBColor(fade(0), fade(114), fade(178)),
    }
}

fn draw(maps: &Maps, title: &str, colour: &dyn Fn(usize, usize) -> RGBColor) -> Result<String, PlotError> {
    let widest = maps.layers.iter().map(|l| l.channels).max().unwrap_or(0) as i32;
    let (width, height) = (LEFT + widest * CELL.0 + 16, TOP + maps.layers.len() as i32 * CELL.1 + 8);
    let rows = maps.users.len().div_ceil(2) as i32;
    let size = ((2 * width).max(560) as u32, (30 + rows * height) as u32);
    chart::svg(size, |area| {
        area.draw(&Text::new(title.to_owned(), (10, 8), ("sans-serif", 15)))?;
        for (user, raw) in maps.users.iter().enumerate() {
            let corner = (user as i32 % 2 * width, 30 + user as i32 / 2 * height);
            let name = Text::new(format!("user {raw}"), (corner.0 + LEFT, corner.1 + 8), ("sans-serif", 13));
            area.draw(&name)?;
            one(area, maps, corner, &|channel| colour(user, channel))?;
        }
        Ok(())
    })
}

/// One user's map; neighbours of one colour are drawn as one.
fn one(
    area: &Area,
    maps: &Maps,
    (left, top): (i32, i32),
    colour: &dyn Fn(usize) -> RGBColor,
) -> Result<(), PlotError> {
    let mut first = 0;
    for (row, layer) in maps.layers.iter().enumerate() {
        let y = top + TOP + row as i32 * CELL.1;
        area.draw(&Text::new(layer.name.clone(), (left + 6, y + 1), ("sans-serif", 10)))?;
        let colours: Vec<RGBColor> = (first..first + layer.channels).map(colour).collect();
        let mut start = 0;
        for stretch in colours.chunk_by(|a, b| a == b) {
            let x = |channel: usize| left + LEFT + channel as i32 * CELL.0;
            let corners = [(x(start), y), (x(start + stretch.len()), y + CELL.1 - 1)];
            area.draw(&Rectangle::new(corners, stretch[0].filled()))?;
            start += stretch.len();
        }
        first += layer.channels;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::saved::LayerSize;

    #[test]
    fn cells_have_the_colours_of_their_figures() {
        let layer = |name: &str, channels| LayerSize { name: name.to_owned(), channels };
        let maps = Maps {
            users: vec!["u7".to_owned(), "u<9".to_owned()],
            layers: vec![layer("block0.query", 3), layer("block0.key", 1)],
            budget: 3.0,
            deviations: vec![vec![0.0, 1.0, 1.0, -1.0], vec![0.0; 4]],
            bits: vec![vec![0, 8, 8, 2], vec![8; 4]],
        };
        let text = importance(&maps).unwrap();
        // The ground, then for the first user a white cell, an orange pair and a blue cell; two white ones after.
        assert_eq!(text.matches("<rect").count(), 1 + 3 + 2);
        assert_eq!(text.matches("#D55E00").count(), 1);
        assert_eq!(text.matches("#0072B2").count(), 1);
        assert!(text.contains("user u7") && text.contains("user u&lt;9") && text.contains("block0.key"));
        let text = plans(&maps).unwrap();
        assert_eq!(text.matches("#070707").count(), 1 + 2, "8 bits are nearly black");
    }
}
