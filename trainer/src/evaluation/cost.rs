//! What a model costs: bytes on the device, bytes to change it, multiply-accumulates (MACs) to rank and to adapt.
//!
//! MACs are those of the runtime's forward pass at the full window: products of the quantised layers and of
//! attention, or those of Caser over its one window. Norms and activations are left out. In SASRec's last block only
//! the newest token goes beyond its keys and values. A channel at 0 bits costs nothing.

use crate::config::{BackboneName, Config};
use crate::frozen::encode_plan;
use crate::hypernetwork::Channels;
use crate::model::sasrec::LAYERS_PER_BLOCK;
use chord_plan::bundle::ModelId;
use chord_plan::manifest::LayerKind;

/// Sizes that costs follow from.
#[derive(Clone, Copy, Debug)]
pub struct Cost<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The quantised layers, in plan order.
    pub channels: &'a Channels,
    /// Items of the catalogue.
    pub items: u64,
}

impl Cost<'_> {
    /// Bytes of a quantised model whose plan is fixed: weights at `bits` each on average, a range for each channel, an item
    /// table at 8 bits with a range for each row; biases, positions and norms at 32 bits.
    pub fn fixed_bytes(&self, bits: f64) -> u64 {
        let ranges = 4 * self.channels.total() as u64;
        self.plain_bytes() + self.table_bytes() + ranges + (self.weights() as f64 * bits / 8.0).ceil() as u64
    }

    /// Bytes of a model that takes any plan: all weights at 8 bits, the ranges and biases of every width, and the profile
    /// encoder at 8 bits, beside what a fixed one has. A bundle is this and its frame.
    pub fn planned_bytes(&self) -> u64 {
        // With scales and biases per width: a range for each width above zero, and a bias for each, one of them counted.
        let palette = &self.config.quantisation.palette;
        let above_zero = palette.iter().filter(|&&bits| bits > 0).count();
        let more = if self.config.quantisation.per_width { above_zero - 1 + palette.len() - 1 } else { 0 };
        self.fixed_bytes(8.0) + 4 * (more * self.channels.total()) as u64 + self.profile_bytes()
    }

    /// Layers of the profile encoder with a range and a bias for each channel, and its norm.
    fn profile_bytes(&self) -> u64 {
        let (dim, p) = (usize::from(self.config.model.dim), &self.config.profile);
        let gates = 3 * p.hidden;
        let weights = dim * p.features + gates * (p.features + p.hidden) + p.features * p.hidden;
        let channels = p.features + 2 * gates + p.hidden;
        (weights + 8 * channels + 8 * p.hidden) as u64
    }

    fn table_bytes(&self) -> u64 {
        self.items * (u64::from(self.config.model.dim) + 4)
    }

    /// Bytes a device needs for the model in f32.
    pub fn full_precision_bytes(&self) -> u64 {
        self.tuned_bytes() + 4 * self.items * u64::from(self.config.model.dim)
    }

    /// Bytes of all weights but the item table in f32: what a user's fine-tuned model has of its own.
    pub fn tuned_bytes(&self) -> u64 {
        self.plain_bytes() + 4 * self.weights()
    }

    /// Bytes of a plan at `budget` as it is sent; they do not depend on the codes.
    pub fn plan_bytes(&self, budget: f32) -> u64 {
        let codes = vec![0; self.channels.total()];
        encode_plan(&codes, ModelId([0; 8]), 0, budget).expect("codes of zero fit").len() as u64
    }

    /// Biases, positions and norms.
    fn plain_bytes(&self) -> u64 {
        let m = &self.config.model;
        let rest = match m.backbone {
            BackboneName::SasRec => u64::from(m.window) + 4 * u64::from(m.blocks) + 2,
            BackboneName::Caser => 0,
        };
        4 * (self.channels.total() as u64 + rest * u64::from(m.dim))
    }

    fn weights(&self) -> u64 {
        self.channels.weights_per_channel().iter().map(|&n| u64::from(n)).sum()
    }

    /// MACs of encoding a full window, without scoring, where channel c is kept if `kept(c)`.
    pub fn encode_macs(&self, kept: impl Fn(usize) -> bool) -> u64 {
        let mut first = 0;
        let mut layers = 0;
        for (layer, (&outputs, &inputs)) in
            self.channels.outputs.iter().zip(&self.channels.inputs).enumerate()
        {
            let active = (first..first + outputs).filter(|&channel| kept(channel)).count() as u64;
            layers += active * inputs as u64 * self.uses(layer);
            first += outputs;
        }
        layers + self.attention()
    }

    /// How often a channel of a layer is computed to encode a full window.
    fn uses(&self, layer: usize) -> u64 {
        let m = &self.config.model;
        let window = usize::from(m.window);
        let uses = match m.backbone {
            BackboneName::SasRec => {
                let reads_all = [LayerKind::Key, LayerKind::Value].map(|kind| kind as usize);
                let last = layer / LAYERS_PER_BLOCK + 1 == usize::from(m.blocks);
                if last && !reads_all.contains(&(layer % LAYERS_PER_BLOCK)) { 1 } else { window }
            }
            // A filter of height h has L - h + 1 places; vertical filters read every column.
            BackboneName::Caser if layer < window => window - layer,
            BackboneName::Caser if layer == window => usize::from(m.dim),
            BackboneName::Caser => 1,
        };
        uses as u64
    }

    /// MACs of attention over a full window: a query against its keys, and as much again for the values; causal.
    fn attention(&self) -> u64 {
        let m = &self.config.model;
        let window = u64::from(m.window);
        match m.backbone {
            BackboneName::SasRec => {
                let pairs = (u64::from(m.blocks) - 1) * window * (window + 1) / 2 + window;
                2 * pairs * u64::from(m.dim)
            }
            BackboneName::Caser => 0,
        }
    }

    /// MACs of scoring one candidate.
    pub fn score_macs(&self) -> u64 {
        u64::from(self.config.model.dim)
    }

    /// MACs of making one user's scores: the profile encoder over full histories, then the hypernetworks.
    pub fn planning_macs(&self) -> u64 {
        let (p, h) = (&self.config.profile, &self.config.hypernetwork);
        let dim = usize::from(self.config.model.dim);
        // A GRU over everything is kept up to date, one step at a time.
        let recent = p.recent.max(1);
        let profile = p.pooled * dim * p.features
            + recent * 3 * p.hidden * (p.features + p.hidden)
            + p.features * p.hidden;
        let channels = self.channels.total();
        let element = if h.element { channels * h.rank * (p.hidden + 1) } else { 0 };
        let filter = if h.filter { channels * p.hidden } else { 0 };
        let layer = if h.layer { self.channels.outputs.len() * p.hidden } else { 0 };
        (profile + element + filter + layer) as u64
    }

    /// MACs of one step of tuning all layers in full precision on windows of these lengths, with a softmax over the
    /// catalogue at every token: forward once, backward twice as much, once for the items, which are frozen.
    pub fn tuning_macs(&self, lengths: impl Iterator<Item = u64>) -> u64 {
        let m = &self.config.model;
        let dim = u64::from(m.dim);
        let (blocks, columns) = match m.backbone {
            BackboneName::SasRec => (u64::from(m.blocks), 0),
            // Vertical filters read every column.
            BackboneName::Caser => (0, (dim - 1) * u64::from(m.window) * u64::from(m.vertical)),
        };
        let step = |n: u64| {
            3 * (n * (self.weights() + columns) + blocks * n * (n + 1) * dim) + 2 * n * self.items * dim
        };
        lengths.map(step).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// Two blocks, dim 2, inner 3, window 4, by hand: each square layer has 2 x 2 weights, the feed-forward ones
    /// 2 x 3 and 3 x 2.
    #[test]
    fn a_small_shape_by_hand() {
        let sets = ["model.dim=2", "model.inner=3", "model.window=4", "model.heads=1", "model.blocks=2"];
        let config = config::load(None, &sets.map(String::from)).unwrap();
        let block = |square, expand, contract| [square, square, square, square, expand, contract];
        let channels =
            Channels { outputs: [block(2, 3, 2); 2].concat(), inputs: [block(2, 2, 3); 2].concat() };
        let cost = Cost { config: &config, channels: &channels, items: 10 };
        // First block: 4 tokens x 28 weights, attention 10 pairs x 2 x dim 2. Last: keys and values of 4 tokens, the
        // rest of one, attention of 4 pairs.
        assert_eq!(cost.encode_macs(|_| true), 4 * 28 + 10 * 4 + (4 * 8 + 20) + 4 * 4);
        // Without the second channel of the first query layer: 4 tokens x 2 inputs less.
        assert_eq!(cost.encode_macs(|c| c != 1), cost.encode_macs(|_| true) - 8);
        // Without one key channel of the last block (channel 13 + 2), as much; without one query channel only 2.
        assert_eq!(cost.encode_macs(|c| c != 15), cost.encode_macs(|_| true) - 8);
        assert_eq!(cost.encode_macs(|c| c != 13), cost.encode_macs(|_| true) - 2);
        // Three tokens: 56 weights each, and 6 pairs x 2 x 2 in either block, times three; 10 items x 2 each, times two.
        assert_eq!(cost.tuning_macs([3].into_iter()), 3 * (3 * 56 + 2 * 6 * 4) + 2 * 3 * 20);
        assert_eq!(cost.full_precision_bytes() - cost.tuned_bytes(), 4 * 10 * 2);
        assert_eq!(cost.fixed_bytes(8.0) - cost.fixed_bytes(2.0), 56 * 6 / 8);
    }

    /// Caser of dim 2, window 2, one filter of each height and one vertical one: heights 1 and 2 have 2 and 1 places.
    #[test]
    fn a_small_caser_by_hand() {
        let sets = ["model.backbone=caser", "model.dim=2", "model.window=2", "model.heads=1"];
        let config = config::load(None, &sets.map(String::from)).unwrap();
        let channels = Channels { outputs: vec![1, 1, 1, 2, 2], inputs: vec![2, 4, 2, 4, 2] };
        let cost = Cost { config: &config, channels: &channels, items: 10 };
        assert_eq!(cost.encode_macs(|_| true), 2 * 2 + 4 + 2 * 2 + 8 + 4);
    }
}
