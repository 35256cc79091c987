//! A saved evaluation: every user's outcomes under every row, so that runs can be merged and compared user by user.
//!
//! `evaluation.json` holds what rows are about, and the SHA-256 of `evaluation.safetensors`, which holds the arrays
//! (docs/evaluation.md). Both are written whole, the arrays first.

use super::fine_tuning::Choice;
use super::ranking::{self, EvaluationError, Outcome, outcome};
use super::row::Row;
use super::sampled::sampled_rank;
use crate::data::{Case, Split};
use crate::provenance::Provenance;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a saved evaluation cannot be written or read.
#[derive(Debug, Error)]
pub enum SavedError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not the JSON this version writes.
    #[error("{path}: {source}; evaluate again with `chord evaluate --run RUN --save`")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: serde_json::Error,
    },
    /// The arrays are not those the JSON was written with.
    #[error("{path}: not the arrays that evaluation.json was written with; evaluate again with --save")]
    Digest {
        /// The file of arrays.
        path: PathBuf,
    },
    /// Not a safetensors file.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: SafeTensorError,
    },
    /// An array is missing or of another length or type than its row needs.
    #[error("{path}: array `{name}` is missing or does not fit")]
    Array {
        /// The file.
        path: PathBuf,
        /// Of the array.
        name: String,
    },
}

/// What one user's logits say, with the rank among sampled items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Items of the whole catalogue ranked before the target.
    pub rank: u32,
    /// Of the sampled items, those ranked before the target.
    pub sampled_rank: u32,
    /// Of the target, in nats.
    pub cross_entropy: f32,
    /// The same with all logits divided by the row's temperature.
    pub calibrated_cross_entropy: f32,
}

impl Measured {
    /// Of one user's logits (one for each item), the target among all of them and among `negatives`.
    ///
    /// # Errors
    /// If a logit is not finite.
    pub fn new(
        case: &Case,
        logits: &[f32],
        negatives: &[u32],
        temperature: f64,
    ) -> Result<Self, EvaluationError> {
        let Outcome { rank, cross_entropy } = outcome(case.user, logits, case.target)?;
        Ok(Self {
            rank,
            sampled_rank: sampled_rank(logits, case.target, negatives),
            cross_entropy: cross_entropy as f32,
            calibrated_cross_entropy: ranking::cross_entropy(logits, case.target, temperature) as f32,
        })
    }
}

/// A quantised layer, for maps of importance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSize {
    /// As `block0.query`.
    pub name: String,
    /// Output channels.
    pub channels: usize,
}

/// What some users' plans look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Maps {
    /// Raw ids of the users.
    pub users: Vec<String>,
    /// The layers, in plan order.
    pub layers: Vec<LayerSize>,
    /// Budget of the plans, in average bits.
    pub budget: f32,
    /// Log-scores minus their mean over all users, a row of channels for each user.
    #[serde(skip)]
    pub deviations: Vec<Vec<f32>>,
    /// Bits of the plans, a row of channels for each user.
    #[serde(skip)]
    pub bits: Vec<Vec<u32>>,
}

/// What the JSON says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the data set.
    pub data: String,
    /// Users evaluated.
    pub users: usize,
    /// Items of the catalogue.
    pub items: usize,
    /// Which held-out item was ranked.
    pub split: Split,
    /// Items drawn for sampled ranks.
    pub negatives: usize,
    /// Multiply-accumulates of scoring one candidate.
    pub score_macs: u64,
    /// The evaluating program and machine.
    pub provenance: Provenance,
    /// How fine-tuning was set, where it took part.
    pub fine_tuning: Option<Choice>,
    /// Some users' plans, where the personal stage is finished.
    pub maps: Option<Maps>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// The outcomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    /// Which of the evaluation's users these are; all of them if not given.
    pub cases: Option<Vec<u32>>,
    /// One for each user.
    pub measured: Vec<Measured>,
}

/// A whole evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What it is about.
    pub summary: Summary,
    /// User rows, in order.
    pub users: Vec<u32>,
    /// As many as the summary has rows.
    pub outcomes: Vec<Outcomes>,
}

#[derive(Serialize, Deserialize)]
struct File {
    arrays_sha256: String,
    summary: Summary,
}

/// The JSON of a run's saved evaluation.
pub fn path(run: &Path) -> PathBuf {
    run.join("evaluation.json")
}

/// Removes a run's saved evaluation, if there is one.
///
/// # Errors
/// What the system says.
pub fn remove(run: &Path) -> Result<(), SavedError> {
    let path = path(run);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(SavedError::Io { path, source }),
        _ => Ok(()),
    }
}

fn arrays_path(run: &Path) -> PathBuf {
    run.join("evaluation.safetensors")
}

/// Arrays of 4-byte elements by name.
#[derive(Default)]
struct Arrays(BTreeMap<String, (Dtype, Vec<u8>)>);

impl Arrays {
    fn integers(&mut self, name: String, values: impl IntoIterator<Item = u32>) {
        self.0.insert(name, (Dtype::U32, values.into_iter().flat_map(u32::to_le_bytes).collect()));
    }

    fn floats(&mut self, name: String, values: impl IntoIterator<Item = f32>) {
        self.0.insert(name, (Dtype::F32, values.into_iter().flat_map(f32::to_le_bytes).collect()));
    }
}

struct Reader<'a> {
    path: &'a Path,
    stored: SafeTensors<'a>,
}

impl Reader<'_> {
    /// `length` elements; any number of them without a length.
    fn array<T>(
        &self,
        name: &str,
        dtype: Dtype,
        length: Option<usize>,
        element: fn([u8; 4]) -> T,
    ) -> Result<Vec<T>, SavedError> {
        let view = self.stored.tensor(name).ok();
        let view = view.filter(|v| v.dtype() == dtype && length.is_none_or(|n| v.data().len() == 4 * n));
        let view =
            view.ok_or_else(|| SavedError::Array { path: self.path.to_owned(), name: name.to_owned() })?;
        Ok(view.data().as_chunks::<4>().0.iter().map(|&bytes| element(bytes)).collect())
    }

    fn integers(&self, name: &str, length: Option<usize>) -> Result<Vec<u32>, SavedError> {
        self.array(name, Dtype::U32, length, u32::from_le_bytes)
    }

    fn floats(&self, name: &str, length: Option<usize>) -> Result<Vec<f32>, SavedError> {
        self.array(name, Dtype::F32, length, f32::from_le_bytes)
    }
}

impl Evaluation {
    /// Writes both files into the folder of a run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, run: &Path) -> Result<(), SavedError> {
        let mut arrays = Arrays::default();
        arrays.integers("users".to_owned(), self.users.iter().copied());
        for (row, outcomes) in self.summary.rows.iter().zip(&self.outcomes) {
            let name = |array: &str| format!("{}/{array}", row.id);
            let measured = &outcomes.measured;
            if let Some(cases) = &outcomes.cases {
                arrays.integers(name("cases"), cases.iter().copied());
            }
            arrays.integers(name("rank"), measured.iter().map(|m| m.rank));
            arrays.integers(name("sampled_rank"), measured.iter().map(|m| m.sampled_rank));
            arrays.floats(name("cross_entropy"), measured.iter().map(|m| m.cross_entropy));
            let calibrated = measured.iter().map(|m| m.calibrated_cross_entropy);
            arrays.floats(name("calibrated_cross_entropy"), calibrated);
        }
        if let Some(maps) = &self.summary.maps {
            arrays.floats("maps/deviations".to_owned(), maps.deviations.concat());
            arrays.integers("maps/bits".to_owned(), maps.bits.concat());
        }
        let path_of_arrays = arrays_path(run);
        let format = |source| SavedError::Format { path: path_of_arrays.clone(), source };
        let views = arrays.0.iter().map(|(name, (dtype, data))| {
            Ok((name.as_str(), TensorView::new(*dtype, vec![data.len() / 4], data)?))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(format)?;
        let bytes = safetensors::serialize(views, None).map_err(format)?;
        let write = |path: PathBuf, content: &[u8]| {
            crate::atomic_file::write(&path, content).map_err(|source| SavedError::Io { path, source })
        };
        write(path_of_arrays.clone(), &bytes)?;
        let file = File { arrays_sha256: sha256(&bytes), summary: self.summary.clone() };
        write(path(run), serde_json::to_string_pretty(&file).expect("plain data").as_bytes())
    }

    /// Reads what [`Evaluation::save`] wrote.
    ///
    /// # Errors
    /// If a file is missing, damaged or of another evaluation.
    pub fn open(run: &Path) -> Result<Self, SavedError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| SavedError::Io { path: path.to_owned(), source })
        };
        let json = path(run);
        let File { arrays_sha256, mut summary } = serde_json::from_slice(&read(&json)?)
            .map_err(|source| SavedError::Json { path: json.clone(), source })?;
        let path = &arrays_path(run);
        let bytes = read(path)?;
        if sha256(&bytes) != arrays_sha256 {
            return Err(SavedError::Digest { path: path.clone() });
        }
        let stored = SafeTensors::deserialize(&bytes)
            .map_err(|source| SavedError::Format { path: path.clone(), source })?;
        let sampled: Vec<String> = stored.names().into_iter().map(str::to_owned).collect();
        let reader = Reader { path, stored };
        let outcomes = summary.rows.iter().map(|row| {
            let name = |array: &str| format!("{}/{array}", row.id);
            let cases = match sampled.contains(&name("cases")) {
                true => Some(reader.integers(&name("cases"), None)?),
                false => None,
            };
            let n = Some(cases.as_ref().map_or(summary.users, Vec::len));
            let ranks = reader.integers(&name("rank"), n)?;
            let sampled = reader.integers(&name("sampled_rank"), n)?;
            let losses = reader.floats(&name("cross_entropy"), n)?;
            let calibrated = reader.floats(&name("calibrated_cross_entropy"), n)?;
            let measured = ranks.into_iter().zip(sampled).zip(losses.into_iter().zip(calibrated));
            let measured = measured.map(|((rank, sampled_rank), (loss, calibrated))| Measured {
                rank,
                sampled_rank,
                cross_entropy: loss,
                calibrated_cross_entropy: calibrated,
            });
            Ok(Outcomes { cases, measured: measured.collect() })
        });
        let outcomes = outcomes.collect::<Result<_, SavedError>>()?;
        if let Some(maps) = &mut summary.maps {
            let channels: usize = maps.layers.iter().map(|l| l.channels).sum();
            let length = Some(channels * maps.users.len());
            let deviations = reader.floats("maps/deviations", length)?;
            let bits = reader.integers("maps/bits", length)?;
            maps.deviations = deviations.chunks(channels).map(<[f32]>::to_vec).collect();
            maps.bits = bits.chunks(channels).map(<[u32]>::to_vec).collect();
        }
        let users = reader.integers("users", Some(summary.users))?;
        Ok(Self { summary, users, outcomes })
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::row::Kind;

    #[test]
    fn what_is_saved_is_opened_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let row = |id: &str| Row {
            id: id.to_owned(),
            name: format!("model {id}"),
            kind: Kind::Uniform,
            budget: Some(2.5),
            bits: 2.25,
            model_bytes: 7,
            update_bytes: 5,
            macs: 3.5,
            adaptation_macs: 1.0,
            adaptation_bytes: 2,
            temperature: 1.5,
        };
        let measured = |rank| Measured {
            rank,
            sampled_rank: rank + 1,
            cross_entropy: 0.1,
            calibrated_cross_entropy: 0.2,
        };
        let maps = Maps {
            users: vec!["u1".to_owned(), "u2".to_owned()],
            layers: vec![LayerSize { name: "block0.query".to_owned(), channels: 2 }],
            budget: 3.0,
            deviations: vec![vec![0.5, -0.5], vec![-1.5, 1.5]],
            bits: vec![vec![0, 8], vec![4, 2]],
        };
        let summary = Summary {
            data: "fake".to_owned(),
            users: 2,
            items: 9,
            split: Split::Validation,
            negatives: 99,
            score_macs: 4,
            provenance: Provenance::here(),
            fine_tuning: None,
            maps: Some(maps),
            rows: vec![row("all"), row("some")],
        };
        let outcomes = vec![
            Outcomes { cases: None, measured: vec![measured(3), measured(8)] },
            Outcomes { cases: Some(vec![1]), measured: vec![measured(0)] },
        ];
        let whole = Evaluation { summary, users: vec![10, 12], outcomes };
        whole.save(folder.path()).unwrap();
        assert_eq!(Evaluation::open(folder.path()).unwrap(), whole);

        let mut short = whole.clone();
        short.outcomes[0].measured.pop();
        short.save(folder.path()).unwrap();
        assert!(Evaluation::open(folder.path()).unwrap_err().to_string().contains("`all/rank`"));
        whole.save(folder.path()).unwrap();
        let path = arrays_path(folder.path());
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Evaluation::open(folder.path()), Err(SavedError::Digest { .. })));
        std::fs::write(super::path(folder.path()), "{}").unwrap();
        assert!(matches!(Evaluation::open(folder.path()), Err(SavedError::Json { .. })));
    }
}
