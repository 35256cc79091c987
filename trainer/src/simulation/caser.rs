//! Section 10, Caser: the whole image, zero rows included, under every filter at every place.

use chord_plan::manifest::CaserShape;
use chord_plan::numerics::relu;

use super::layer::{Layer, Quantised};

/// What the output layer gives. `embedded` are the items' values, tokens x dim, `codes` the plan's.
pub(super) fn hidden(shape: &CaserShape, layers: &[Layer], codes: &[u8], embedded: Vec<f32>) -> Vec<f32> {
    let (window, dim) = (usize::from(shape.window), usize::from(shape.dim));
    let (horizontal, rest) = layers.split_at(window);
    let [vertical, dense, output] = rest else { unreachable!("three layers follow the horizontal ones") };
    let mut image = vec![0.0; window * dim - embedded.len()];
    image.extend(embedded);
    let image: Vec<Quantised> = image.chunks_exact(dim).map(Quantised::new).collect();
    let mut features = Vec::with_capacity(shape.features());
    for column in 0..dim {
        let pixel = |row: &Quantised| Quantised { codes: vec![row.codes[column]], scale: row.scale };
        let column: Vec<Quantised> = image.iter().map(pixel).collect();
        features.extend((0..vertical.outputs()).map(|channel| vertical.channel(codes, channel, &column)));
    }
    for (height, layer) in (1..).zip(horizontal) {
        for channel in 0..layer.outputs() {
            let values = image.windows(height).map(|rows| relu(layer.channel(codes, channel, rows)));
            // f32::max would drop a NaN.
            features.push(values.fold(0.0, |largest, y| if y > largest || y.is_nan() { y } else { largest }));
        }
    }
    let z: Vec<f32> = dense.apply(codes, &features).into_iter().map(relu).collect();
    output.apply(codes, &z)
}
