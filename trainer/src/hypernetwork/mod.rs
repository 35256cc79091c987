//! The hypernetworks of CHORD (arXiv 2510.03038): from a user embedding to the importance of every output channel.
//!
//! Three granularities: element-level importance inside a layer, which reconstructs the importance of a filter (output
//! channel); filter-level importance itself; and layer-level importance across layers, which weights both. All are
//! deviations from scores every user shares, in the log domain, and start at zero:
//!
//! ```text
//! log s(z) = shared + filter(z) + layer(z) + log e(z) - log e(0)
//! ```
//!
//! What training has learnt is then shrunk towards its mean over users.

mod element;
mod filter;
mod layer;
mod shared;
mod shrinkage;

pub use element::ElementImportance;
pub use filter::FilterImportance;
pub use layer::LayerImportance;
pub use shared::SharedScores;
pub use shrinkage::Shrinkage;
pub(crate) use shrinkage::mean_scores;

use crate::model::backbone::Backbone;
use crate::tensor::{Backend, Device, Tensor};
use burn::module::Module;
use burn::prelude::Backend as BurnBackend;

/// Sizes of the quantised layers: what the hypernetworks need to know of a backbone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Output channels of each layer.
    pub outputs: Vec<usize>,
    /// Inputs of each layer.
    pub inputs: Vec<usize>,
}

impl Channels {
    /// Of a backbone.
    pub fn of(backbone: &Backbone<Backend>) -> Self {
        Self {
            outputs: backbone.layers().into_iter().map(|l| l.outputs()).collect(),
            inputs: backbone.layers().into_iter().map(|l| l.inputs()).collect(),
        }
    }

    /// Output channels of all layers.
    pub fn total(&self) -> usize {
        self.outputs.iter().sum()
    }

    /// Number of weights of each channel, [channels].
    pub fn weights_per_channel(&self) -> Vec<u32> {
        self.outputs.iter().zip(&self.inputs).flat_map(|(&o, &i)| std::iter::repeat_n(i as u32, o)).collect()
    }

    /// 1 where a channel belongs to a layer, [layers, channels].
    fn membership(&self, device: &Device) -> Tensor<2> {
        let (layers, total) = (self.outputs.len(), self.total());
        let mut data = vec![0.0; layers * total];
        let mut start = 0;
        for (layer, &outputs) in self.outputs.iter().enumerate() {
            data[layer * total + start..layer * total + start + outputs].fill(1.0);
            start += outputs;
        }
        crate::tensor::floats(data, [layers, total], device)
    }
}

/// Which granularities take part: the switches of the ablation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granularities {
    /// Element-level importance.
    pub element: bool,
    /// Filter-level importance.
    pub filter: bool,
    /// Layer-level importance.
    pub layer: bool,
}

/// The personal deviation of log-scores.
#[derive(Module, Debug)]
pub struct Hypernetworks<B: BurnBackend> {
    element: Option<ElementImportance<B>>,
    filter: Option<FilterImportance<B>>,
    layer: Option<LayerImportance<B>>,
    shrinkage: Shrinkage<B>,
}

impl Hypernetworks<Backend> {
    /// For user embeddings of size `hidden`; `rank` terms of element-level importance.
    pub fn new(channels: &Channels, hidden: usize, rank: usize, on: Granularities, device: &Device) -> Self {
        Self {
            element: on.element.then(|| ElementImportance::new(channels, hidden, rank, device)),
            filter: on.filter.then(|| FilterImportance::new(channels, hidden, device)),
            layer: on.layer.then(|| LayerImportance::new(channels, hidden, device)),
            shrinkage: Shrinkage::none(channels.total(), device),
        }
    }

    /// With another shrinkage.
    pub fn shrunk(self, shrinkage: Shrinkage<Backend>) -> Self {
        Self { shrinkage, ..self }
    }

    /// Deviation of the log-scores for user embeddings `z` [batch, hidden] -> [batch, channels].
    pub fn forward(&self, z: Tensor<2>, backbone: &Backbone<Backend>) -> Tensor<2> {
        let channels = Channels::of(backbone);
        let mut deviation = Tensor::zeros([z.dims()[0], channels.total()], &z.device());
        if let Some(element) = &self.element {
            deviation = deviation + element.forward(z.clone(), backbone);
        }
        if let Some(filter) = &self.filter {
            deviation = deviation + filter.forward(z.clone());
        }
        if let Some(layer) = &self.layer {
            deviation = deviation + layer.forward(z, &channels);
        }
        self.shrinkage.forward(deviation)
    }
}

/// A linear layer that starts at zero.
fn zero_linear(inputs: usize, outputs: usize, device: &Device) -> burn::nn::Linear<Backend> {
    burn::nn::LinearConfig::new(inputs, outputs).with_initializer(burn::nn::Initializer::Zeros).init(device)
}
