//! Filter-level importance: one score for each output channel.

use super::{Channels, zero_linear};
use crate::tensor::{Backend, Device, Tensor};
use burn::module::Module;
use burn::nn::Linear;
use burn::prelude::Backend as BurnBackend;

/// A linear head from the user embedding to the channels.
#[derive(Module, Debug)]
pub struct FilterImportance<B: BurnBackend> {
    head: Linear<B>,
}

impl FilterImportance<Backend> {
    pub(super) fn new(channels: &Channels, hidden: usize, device: &Device) -> Self {
        Self { head: zero_linear(hidden, channels.total(), device) }
    }

    /// `z` [batch, hidden] -> [batch, channels].
    pub(super) fn forward(&self, z: Tensor<2>) -> Tensor<2> {
        self.head.forward(z)
    }
}
