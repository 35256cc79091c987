//! The profile encoder in plain numbers.

use chord_plan::BundleWriter;
use chord_plan::bundle::{self, LayerPart, Section};
use chord_plan::manifest::{LayerName, ProfileLayer, ProfileShape};

use super::bundle::{codes, write_norm};
use super::{FrozenError, FrozenLayer, Norm};

/// A profile encoder (docs/numerics.md, section 11).
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenProfile {
    /// Sizes.
    pub shape: ProfileShape,
    /// In the order of [`ProfileLayer::ALL`]; none has ranges for each width.
    pub layers: [FrozenLayer; 4],
    /// Of the user embedding.
    pub norm: Norm,
}

impl FrozenProfile {
    pub(super) fn write(&self, writer: &mut BundleWriter<'_>) -> Result<(), FrozenError> {
        for (kind, layer) in ProfileLayer::ALL.into_iter().zip(&self.layers) {
            let section = |part| Section::Layer(LayerName::Profile(kind), part);
            writer.floats(section(LayerPart::Ranges), &layer.ranges)?;
            let codes = codes(section(LayerPart::Codes), &layer.weights, &layer.ranges)?;
            writer.codes(section(LayerPart::Codes), &codes)?;
            writer.floats(section(LayerPart::Biases), &layer.biases)?;
        }
        Ok(write_norm(writer, bundle::Norm::Profile, &self.norm)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen::examples::small_with_profile;
    use chord_plan::Bundle;
    use chord_plan::numerics::master_code;

    #[test]
    fn a_reader_finds_every_part() {
        let model = small_with_profile();
        let bytes = model.to_bundle().unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        assert_eq!(*bundle.manifest(), model.manifest());
        let profile = model.profile.unwrap();
        for (kind, layer) in ProfileLayer::ALL.into_iter().zip(&profile.layers) {
            let view = bundle.profile_layer(kind);
            assert_eq!(view.layer().outputs, layer.biases.len());
            for (channel, row) in layer.weights.chunks(view.layer().inputs).enumerate() {
                let expected: Vec<i8> = row.iter().map(|&w| master_code(w, layer.ranges[channel])).collect();
                assert_eq!(view.codes(channel), expected);
                assert_eq!(view.range(channel, 8), layer.ranges[channel]);
                assert_eq!(view.bias(channel, 8), layer.biases[channel]);
            }
        }
        let (gamma, beta) = bundle.norm(bundle::Norm::Profile);
        assert!(gamma.iter().eq(profile.norm.gamma) && beta.iter().eq(profile.norm.beta));
    }

    #[test]
    fn errors_name_the_layer() {
        for (change, expected) in [
            (
                &|p: &mut FrozenProfile| p.layers[1].weights[5] = f32::NAN,
                "profile.input_gates codes: weight 5",
            ),
            (&|p| p.layers[2].ranges[0] = 0.0, "profile.state_gates ranges: number 0"),
            (&|p| p.layers[3].biases.truncate(1), "profile.pooled biases has 2 elements, got 1"),
            (&|p| p.norm.beta[1] = f32::INFINITY, "profile.norm beta: number 1"),
            (&|p| p.shape.pooled = 5000, "pooled is 5000"),
        ] as [(&dyn Fn(&mut FrozenProfile), &str); 5]
        {
            let mut model = small_with_profile();
            change(model.profile.as_mut().unwrap());
            let found = model.to_bundle().unwrap_err().to_string();
            assert!(found.contains(expected), "{expected:?} in {found:?}");
        }
    }
}
