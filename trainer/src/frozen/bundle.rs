//! Writing the bundle (docs/format.md).

use super::{FrozenLayer, FrozenModel, Norm};
use chord_plan::BundleWriter;
use chord_plan::bundle::{self, LayerPart, NormPart, Section, WriteError};
use chord_plan::manifest::ManifestError;
use chord_plan::numerics::master_code;
use thiserror::Error;

/// Why a model cannot be frozen.
#[derive(Debug, Error)]
pub enum FrozenError {
    /// The sizes do not describe a model.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A section is of another length than the sizes ask for, or holds a number out of range.
    #[error(transparent)]
    Section(#[from] WriteError),
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
        writer.codes(Section::ItemCodes, &codes(Section::ItemCodes, &self.item_weights, &self.item_ranges)?)?;
        writer.floats(Section::Positions, &self.positions)?;
        let mut names = manifest.layers().map(|layer| layer.name);
        for (index, block) in (0..).zip(&self.blocks) {
            write_norm(&mut writer, bundle::Norm::Attention(index), &block.norm1)?;
            write_norm(&mut writer, bundle::Norm::FeedForward(index), &block.norm2)?;
            for (FrozenLayer { weights, ranges, biases }, name) in block.layers.iter().zip(names.by_ref()) {
                let section = |part| Section::Layer(name, part);
                writer.floats(section(LayerPart::Ranges), ranges)?;
                let codes = codes(section(LayerPart::Codes), weights, ranges)?;
                writer.codes(section(LayerPart::Codes), &codes)?;
                writer.floats(section(LayerPart::Biases), biases)?;
            }
        }
        write_norm(&mut writer, bundle::Norm::Final, &self.final_norm)?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// Master codes of rows that share the ranges evenly.
fn codes(section: Section, weights: &[f32], ranges: &[f32]) -> Result<Vec<i8>, FrozenError> {
    if let Some(index) = weights.iter().position(|w| !w.is_finite()) {
        return Err(FrozenError::Weight { section, index, weight: weights[index] });
    }
    let inputs = (weights.len() / ranges.len().max(1)).max(1);
    let row = |(row, &range): (&[f32], &f32)| row.iter().map(|&w| master_code(w, range)).collect::<Vec<_>>();
    Ok(weights.chunks(inputs).zip(ranges).flat_map(row).collect())
}

fn write_norm(writer: &mut BundleWriter, norm: bundle::Norm, from: &Norm) -> Result<(), WriteError> {
    writer.floats(Section::Norm(norm, NormPart::Gamma), &from.gamma)?;
    writer.floats(Section::Norm(norm, NormPart::Beta), &from.beta)
}
