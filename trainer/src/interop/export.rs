//! Weights going out.

use super::{Format, InteropError};
use crate::config::Config;
use crate::model::backbone::Backbone;
use crate::tensor::Backend;
use crate::training::checkpoint::{Tensors, parameters, write};
use std::path::Path;
use toml::Value;

/// Writes the full-precision weights of a backbone as a safetensors file. A padding row is written as zeros.
///
/// # Errors
/// If the format has no such model, or the file cannot be written.
pub fn export(
    path: &Path,
    format: Format,
    backbone: &Backbone<Backend>,
    config: &Config,
) -> Result<(), InteropError> {
    let told = Value::try_from(config).expect("a configuration is plain data");
    for (key, needed) in format.knobs() {
        if key.split('.').fold(&told, |table, part| &table[part]) != &needed {
            return Err(InteropError::Unfit { format, key, needed: needed.to_string() });
        }
    }
    let Backbone::SasRec(backbone) = backbone else { unreachable!("the format's knobs were just checked") };
    let named = parameters(backbone).into_iter().filter_map(|(ours, (mut shape, mut data))| {
        if ours == "items" {
            let padding = format.padding_rows();
            data.splice(..0, vec![0; padding * shape[1] * size_of::<f32>()]);
            shape[0] += padding;
        }
        Some((format.name(&ours)?, (shape, data)))
    });
    Ok(write(path, &named.collect::<Tensors>(), None)?)
}
