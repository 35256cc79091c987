//! Quantised layers, channel by channel.

use chord_plan::Palette;
use chord_plan::numerics::{channel_output, level, master_code, quantise_token, step};

use crate::frozen::FrozenLayer;

#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// By plan code.
    widths: Vec<Width>,
    first_channel: usize,
}

/// A layer at one width.
#[derive(Debug, Clone)]
struct Width {
    weights: Matrix,
    /// Of each row.
    biases: Vec<f32>,
}

/// Weights at one width: integer levels, row-major, and the step of each row.
#[derive(Debug, Clone)]
pub(super) struct Matrix {
    bits: u8,
    columns: usize,
    levels: Vec<i16>,
    pub(super) steps: Vec<f32>,
}

impl Matrix {
    /// `ranges` are those of the master codes; the steps are made from `step_ranges`, none at 0 bits.
    pub(super) fn new(weights: &[f32], ranges: &[f32], step_ranges: &[f32], bits: u8) -> Self {
        let columns = weights.len() / ranges.len();
        let rows = weights.chunks_exact(columns).zip(ranges);
        let levels =
            rows.flat_map(|(row, &range)| row.iter().map(move |&w| level(master_code(w, range), bits)));
        Self {
            bits,
            columns,
            levels: levels.collect(),
            steps: step_ranges.iter().map(|&range| step(range, bits)).collect(),
        }
    }

    pub(super) fn row(&self, row: usize) -> &[i16] {
        &self.levels[row * self.columns..][..self.columns]
    }
}

/// A quantised row of activations.
#[derive(Debug, Clone)]
pub(super) struct Quantised {
    pub(super) codes: Vec<i8>,
    pub(super) scale: f32,
}

impl Quantised {
    pub(super) fn new(x: &[f32]) -> Self {
        let mut codes = vec![0; x.len()];
        let scale = quantise_token(x, &mut codes);
        Self { codes, scale }
    }
}

impl Layer {
    pub(super) fn new(frozen: &FrozenLayer, palette: &Palette, first_channel: usize) -> Self {
        let FrozenLayer { weights, ranges, width_ranges, biases } = frozen;
        let widths = palette.widths();
        let width = |(code, &bits): (usize, &u8)| {
            let (step_ranges, biases) = match width_ranges {
                None => (ranges.clone(), biases.clone()),
                Some(width_ranges) => {
                    let above_zero = widths.iter().filter(|&&bits| bits > 0).count();
                    let step_ranges = match bits {
                        0 => vec![],
                        _ => column(width_ranges, above_zero, code + above_zero - widths.len()),
                    };
                    (step_ranges, column(biases, widths.len(), code))
                }
            };
            Width { weights: Matrix::new(weights, ranges, &step_ranges, bits), biases }
        };
        Self { widths: widths.iter().enumerate().map(width).collect(), first_channel }
    }

    /// `x` tokens x inputs; the result is tokens x outputs. `codes` are those of the whole plan.
    pub(super) fn apply(&self, codes: &[u8], x: &[f32]) -> Vec<f32> {
        let inputs = self.widths[0].weights.columns;
        let mut y = Vec::with_capacity(x.len() / inputs * self.outputs());
        for token in x.chunks_exact(inputs) {
            let token = [Quantised::new(token)];
            y.extend((0..self.outputs()).map(|channel| self.channel(codes, channel, &token)));
        }
        y
    }

    /// Output of a channel over rows of activations, each with its scale. `codes` are those of the whole plan.
    pub(super) fn channel(&self, codes: &[u8], channel: usize, rows: &[Quantised]) -> f32 {
        let Width { weights, biases } = &self.widths[usize::from(codes[self.first_channel + channel])];
        let bias = biases[channel];
        if weights.bits == 0 {
            return bias;
        }
        let levels = weights.row(channel).chunks_exact(weights.columns / rows.len());
        rows.iter().zip(levels).fold(bias, |y, (row, levels)| {
            channel_output(integer_dot(&row.codes, levels), weights.steps[channel], row.scale, y)
        })
    }

    pub(super) fn outputs(&self) -> usize {
        self.widths[0].biases.len()
    }
}

/// Column `index` of a row-major matrix of that many columns.
fn column(matrix: &[f32], columns: usize, index: usize) -> Vec<f32> {
    matrix.iter().skip(index).step_by(columns).copied().collect()
}

/// Exact: the formats' sizes keep it within i32.
pub(super) fn integer_dot(a: &[i8], levels: &[i16]) -> i32 {
    a.iter().zip(levels).map(|(&a, &level)| i32::from(a) * i32::from(level)).sum()
}
