//! The scores every user shares: what static mixed precision learns, and what personal scores deviate from.

use super::Channels;
use crate::tensor::{Backend, Device, Tensor};
use burn::module::{Module, Param};
use burn::prelude::Backend as BurnBackend;
use burn::tensor::Distribution;

/// Log-scores per channel plus one per layer.
#[derive(Module, Debug)]
pub struct SharedScores<B: BurnBackend> {
    channel: Param<burn::Tensor<B, 1>>,
    layer: Param<burn::Tensor<B, 1>>,
}

impl SharedScores<Backend> {
    /// Channel scores ~ N(0, `spread`^2): spread, so that the first allocation already uses every width.
    pub fn new(channels: &Channels, spread: f64, device: &Device) -> Self {
        Self {
            channel: Param::from_tensor(Tensor::random(
                [channels.total()],
                Distribution::Normal(0.0, spread),
                device,
            )),
            layer: Param::from_tensor(Tensor::zeros([channels.outputs.len()], device)),
        }
    }

    /// Given log-scores [channels], and none for layers.
    pub fn with_scores(self, log_scores: Vec<f32>) -> Self {
        let (channels, device) = (log_scores.len(), self.channel.device());
        let scores = crate::tensor::floats(log_scores, [channels], &device);
        Self { channel: self.channel.map(|_| scores), layer: self.layer.map(|l| l.zeros_like()) }
    }

    /// Log-scores, [1, channels].
    pub fn forward(&self, channels: &Channels) -> Tensor<2> {
        let membership = channels.membership(&self.channel.device());
        self.channel.val().unsqueeze::<2>() + self.layer.val().unsqueeze::<2>().matmul(membership)
    }
}
