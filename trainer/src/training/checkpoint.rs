//! Checkpoints: one safetensors file with the weights by name, the optimiser's moments and where training stands.
//!
//! A file appears under its name only when it is whole: it is written beside it and renamed.

use super::adam::{self, Adam, Moments};
use crate::model::parameters::{MapByName, map_by_name};
use crate::tensor::{Backend, Device, Tensor, to_host};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::TensorData;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where training stands, stored as metadata.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Name of the stage.
    pub stage: String,
    /// Epoch in progress, from 0.
    pub epoch: usize,
    /// Steps of this epoch that are done.
    pub step: usize,
    /// Sum of the training loss over this epoch's positions so far.
    pub loss_sum: f64,
    /// Positions of this epoch so far.
    pub positions: u64,
    /// Best validation figure so far and its epoch.
    pub best: Option<(f64, usize)>,
    /// Validations since the best one.
    #[serde(default)]
    pub stale: usize,
}

impl Progress {
    /// Mean training loss of this epoch so far, in nats.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.positions.max(1) as f64
    }
}

/// Why a checkpoint cannot be read or written.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a safetensors file, or cut short.
    #[error("{path}: not a whole safetensors file ({source})")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: safetensors::SafeTensorError,
    },
    /// It does not tell where training stands.
    #[error("{path}: the progress it holds cannot be read ({source})")]
    Progress {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: serde_json::Error,
    },
    /// Weights alone, where training is to go on.
    #[error("{0}: it does not say where training stands; remove it to train this stage from its start")]
    NoProgress(PathBuf),
    /// It belongs to another stage.
    #[error("{path}: a checkpoint of stage {found}, not of {expected}")]
    Stage {
        /// The file.
        path: PathBuf,
        /// As stored.
        found: String,
        /// As needed.
        expected: String,
    },
    /// A tensor is missing.
    #[error("{path}: tensor `{name}` is missing")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Of the tensor.
        name: String,
    },
    /// A tensor has another shape or element type than the model.
    #[error("{path}: tensor `{name}` is {found}, the model needs {expected}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Of the tensor.
        name: String,
        /// As stored.
        found: String,
        /// As needed.
        expected: String,
    },
    /// A weight is NaN or infinite.
    #[error("{path}: tensor `{name}` holds {value} at element {index}")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Of the tensor.
        name: String,
        /// Flat index.
        index: usize,
        /// What is there.
        value: f32,
    },
}

const PROGRESS: &str = "chord.progress";
const STEPS: &str = "chord.optimiser_steps";

/// Before the name of a parameter whose running mean a tensor is.
const MEAN: &str = "adam.mean.";

/// Writes `module`, and the optimiser with its progress if given, to `path`.
///
/// # Errors
/// If the file cannot be written; then nothing stays at or beside `path`.
pub fn save<M: Module<Backend>>(
    path: &Path,
    module: &M,
    state: Option<(&Adam, &Progress)>,
) -> Result<(), CheckpointError> {
    let mut tensors = parameters(module);
    let mut metadata = HashMap::new();
    if let Some((adam, progress)) = state {
        for (name, moments) in &adam.moments {
            for (kind, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                let shape = tensor.dims().to_vec();
                tensors.insert(format!("adam.{kind}.{name}"), (shape, bytes(tensor.clone())));
            }
        }
        for (name, mean) in &adam.means {
            tensors.insert(format!("{MEAN}{name}"), (mean.dims().to_vec(), bytes(mean.clone())));
        }
        metadata.insert(PROGRESS.to_owned(), serde_json::to_string(progress).expect("plain data"));
        metadata.insert(STEPS.to_owned(), adam.steps.to_string());
    }
    // Finished weights carry no metadata, which has no order: equal weights, equal files.
    write(path, &tensors, (!metadata.is_empty()).then_some(metadata))
}

/// Shape and little-endian f32 by name.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// The parameters of `module` by dotted name.
pub(crate) fn parameters<M: Module<Backend>>(module: &M) -> Tensors {
    let mut found = Collect::default();
    module.visit(&mut found);
    found.tensors
}

/// Writes a safetensors file; nothing stays at or beside `path` if that fails.
pub(crate) fn write(
    path: &Path,
    tensors: &Tensors,
    metadata: Option<HashMap<String, String>>,
) -> Result<(), CheckpointError> {
    let format_error = |source| CheckpointError::Format { path: path.to_owned(), source };
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data)?)));
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(format_error)?;
    let file = safetensors::serialize(views, metadata).map_err(format_error)?;
    crate::atomic_file::write(path, &file)
        .map_err(|source| CheckpointError::Io { path: path.to_owned(), source })
}

/// Reads the weights of `path` into `module`; every parameter must be there. Returns the module, and the optimiser
/// and progress if the file holds them.
///
/// # Errors
/// If the file is not whole, lacks a parameter, or holds one of another shape or a value that is not finite.
pub fn load<M: Module<Backend>>(
    path: &Path,
    module: M,
    device: &Device,
) -> Result<(M, Option<(Adam, Progress)>), CheckpointError> {
    let file = std::fs::read(path).map_err(|source| CheckpointError::Io { path: path.to_owned(), source })?;
    let format_error = |source| CheckpointError::Format { path: path.to_owned(), source };
    let (_, header) = safetensors::SafeTensors::read_metadata(&file).map_err(format_error)?;
    let stored = safetensors::SafeTensors::deserialize(&file).map_err(format_error)?;
    let mut fill = Fill { path, stored: &stored, error: None };
    let module = map_by_name(module, &mut fill);
    if let Some(error) = fill.error {
        return Err(error);
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    let progress = metadata.get(PROGRESS).map(|p| serde_json::from_str(p)).transpose();
    let progress = progress.map_err(|source| CheckpointError::Progress { path: path.to_owned(), source })?;
    let steps = metadata.get(STEPS).and_then(|s| s.parse().ok());
    let (Some(progress), Some(steps)) = (progress, steps) else { return Ok((module, None)) };
    let plain = burn::tensor::backend::DeviceOps::inner(device);
    let mut adam = Adam { steps, ..Adam::default() };
    for name in stored.names() {
        if let Some(parameter) = name.strip_prefix("adam.first.") {
            let first = values(path, &stored, name)?;
            let second = values(path, &stored, &format!("adam.second.{parameter}"))?;
            adam.moments.insert(parameter.to_owned(), Moments::from_host(first, second, plain));
        }
        if let Some(parameter) = name.strip_prefix(MEAN) {
            let mean = values(path, &stored, name)?;
            adam.means.insert(parameter.to_owned(), adam::flat(mean, plain));
        }
    }
    Ok((module, Some((adam, progress))))
}

fn bytes<const D: usize>(tensor: Tensor<D>) -> Vec<u8> {
    to_host(tensor).iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The values in little-endian bytes.
pub(super) fn decoded(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes"))).collect()
}

/// The values of a tensor, which must be f32 and finite.
pub(crate) fn values(
    path: &Path,
    stored: &safetensors::SafeTensors,
    name: &str,
) -> Result<Vec<f32>, CheckpointError> {
    let view = stored
        .tensor(name)
        .map_err(|_| CheckpointError::Missing { path: path.to_owned(), name: name.to_owned() })?;
    if view.dtype() != Dtype::F32 {
        return Err(CheckpointError::Shape {
            path: path.to_owned(),
            name: name.to_owned(),
            found: format!("{:?}", view.dtype()),
            expected: "F32".to_owned(),
        });
    }
    let values = decoded(view.data());
    if let Some(index) = values.iter().position(|x| !x.is_finite()) {
        let (path, name) = (path.to_owned(), name.to_owned());
        return Err(CheckpointError::NotFinite { path, name, index, value: values[index] });
    }
    Ok(values)
}

/// Gathers parameters by dotted name.
#[derive(Default)]
struct Collect {
    names: Vec<String>,
    tensors: Tensors,
}

impl ModuleVisitor<Backend> for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.names.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.names.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        self.tensors.insert(self.names.join("."), (tensor.dims().to_vec(), bytes(tensor)));
    }
}

/// Replaces parameters by stored ones of the same dotted name.
struct Fill<'a> {
    path: &'a Path,
    stored: &'a safetensors::SafeTensors<'a>,
    error: Option<CheckpointError>,
}

impl Fill<'_> {
    fn read<const D: usize>(&self, name: &str, like: &Tensor<D>) -> Result<Tensor<D>, CheckpointError> {
        let values = values(self.path, self.stored, name)?;
        let found = self.stored.tensor(name).expect("was just read").shape().to_vec();
        if found != like.dims() {
            return Err(CheckpointError::Shape {
                path: self.path.to_owned(),
                name: name.to_owned(),
                found: format!("{found:?}"),
                expected: format!("{:?}", like.dims()),
            });
        }
        Ok(Tensor::from_data(TensorData::new(values, found), &like.device()))
    }
}

impl MapByName for Fill<'_> {
    fn map<const D: usize>(&mut self, path: &[String], param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.read(&path.join("."), &tensor) {
            Ok(stored) => stored.set_require_grad(tensor.is_require_grad()),
            Err(error) => {
                self.error.get_or_insert(error);
                tensor
            }
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config};
    use crate::model::chord::Chord;

    fn setting() -> (Config, Device, tempfile::TempDir) {
        let config = config::load(None, &["model.dim=8".into(), "model.inner=8".into()]).unwrap();
        (config, Device::autodiff(Device::Flex(Default::default())), tempfile::tempdir().unwrap())
    }

    #[test]
    fn what_is_saved_is_loaded_and_saves_to_the_same_bytes() {
        let (config, device, folder) = setting();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let model = Chord::new(&config, 7, &device);
        save(&a, &model, None).unwrap();
        let other = Chord::new(
            &config::load(None, &["train.seed=8".into(), "model.dim=8".into(), "model.inner=8".into()])
                .unwrap(),
            7,
            &device,
        );
        let (loaded, state) = load(&a, other, &device).unwrap();
        assert!(state.is_none());
        save(&b, &loaded, None).unwrap();
        assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap());
    }

    #[test]
    fn damage_is_named() {
        let (config, device, folder) = setting();
        let path = folder.path().join("model");
        let model = Chord::new(&config, 7, &device);
        save(&path, &model, None).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let said = |model: Chord<Backend>| load(&path, model, &device).unwrap_err().to_string();

        let larger = Chord::new(&config, 8, &device);
        assert!(said(larger).contains("`backbone.SasRec.items` is [7, 8], the model needs [8, 8]"));
        for cut in [0, 7, 100, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(said(model.clone()).contains("not a whole safetensors file"), "cut at {cut}");
        }
        let mut nan = whole.clone();
        let end = nan.len();
        nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&path, &nan).unwrap();
        assert!(said(model.clone()).contains("holds NaN at element"));
        save(&path, &model.profile, None).unwrap();
        assert!(said(model).contains("tensor `backbone."));
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing() {
        let (config, device, folder) = setting();
        let blocker = folder.path().join("file");
        std::fs::write(&blocker, "in the way").unwrap();
        let error = save(&blocker.join("model"), &Chord::new(&config, 7, &device), None).unwrap_err();
        assert!(matches!(error, CheckpointError::Io { .. }));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
