//! Writing the bundle (docs/format.md).

use super::{FrozenModel, FrozenNetwork, Norm};
use chord_plan::BundleWriter;
use chord_plan::bundle::{self, LayerPart, NormPart, Section, WriteError};
use chord_plan::manifest::{Layer, LayerName, ManifestError};
use chord_plan::numerics::{RANGE_MAX, RANGE_MIN, master_code};
use thiserror::Error;

/// Why a model cannot be frozen.
#[derive(Debug, Error)]
pub enum FrozenError {
    /// The device has no such backbone.
    #[error("the device format and runtime have no backbone like this yet: {name}")]
    Backbone {
        /// Of the backbone.
        name: &'static str,
    },
    /// The sizes do not describe a model.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A section is of another length than the sizes ask for, or holds a number out of range.
    #[error(transparent)]
    Section(#[from] WriteError),
    /// Caser has another number of layers than its window asks for.
    #[error("the sizes ask for {expected} layers, got {found}")]
    Layers {
        /// Layers of the sizes.
        expected: usize,
        /// Layers given.
        found: usize,
    },
    /// A weight is NaN or infinite.
    #[error("{section}: weight {index} is {weight}")]
    Weight {
        /// Where it would be written.
        section: Section,
        /// Flat index.
        index: usize,
        /// Its value.
        weight: f32,
    },
    /// A layer has another number of master ranges than channels.
    #[error("{layer} has {expected} channels, got {found} ranges of master codes")]
    MasterRanges {
        /// The layer.
        layer: LayerName,
        /// Channels of the layer.
        expected: usize,
        /// Master ranges given.
        found: usize,
    },
    /// A master range is not in 2^-64 ..= 2^64.
    #[error("{layer}: range {range} of the master codes of channel {channel} is out of range")]
    MasterRange {
        /// The layer.
        layer: LayerName,
        /// Output channel.
        channel: usize,
        /// Its range.
        range: f32,
    },
}

impl FrozenModel {
    /// The bundle's bytes.
    ///
    /// # Errors
    /// If the parts do not fit the sizes, or a number is not finite or out of range; the section is named.
    pub fn to_bundle(&self) -> Result<Vec<u8>, FrozenError> {
        let manifest = self.manifest();
        let mut bytes = vec![0; manifest.bundle_len()?];
        let mut writer = BundleWriter::new(&manifest, &mut bytes)?;
        // Ranges first: the codes divide by them.
        writer.floats(Section::ItemRanges, &self.item_ranges)?;
        writer
            .codes(Section::ItemCodes, &codes(Section::ItemCodes, &self.item_weights, &self.item_ranges)?)?;
        match &self.network {
            FrozenNetwork::SasRec(network) => {
                writer.floats(Section::Positions, &network.positions)?;
                for (index, block) in (0..).zip(&network.blocks) {
                    write_norm(&mut writer, bundle::Norm::Attention(index), &block.norm1)?;
                    write_norm(&mut writer, bundle::Norm::FeedForward(index), &block.norm2)?;
                }
                write_norm(&mut writer, bundle::Norm::Final, &network.final_norm)?;
            }
            FrozenNetwork::Caser(network) => {
                let (expected, found) = (manifest.layer_count(), network.layers.len());
                if found != expected {
                    return Err(FrozenError::Layers { expected, found });
                }
            }
        }
        for (layer, place) in self.layers().zip(manifest.layers()) {
            let section = |part| Section::Layer(place.name, part);
            writer.floats(section(LayerPart::Ranges), layer.device_ranges())?;
            check_master_ranges(&place, &layer.ranges)?;
            let codes = codes(section(LayerPart::Codes), &layer.weights, &layer.ranges)?;
            writer.codes(section(LayerPart::Codes), &codes)?;
            writer.floats(section(LayerPart::Biases), &layer.biases)?;
        }
        if let Some(profile) = &self.profile {
            profile.write(&mut writer)?;
        }
        writer.finish()?;
        Ok(bytes)
    }
}

/// The writer sees only the ranges that devices read.
fn check_master_ranges(place: &Layer, ranges: &[f32]) -> Result<(), FrozenError> {
    let (layer, expected, found) = (place.name, place.outputs, ranges.len());
    if found != expected {
        return Err(FrozenError::MasterRanges { layer, expected, found });
    }
    match ranges.iter().position(|range| !(RANGE_MIN..=RANGE_MAX).contains(range)) {
        Some(channel) => Err(FrozenError::MasterRange { layer, channel, range: ranges[channel] }),
        None => Ok(()),
    }
}

/// Master codes of rows of weights, each with its range. As many codes as weights, so that the writer sees and names
/// a wrong number.
pub(super) fn codes(section: Section, weights: &[f32], ranges: &[f32]) -> Result<Vec<i8>, FrozenError> {
    if let Some(index) = weights.iter().position(|w| !w.is_finite()) {
        return Err(FrozenError::Weight { section, index, weight: weights[index] });
    }
    let inputs = weights.len().div_ceil(ranges.len().max(1));
    let row = |(row, &range): (&[f32], &f32)| row.iter().map(|&w| master_code(w, range)).collect::<Vec<_>>();
    Ok(weights.chunks(inputs.max(1)).zip(ranges).flat_map(row).collect())
}

pub(super) fn write_norm(
    writer: &mut BundleWriter,
    norm: bundle::Norm,
    from: &Norm,
) -> Result<(), WriteError> {
    writer.floats(Section::Norm(norm, NormPart::Gamma), &from.gamma)?;
    writer.floats(Section::Norm(norm, NormPart::Beta), &from.beta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen::FrozenLayer;
    use crate::frozen::examples::{sasrec, small, small_caser, small_per_width};
    use chord_plan::Bundle;

    #[test]
    fn a_reader_finds_every_part() {
        let mut model = small();
        let bytes = model.to_bundle().unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        assert_eq!(*bundle.manifest(), model.manifest());
        for (index, layer) in model.layers().enumerate() {
            let view = bundle.layer(index);
            let inputs = view.layer().inputs;
            for (channel, row) in layer.weights.chunks(inputs).enumerate() {
                let expected: Vec<i8> = row.iter().map(|&w| master_code(w, layer.ranges[channel])).collect();
                assert_eq!(view.codes(channel), expected);
                assert_eq!(view.range(channel, 4), layer.ranges[channel]);
                assert_eq!(view.bias(channel, 0), layer.biases[channel]);
            }
        }
        assert!(
            bundle
                .item_codes(2)
                .iter()
                .zip(&model.item_weights[8..])
                .all(|(&k, &w)| k == master_code(w, 1.0))
        );
        let model = sasrec(&mut model);
        assert!(bundle.position(4).iter().eq(model.positions[16..].iter().copied()));
        let norms = [
            (bundle::Norm::Attention(0), &model.blocks[0].norm1),
            (bundle::Norm::FeedForward(0), &model.blocks[0].norm2),
            (bundle::Norm::Final, &model.final_norm),
        ];
        for (norm, expected) in norms {
            let (gamma, beta) = bundle.norm(norm);
            assert!(
                gamma.iter().eq(expected.gamma.iter().copied())
                    && beta.iter().eq(expected.beta.iter().copied())
            );
        }
    }

    #[test]
    fn each_width_has_its_range_and_bias_and_all_have_the_codes() {
        let (shared, model) = (small().to_bundle().unwrap(), small_per_width());
        let bytes = model.to_bundle().unwrap();
        let (shared, bundle) = (Bundle::parse(&shared).unwrap(), Bundle::parse(&bytes).unwrap());
        assert_eq!(*bundle.manifest(), model.manifest());
        for (index, layer) in model.layers().enumerate() {
            let view = bundle.layer(index);
            assert_eq!(view.all_codes(), shared.layer(index).all_codes());
            let ranges = (0..layer.ranges.len()).flat_map(|c| [2, 4, 8].map(|bits| view.range(c, bits)));
            assert!(ranges.eq(layer.width_ranges.clone().unwrap()));
            let biases = (0..layer.ranges.len()).flat_map(|c| [0, 2, 4, 8].map(|bits| view.bias(c, bits)));
            assert!(biases.eq(layer.biases.iter().copied()));
        }
    }

    #[test]
    fn errors_name_the_layer() {
        let message = |change: &dyn Fn(&mut FrozenModel)| {
            let mut model = small();
            change(&mut model);
            model.to_bundle().unwrap_err().to_string()
        };
        for (change, expected) in [
            (
                &|m: &mut FrozenModel| sasrec(m).blocks[0].layers[1].weights[5] = f32::NAN,
                "block0.key codes: weight 5 is NaN",
            ),
            (
                &|m| sasrec(m).blocks[0].layers[4].ranges[2] = 0.0,
                "block0.expand ranges: number 2 is out of range",
            ),
            (
                &|m| sasrec(m).blocks[0].layers[3].biases.truncate(3),
                "block0.output biases has 4 elements, got 3",
            ),
            (
                &|m| sasrec(m).blocks[0].layers[5].weights.truncate(23),
                "block0.contract codes has 24 elements, got 23",
            ),
            (&|m| m.item_weights.push(0.0), "item codes has 12 elements, got 13"),
            (&|m| sasrec(m).final_norm.beta[0] = f32::INFINITY, "final norm beta: number 0"),
            (&|m| sasrec(m).blocks.clear(), "block0.norm1 gamma was not written"),
            (
                &|m| {
                    let block = sasrec(m).blocks[0].clone();
                    sasrec(m).blocks.push(block);
                },
                "no section block1.norm1 gamma",
            ),
            (&|m| m.item_ranges[1] = f32::NAN, "item ranges: number 1"),
            (&|m| sasrec(m).shape.heads = 3, "dim 4 is not a multiple of 3 heads"),
        ] as [(&dyn Fn(&mut FrozenModel), &str); 10]
        {
            let found = message(change);
            assert!(found.contains(expected), "{expected:?} in {found:?}");
        }
    }

    #[test]
    fn errors_of_ranges_per_width_name_the_layer() {
        for (change, expected) in [
            (
                &|layer: &mut FrozenLayer| layer.ranges[2] = f32::NAN,
                "block0.expand: range NaN of the master codes of channel 2 is out of range",
            ),
            (&|layer| layer.ranges.clear(), "block0.expand has 6 channels, got 0 ranges of master codes"),
            (&|layer| layer.width_ranges = None, "block0.expand ranges has 18 elements, got 6"),
            (
                &|layer| layer.width_ranges.as_mut().unwrap()[7] = -1.0,
                "block0.expand ranges: number 7 is out of range",
            ),
            (&|layer| layer.biases.truncate(18), "block0.expand biases has 24 elements, got 18"),
        ] as [(&dyn Fn(&mut FrozenLayer), &str); 5]
        {
            let mut model = small_per_width();
            change(&mut sasrec(&mut model).blocks[0].layers[4]);
            let found = model.to_bundle().unwrap_err().to_string();
            assert!(found.contains(expected), "{expected:?} in {found:?}");
        }
    }

    #[test]
    fn a_reader_finds_the_layers_of_caser() {
        let model = small_caser();
        let bytes = model.to_bundle().unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        assert_eq!(*bundle.manifest(), model.manifest());
        for (index, layer) in model.layers().enumerate() {
            let view = bundle.layer(index);
            let expected = layer.weights.iter().map(|&w| master_code(w, 1.0));
            assert!(view.all_codes().iter().copied().eq(expected), "{}", view.layer().name);
        }
        let message = |change: &dyn Fn(&mut Vec<FrozenLayer>)| {
            let mut model = small_caser();
            let FrozenNetwork::Caser(network) = &mut model.network else { unreachable!("it is Caser") };
            change(&mut network.layers);
            model.to_bundle().unwrap_err().to_string()
        };
        assert_eq!(message(&|layers| drop(layers.pop())), "the sizes ask for 6 layers, got 5");
        assert!(
            message(&|layers| layers[2].weights[5] = f32::NAN).starts_with("horizontal3 codes: weight 5")
        );
        assert_eq!(message(&|layers| layers[3].biases.clear()), "vertical biases has 2 elements, got 0");
    }
}
