//! What a device computes (docs/numerics.md, section 8), in plain view: every token through every block, whole
//! matrices at a time. It starts from the frozen model's f32 weights and shares no code with the runtime but the
//! scalar arithmetic of `chord_plan::numerics`; that both agree bit for bit is tested.

use chord_plan::Palette;
use chord_plan::manifest::SasRecShape;
use chord_plan::numerics::{
    MASTER_BITS, channel_output, dot, layer_norm, level, logit, master_code, quantise_token, score_scale,
    step, sum,
};
use thiserror::Error;

use crate::frozen::{FrozenError, FrozenLayer, FrozenModel, Norm};

/// A frozen model with the levels of its weights at every width of the palette.
#[derive(Debug, Clone)]
pub struct Simulation {
    shape: SasRecShape,
    palette: Palette,
    items: Matrix,
    positions: Vec<f32>,
    blocks: Vec<Block>,
    final_norm: Norm,
    channels: usize,
}

#[derive(Debug, Clone)]
struct Block {
    norm1: Norm,
    norm2: Norm,
    /// Query, key, value, output, expand, contract.
    layers: [Layer; 6],
}

#[derive(Debug, Clone)]
struct Layer {
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
struct Matrix {
    bits: u8,
    columns: usize,
    levels: Vec<i16>,
    steps: Vec<f32>,
}

impl Matrix {
    /// `ranges` are those of the master codes; the steps are made from `step_ranges`, none at 0 bits.
    fn new(weights: &[f32], ranges: &[f32], step_ranges: &[f32], bits: u8) -> Self {
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

    fn row(&self, row: usize) -> &[i16] {
        &self.levels[row * self.columns..][..self.columns]
    }
}

/// Why there are no logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SimulationError {
    /// The plan has another number of codes than the model has channels.
    #[error("{found} plan codes, the model has {expected} channels")]
    Channels {
        /// Channels of the model.
        expected: usize,
        /// Codes given.
        found: usize,
    },
    /// The palette does not use this code.
    #[error("channel {channel} has code {code}, which is not in the palette")]
    Code {
        /// The channel.
        channel: usize,
        /// Its code.
        code: u8,
    },
    /// The history has no items.
    #[error("the history is empty")]
    EmptyHistory,
    /// The model has no such item.
    #[error("item {item} in the history or among the candidates, the model has {items}")]
    Item {
        /// The item.
        item: u32,
        /// Items of the model.
        items: u32,
    },
    /// The arithmetic overflowed (docs/numerics.md, section 9).
    #[error("the logit of item {item} is not finite")]
    NotFinite {
        /// The item.
        item: u32,
    },
}

impl Simulation {
    /// Quantises the model's weights to the levels of every width of its palette.
    ///
    /// # Errors
    /// The model cannot be frozen: as [`FrozenModel::to_bundle`].
    pub fn new(model: &FrozenModel) -> Result<Self, FrozenError> {
        // The format's own checks: what passes them has the lengths and numbers that the code below relies on.
        model.to_bundle()?;
        let mut first_channel = 0;
        let mut layer = |frozen: &FrozenLayer| {
            let layer = Layer::new(frozen, &model.palette, first_channel);
            first_channel += frozen.ranges.len();
            layer
        };
        let blocks = model.blocks.iter().map(|block| Block {
            norm1: block.norm1.clone(),
            norm2: block.norm2.clone(),
            layers: block.layers.each_ref().map(&mut layer),
        });
        Ok(Self {
            shape: model.shape,
            palette: model.palette,
            items: Matrix::new(&model.item_weights, &model.item_ranges, &model.item_ranges, MASTER_BITS),
            positions: model.positions.clone(),
            blocks: blocks.collect(),
            final_norm: model.final_norm.clone(),
            channels: model.channels(),
        })
    }

    /// Logits of all items by row, for one plan code per channel and a history of item rows, oldest first.
    ///
    /// # Errors
    /// As [`Simulation::score`].
    pub fn logits(&self, codes: &[u8], history: &[u32]) -> Result<Vec<f32>, SimulationError> {
        self.score(codes, history, &(0..self.shape.items).collect::<Vec<_>>())
    }

    /// Logits of `candidates` in their order. Of a history longer than the window the last part counts.
    ///
    /// # Errors
    /// The codes are not a plan for this model, the history is empty, an item does not exist, or a logit is not
    /// finite.
    pub fn score(
        &self,
        codes: &[u8],
        history: &[u32],
        candidates: &[u32],
    ) -> Result<Vec<f32>, SimulationError> {
        self.check(codes, history, candidates)?;
        let (dim, window) = (usize::from(self.shape.dim), usize::from(self.shape.positions));
        let history = &history[history.len().saturating_sub(window)..];
        let mut x = self.embed(history);
        for block in &self.blocks {
            self.block(block, codes, &mut x);
        }
        let newest = normalise(&x[x.len() - dim..], dim, &self.final_norm, self.shape.norm_epsilon);
        let mut a = vec![0; dim];
        let scale = quantise_token(&newest, &mut a);
        let score = |&item: &u32| {
            let t = integer_dot(&a, self.items.row(item as usize));
            let logit = logit(t, self.items.steps[item as usize], scale);
            if logit.is_finite() { Ok(logit) } else { Err(SimulationError::NotFinite { item }) }
        };
        candidates.iter().map(score).collect()
    }

    fn check(&self, codes: &[u8], history: &[u32], candidates: &[u32]) -> Result<(), SimulationError> {
        if codes.len() != self.channels {
            return Err(SimulationError::Channels { expected: self.channels, found: codes.len() });
        }
        if let Some(channel) = codes.iter().position(|&code| self.palette.bits(code).is_none()) {
            return Err(SimulationError::Code { channel, code: codes[channel] });
        }
        if history.is_empty() {
            return Err(SimulationError::EmptyHistory);
        }
        let items = self.shape.items;
        match history.iter().chain(candidates).find(|&&item| item >= items) {
            Some(&item) => Err(SimulationError::Item { item, items }),
            None => Ok(()),
        }
    }

    /// Item value plus position, tokens x dim; the newest token has the last position.
    fn embed(&self, history: &[u32]) -> Vec<f32> {
        let dim = usize::from(self.shape.dim);
        let first = (usize::from(self.shape.positions) - history.len()) * dim;
        let items = history.iter().flat_map(|&item| {
            let step = self.items.steps[item as usize];
            self.items.row(item as usize).iter().map(move |&level| f32::from(level) * step)
        });
        items.zip(&self.positions[first..]).map(|(item, position)| item + position).collect()
    }

    fn block(&self, block: &Block, codes: &[u8], x: &mut [f32]) {
        let (dim, epsilon) = (usize::from(self.shape.dim), self.shape.norm_epsilon);
        let [query, key, value, output, expand, contract] = &block.layers;

        let h = normalise(x, dim, &block.norm1, epsilon);
        let [q, k, v] = [query, key, value].map(|layer| layer.apply(codes, &h));
        let attended = attention(&q, &k, &v, dim, self.shape.head_dim());
        add(x, &output.apply(codes, &attended));

        let h = normalise(x, dim, &block.norm2, epsilon);
        let mut hidden = expand.apply(codes, &h);
        hidden.iter_mut().for_each(|y| *y = self.shape.activation.apply(*y));
        add(x, &contract.apply(codes, &hidden));
    }
}

impl Layer {
    fn new(frozen: &FrozenLayer, palette: &Palette, first_channel: usize) -> Self {
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
    fn apply(&self, codes: &[u8], x: &[f32]) -> Vec<f32> {
        let codes = &codes[self.first_channel..][..self.widths[0].biases.len()];
        let inputs = self.widths[0].weights.columns;
        let mut a = vec![0; inputs];
        let mut y = Vec::with_capacity(x.len() / inputs * codes.len());
        for token in x.chunks_exact(inputs) {
            let scale = quantise_token(token, &mut a);
            for (channel, &code) in codes.iter().enumerate() {
                let Width { weights, biases } = &self.widths[usize::from(code)];
                let bias = biases[channel];
                y.push(match weights.bits {
                    0 => bias,
                    _ => channel_output(
                        integer_dot(&a, weights.row(channel)),
                        weights.steps[channel],
                        scale,
                        bias,
                    ),
                });
            }
        }
        y
    }
}

/// Column `index` of a row-major matrix of that many columns.
fn column(matrix: &[f32], columns: usize, index: usize) -> Vec<f32> {
    matrix.iter().skip(index).step_by(columns).copied().collect()
}

/// Exact: the formats' sizes keep it within i32.
fn integer_dot(a: &[i8], levels: &[i16]) -> i32 {
    a.iter().zip(levels).map(|(&a, &level)| i32::from(a) * i32::from(level)).sum()
}

fn normalise(x: &[f32], dim: usize, norm: &Norm, epsilon: f32) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    for (x, y) in x.chunks_exact(dim).zip(y.chunks_exact_mut(dim)) {
        layer_norm(x, norm.gamma.iter().copied(), norm.beta.iter().copied(), epsilon, y);
    }
    y
}

/// Section 6 for all heads and all tokens, each over itself and those before it.
fn attention(q: &[f32], k: &[f32], v: &[f32], dim: usize, head_dim: usize) -> Vec<f32> {
    let scale = score_scale(head_dim);
    let mut y = vec![0.0; q.len()];
    for token in 0..q.len() / dim {
        for head in (0..dim).step_by(head_dim) {
            let part = |x: &'_ [f32], token: usize| x[token * dim + head..][..head_dim].to_vec();
            let query = part(q, token);
            let z: Vec<f32> = (0..=token).map(|j| dot(&query, &part(k, j)) * scale).collect();
            let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let e: Vec<f32> = z.iter().map(|z| libm::expf(z - max)).collect();
            let inverse = 1.0 / sum(&e);
            for i in 0..head_dim {
                let weighted = (0..=token).fold(0.0, |y, j| y + e[j] * v[j * dim + head + i]);
                y[token * dim + head + i] = weighted * inverse;
            }
        }
    }
    y
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen::examples::small;

    const CHANNELS: usize = 26;

    #[test]
    fn at_zero_bits_only_biases_remain() {
        let mut model = small();
        for layer in &mut model.blocks[0].layers {
            layer.biases.fill(0.0);
        }
        model.item_weights = vec![0.5, -0.5, 0.25, 0.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0];
        model.positions.fill(0.0);
        model.final_norm = Norm { gamma: vec![1.0; 4], beta: vec![0.0; 4] };
        let found = Simulation::new(&model).unwrap().logits(&[0; CHANNELS], &[1, 0]).unwrap();
        // Residual stream: item 0 at 8 bits, a quarter level up; normalised and at 7 bits and sign for the dots.
        let x = [0.5f64, -0.5, 0.25, 0.0].map(|w| w + 1.0 / 256.0);
        let mean = x.iter().sum::<f64>() / 4.0;
        let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
        let h = x.map(|x| (x - mean) / deviation);
        for (row, logit) in model.item_weights.chunks(4).zip(found) {
            let expected: f64 = h.iter().zip(row).map(|(h, &w)| h * f64::from(w)).sum();
            assert!((f64::from(logit) - expected).abs() < 0.03, "{logit} {expected}");
        }
    }

    #[test]
    fn only_the_window_counts() {
        let simulation = Simulation::new(&small()).unwrap();
        let logits = |history: &[u32]| simulation.logits(&[3; CHANNELS], history).unwrap();
        assert_eq!(logits(&[0, 0, 2, 1, 0, 2, 1]), logits(&[2, 1, 0, 2, 1]));
        assert_ne!(logits(&[0, 2, 1, 0, 2]), logits(&[2, 1, 0, 2]), "the fifth last item counts");
        assert_ne!(logits(&[0, 1]), logits(&[1, 0]), "positions count");
    }

    #[test]
    fn errors() {
        let simulation = Simulation::new(&small()).unwrap();
        let message =
            |codes: &[u8], history: &[u32]| simulation.logits(codes, history).unwrap_err().to_string();
        assert_eq!(message(&[0; 25], &[0]), "25 plan codes, the model has 26 channels");
        let mut codes = [0; CHANNELS];
        codes[4] = 4;
        assert_eq!(message(&codes, &[0]), "channel 4 has code 4, which is not in the palette");
        assert_eq!(message(&[0; CHANNELS], &[]), "the history is empty");
        assert!(message(&[0; CHANNELS], &[3]).starts_with("item 3 in the history"));

        let mut model = small();
        model.final_norm.gamma[0] = f32::MAX;
        model.item_ranges[2] = 1.8e19;
        model.final_norm.beta[0] = f32::MAX;
        let overflowing = Simulation::new(&model).unwrap().score(&[3; CHANNELS], &[0], &[1, 2]);
        assert!(matches!(overflowing, Err(SimulationError::NotFinite { .. })), "{overflowing:?}");
    }
}
