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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Device, floats, to_host};
    use chord_plan::numerics::quantise_token;

    /// Fake quantisation agrees with the contract's int8 codes times their scale.
    #[test]
    fn sees_what_the_device_sees() {
        let tokens: [[f32; 5]; 4] =
            [[0.3, -2.0, 1.1, 0.0, 0.7], [0.0; 5], [1e-30; 5], [-5e3, 4.9e3, 1.0, 2.0, -0.1]];
        let device = Device::Flex(Default::default());
        let found = to_host(ActivationQuantiser::Int8.apply(floats(tokens.concat(), [4, 5], &device)));
        for (token, found) in tokens.iter().zip(found.chunks(5)) {
            let mut codes = [0i8; 5];
            let scale = quantise_token(token, &mut codes);
            for (code, found) in codes.iter().zip(found) {
                let expected = f32::from(*code) * scale;
                assert!((expected - found).abs() <= 2e-6 * scale * 127.0, "{expected} {found}");
            }
        }
    }
}
