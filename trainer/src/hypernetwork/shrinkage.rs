//! What is personal in personal scores: their distance from the mean over users, shrunk (the idea of James and Stein
//! 1961), since hypernetworks say more of users they were trained on than of those same users later.

use crate::tensor::{Backend, Device, Tensor, floats};
use burn::module::{Module, Param};
use burn::prelude::Backend as BurnBackend;

/// Takes the centre away and keeps a share of what is left. Fitted on validation after training, never learned.
#[derive(Module, Debug)]
pub struct Shrinkage<B: BurnBackend> {
    /// Mean over users of what the hypernetworks say, [1, channels].
    centre: Param<burn::Tensor<B, 2>>,
    /// What all users get in its place, [1, channels].
    common: Param<burn::Tensor<B, 2>>,
    /// Share of the distance that is kept, [1, 1].
    strength: Param<burn::Tensor<B, 2>>,
}

impl Shrinkage<Backend> {
    /// Keeps everything.
    pub(super) fn none(channels: usize, device: &Device) -> Self {
        Self::new(vec![0.0; channels], vec![0.0; channels], 1.0, device)
    }

    /// Keeps `strength` of the distance from `centre` [channels], and adds `common` [channels].
    pub fn new(centre: Vec<f32>, common: Vec<f32>, strength: f32, device: &Device) -> Self {
        let row = |values: Vec<f32>| {
            let channels = values.len();
            Param::from_tensor(floats(values, [1, channels], device))
        };
        Self { centre: row(centre), common: row(common), strength: row(vec![strength]) }
    }

    /// [batch, channels] -> [batch, channels].
    pub(super) fn forward(&self, deviation: Tensor<2>) -> Tensor<2> {
        (deviation - self.centre.val()) * self.strength.val() + self.common.val()
    }
}

/// The users' mean log-score of each channel.
pub(crate) fn mean_scores(scores: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0f64; scores[0].len()];
    for row in scores {
        sum.iter_mut().zip(row).for_each(|(sum, &s)| *sum += f64::from(s));
    }
    sum.iter().map(|s| (s / scores.len() as f64) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_host;

    #[test]
    fn keeps_a_share_of_the_distance_from_the_centre() {
        let device = Device::Flex(Default::default());
        let deviations = || floats(vec![1.0, -2.0, 5.0, 0.0], [2, 2], &device);
        assert_eq!(to_host(Shrinkage::none(2, &device).forward(deviations())), [1.0, -2.0, 5.0, 0.0]);
        let shrunk = Shrinkage::new(vec![3.0, -1.0], vec![0.0, 10.0], 0.5, &device);
        assert_eq!(to_host(shrunk.forward(deviations())), [-1.0, 9.5, 1.0, 10.5]);
    }
}
