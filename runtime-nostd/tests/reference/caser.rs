//! Section 10: the whole image with its zero rows, every filter at every place by the formula.

use chord_plan::manifest::{CaserShape, LayerName};
use chord_plan::numerics as n;
use chord_plan::{Bundle, Plan};

use super::{item_value, layer, linear};

/// Codes and scale of an item row; none of a zero row.
type Row = Option<(Vec<i8>, f32)>;

/// The integer product of a row of the image, number `r` under the filter: of `r`, the row's codes, the filter's levels.
type Product<'p> = &'p dyn Fn(usize, &[i8], &[i16]) -> i32;

/// The vector that items are scored with, before it is quantised.
pub(super) fn hidden(bundle: &Bundle<'_>, plan: &Plan<'_>, shape: &CaserShape, history: &[u32]) -> Vec<f32> {
    let (window, dim) = (usize::from(shape.window), usize::from(shape.dim));
    let mut image: Vec<Row> = vec![None; window - history.len()];
    for &item in history {
        let mut a = vec![0; dim];
        let scale = n::quantise_token(&item_value(bundle, item), &mut a);
        image.push(Some((a, scale)));
    }
    let filter = |name: LayerName, c: usize, rows: &[Row], product: Product<'_>| {
        let (view, widths) = layer(bundle, plan, name);
        let bits = widths[c];
        let levels: Vec<i16> = view.codes(c).iter().map(|&code| n::level(code, bits)).collect();
        let mut y = view.bias(c, bits);
        if bits > 0 {
            let g = n::step(view.range(c, bits), bits);
            for (r, row) in rows.iter().enumerate() {
                if let Some((a, s)) = row {
                    y += (product(r, a, &levels) as f32 * g) * s;
                }
            }
        }
        y
    };
    let mut features = Vec::new();
    for column in 0..dim {
        for c in 0..usize::from(shape.vertical) {
            let t = |r: usize, a: &[i8], levels: &[i16]| i32::from(a[column]) * i32::from(levels[r]);
            features.push(filter(LayerName::Vertical, c, &image, &t));
        }
    }
    for height in 1..=window {
        for c in 0..usize::from(shape.horizontal) {
            let t = |r: usize, a: &[i8], levels: &[i16]| {
                let row = &levels[r * dim..(r + 1) * dim];
                a.iter().zip(row).map(|(&a, &l)| i32::from(a) * i32::from(l)).sum()
            };
            let name = LayerName::Horizontal(height as u8);
            let values = image.windows(height).map(|rows| n::relu(filter(name, c, rows, &t)));
            features.push(values.reduce(|a, b| if a.is_nan() || a > b { a } else { b }).unwrap());
        }
    }
    let mut z = linear(bundle, plan, LayerName::Dense, &vec![features]);
    z.iter_mut().flatten().for_each(|z| *z = n::relu(*z));
    linear(bundle, plan, LayerName::Output, &z).pop().unwrap()
}
