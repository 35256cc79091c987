//! Weights coming in.

use super::{Format, InteropError};
use crate::config::{Config, load_over};
use crate::model::backbone::Backbone;
use crate::model::chord::Chord;
use crate::model::parameters::{MapByName, map_by_name};
use crate::tensor::{Backend, Device, Tensor, floats};
use crate::training::checkpoint::{CheckpointError, values};
use burn::module::Param;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Value;

/// The tensors of a file: all f32 and finite, the item table without a padding row.
#[derive(Clone, Debug)]
pub struct Weights {
    path: PathBuf,
    format: Format,
    /// Shape and row-major values.
    pub(super) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Weights {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// If it is not whole, or a tensor is not f32 or holds a value that is not finite; the tensor is named.
    pub fn read(path: &Path, format: Format) -> Result<Self, InteropError> {
        let file =
            std::fs::read(path).map_err(|source| CheckpointError::Io { path: path.to_owned(), source })?;
        let stored = SafeTensors::deserialize(&file)
            .map_err(|source| CheckpointError::Format { path: path.to_owned(), source })?;
        let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
            Ok((name.clone(), (view.shape().to_vec(), values(path, &stored, &name)?)))
        };
        let mut tensors: BTreeMap<_, _> =
            stored.tensors().into_iter().map(tensor).collect::<Result<_, CheckpointError>>()?;
        if let Some((shape, table)) = tensors.get_mut(&format.table())
            && let [rows, dim] = &mut shape[..]
        {
            let padding = format.padding_rows().min(*rows);
            table.drain(..padding * *dim);
            *rows -= padding;
        }
        Ok(Self { path: path.to_owned(), format, tensors })
    }

    /// Items in the table.
    ///
    /// # Errors
    /// If there is no table.
    pub fn items(&self) -> Result<usize, InteropError> {
        Ok(self.matrix("items")?[0])
    }

    /// The configuration of a run with these weights: sizes from the tensors, and RecBole's epsilon 1e-12; over that
    /// `file` and `overrides`, as in [`crate::config::load`].
    ///
    /// # Errors
    /// If a tensor that tells a size is missing or no matrix; if the result is no sound configuration, or contradicts
    /// the weights.
    pub fn config(&self, file: Option<&Path>, overrides: &[String]) -> Result<Config, InteropError> {
        let [_, dim] = self.matrix("items")?;
        let [window, _] = self.matrix("positions")?;
        let [inner, _] = self.matrix("blocks.0.expand.weight")?;
        let sizes = [
            ("model.dim", dim),
            ("model.window", window),
            ("model.inner", inner),
            ("model.blocks", self.blocks()),
        ];
        let sizes = sizes.map(|(key, size)| (key, Value::Integer(size as i64)));
        let needed: Vec<_> = sizes.into_iter().chain(self.format.knobs()).collect();
        let mut base: Vec<_> = needed.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if self.format == Format::Recbole {
            base.push("model.norm_epsilon=1e-12".to_owned());
        }
        let config = load_over(&base, file, overrides)?;
        let told = Value::try_from(&config).expect("a configuration is plain data");
        for (key, needed) in needed {
            let configured = key.split('.').fold(&told, |table, part| &table[part]);
            if *configured != needed {
                let (path, configured) = (self.path.clone(), configured.to_string());
                return Err(InteropError::Contradiction {
                    path,
                    key,
                    configured,
                    needed: needed.to_string(),
                });
            }
        }
        Ok(config)
    }

    /// With the item table in another order: row `i` of the result is row `order[i]` of the file.
    ///
    /// # Errors
    /// If there is no table, or it has another number of items.
    ///
    /// # Panics
    /// If `order` names a row beyond its own length.
    pub fn with_item_order(mut self, order: &[u32]) -> Result<Self, InteropError> {
        let [found, dim] = self.matrix("items")?;
        if found != order.len() {
            return Err(InteropError::Items { path: self.path, found, expected: order.len() });
        }
        let (_, table) = self.tensors.get_mut(&self.format.table()).expect("was just found");
        *table = order.iter().flat_map(|&row| &table[row as usize * dim..][..dim]).copied().collect();
        Ok(self)
    }

    /// A fresh model of [`Weights::config`] for a catalogue of `items`, with these weights in its backbone.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or has no place in the model; it is named.
    pub fn into_model(
        mut self,
        config: &Config,
        items: u32,
        device: &Device,
    ) -> Result<Chord<Backend>, InteropError> {
        let (found, expected) = (self.items()?, items as usize);
        if found != expected {
            return Err(InteropError::Items { path: self.path, found, expected });
        }
        let model = Chord::new(config, items, device);
        let Backbone::SasRec(backbone) = model.backbone else {
            unreachable!("the configuration was checked against the weights")
        };
        let mut fill = Fill { weights: &mut self, error: None };
        let backbone = Backbone::SasRec(map_by_name(backbone, &mut fill));
        if let Some(error) = fill.error {
            return Err(error.into());
        }
        match self.tensors.into_keys().next() {
            Some(name) => Err(InteropError::Extra { path: self.path, name, format: self.format }),
            None => Ok(Chord { backbone, ..model }),
        }
    }

    fn blocks(&self) -> usize {
        let number = |name: &String| {
            name.strip_prefix(self.format.block_prefix())?.split('.').next()?.parse::<usize>().ok()
        };
        self.tensors.keys().filter_map(number).max().map_or(0, |last| last.saturating_add(1))
    }

    /// Rows and columns of our parameter `ours`.
    fn matrix(&self, ours: &str) -> Result<[usize; 2], CheckpointError> {
        let (path, name) = (self.path.clone(), self.format.name(ours).expect("matrices have names"));
        match self.tensors.get(&name) {
            None => Err(CheckpointError::Missing { path, name }),
            Some((shape, _)) => shape[..].try_into().map_err(|_| CheckpointError::Shape {
                path,
                name,
                found: format!("{shape:?}"),
                expected: "a matrix".to_owned(),
            }),
        }
    }
}

impl Format {
    /// The name of the item table.
    fn table(self) -> String {
        self.name("items").expect("the table has a name")
    }
}

/// Replaces the backbone's parameters, taking them out of the weights.
struct Fill<'a> {
    weights: &'a mut Weights,
    error: Option<CheckpointError>,
}

impl Fill<'_> {
    /// The stored tensor in place of `old`; what only quantisation needs stays.
    fn take<const D: usize>(
        &mut self,
        path: &[String],
        old: Tensor<D>,
    ) -> Result<Tensor<D>, CheckpointError> {
        let Some(name) = self.weights.format.name(&path.join(".")) else { return Ok(old) };
        let file = || self.weights.path.clone();
        match self.weights.tensors.remove(&name) {
            None => Err(CheckpointError::Missing { path: file(), name }),
            Some((shape, _)) if shape != old.dims() => Err(CheckpointError::Shape {
                path: file(),
                name,
                found: format!("{shape:?}"),
                expected: format!("{:?}", old.dims()),
            }),
            Some((_, values)) => {
                Ok(floats(values, old.dims(), &old.device()).set_require_grad(old.is_require_grad()))
            }
        }
    }
}

impl MapByName for Fill<'_> {
    fn map<const D: usize>(&mut self, path: &[String], param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, old, mapper) = param.consume();
        let tensor = self.take(path, old.clone()).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            old
        });
        Param::from_mapped_value(id, tensor, mapper)
    }
}
