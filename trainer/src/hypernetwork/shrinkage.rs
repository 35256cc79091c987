//! Shrinkage of personal scores towards their mean over users (the idea of James and Stein 1961): hypernetworks say more
//! of users they were trained on than of those same users later, so a share of what they say may be worth more than all.

use crate::tensor::{Backend, Device, Tensor, floats};
use burn::module::{Module, Param};
use burn::prelude::Backend as BurnBackend;

/// Keeps a share of the distance from the centre. Fitted on validation after training, never learned.
#[derive(Module, Debug)]
pub struct Shrinkage<B: BurnBackend> {
    /// [1, channels].
    centre: Param<burn::Tensor<B, 2>>,
    /// Share kept, [1, 1].
    strength: Param<burn::Tensor<B, 2>>,
}

impl Shrinkage<Backend> {
    /// Keeps everything.
    pub(super) fn none(channels: usize, device: &Device) -> Self {
        Self::new(vec![0.0; channels], 1.0, device)
    }

    /// Keeps `strength` of the distance from `centre` [channels].
    pub fn new(centre: Vec<f32>, strength: f32, device: &Device) -> Self {
        let channels = centre.len();
        Self {
            centre: Param::from_tensor(floats(centre, [1, channels], device)),
            strength: Param::from_tensor(floats(vec![strength], [1, 1], device)),
        }
    }

    /// [batch, channels] -> [batch, channels].
    pub(super) fn forward(&self, deviation: Tensor<2>) -> Tensor<2> {
        let centre = self.centre.val();
        (deviation - centre.clone()) * self.strength.val() + centre
    }
}
