//! Layer-level importance: one score for each layer, added to all its channels.

use super::{Channels, zero_linear};
use crate::tensor::{Backend, Device, Tensor};
use burn::module::Module;
use burn::nn::Linear;
use burn::prelude::Backend as BurnBackend;

/// A linear head from the user embedding to the layers.
#[derive(Module, Debug)]
pub struct LayerImportance<B: BurnBackend> {
    head: Linear<B>,
}

impl LayerImportance<Backend> {
    pub(super) fn new(channels: &Channels, hidden: usize, device: &Device) -> Self {
        Self { head: zero_linear(hidden, channels.outputs.len(), device) }
    }

    /// `z` [batch, hidden] -> [batch, channels].
    pub(super) fn forward(&self, z: Tensor<2>, channels: &Channels) -> Tensor<2> {
        let membership = channels.membership(&z.device());
        self.head.forward(z).matmul(membership)
    }
}
