//! Fake quantisation of the activations that enter a quantised layer (docs/numerics.md section 2).

use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Tokens below it count as zero (2^-64).
const TINY: f32 = 5.421_011e-20;

/// How activations enter quantised layers in the trainer's forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivationQuantiser {
    /// As they are (weight-only quantisation).
    None,
    /// Symmetric int8 per token, as on the device; the gradient passes straight through.
    Int8,
}

impl ActivationQuantiser {
    /// `x` of shape [..., features] as the device sees it.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::None => x,
            Self::Int8 => {
                let plain = x.clone().detach();
                let largest = plain.clone().abs().max_dim(D - 1).clamp_min(TINY);
                let codes = (plain.clone() * (largest.clone().recip() * 127.0)).round();
                x + (codes * (largest / 127.0) - plain)
            }
        }
    }
}
