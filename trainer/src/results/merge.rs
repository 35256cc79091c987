//! Saved evaluations of runs that differ only in their seed, averaged user by user.

use super::figure::Figure;
use crate::config::Config;
use crate::evaluation::fine_tuning::Choice;
use crate::evaluation::row::Row;
use crate::evaluation::saved::{Evaluation, Outcomes, SavedError, Summary};
use crate::provenance::Provenance;
use crate::run::{Run, RunError};
use serde::Serialize;
use std::path::{Path, PathBuf};
use thiserror::Error;
use toml::Value;

/// Why runs cannot be put into one table.
#[derive(Debug, Error)]
pub enum MergeError {
    /// None was named.
    #[error("no run is named")]
    NoRuns,
    /// A folder is not a run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A run has no evaluation, or a damaged one.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// Other knobs than the seed differ.
    #[error("{second}: `{key}` differs from that of {first}; runs of one table differ only in train.seed")]
    Config {
        /// The run compared with.
        first: PathBuf,
        /// The run that differs.
        second: PathBuf,
        /// The first knob that differs, in alphabetical order.
        key: String,
    },
    /// The same run twice, or two of the same seed.
    #[error("{second}: seed {seed}, as {first}; a seed counts once")]
    Seed {
        /// The run that came first.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// Their seed.
        seed: u64,
    },
    /// The evaluations are of other users, items, held-out items or rows.
    #[error(
        "{second}: its evaluation has other {what} than that of {first}; evaluate both again with --save"
    )]
    Evaluation {
        /// The run compared with.
        first: PathBuf,
        /// The run that differs.
        second: PathBuf,
        /// What differs.
        what: String,
    },
}

/// A run that went into a table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Source {
    /// Name of its folder.
    pub(super) run: String,
    /// Its seed.
    pub(super) seed: u64,
    /// What it was started by and gone on with.
    pub(super) trained: Vec<Provenance>,
    /// What it was evaluated by.
    pub(super) evaluated: Provenance,
    /// How per-user fine-tuning was set.
    pub(super) fine_tuning: Option<Choice>,
}

/// One row of all runs.
pub(super) struct MergedRow {
    /// Bits and costs are means over runs.
    pub(super) row: Row,
    /// Which of the users have figures, where not all do.
    pub(super) cases: Option<Vec<u32>>,
    /// For each of [`Figure::ALL`] one number for each user: the mean over runs.
    figures: Vec<Vec<f64>>,
}

impl MergedRow {
    pub(super) fn figure(&self, figure: Figure) -> &[f64] {
        &self.figures[figure as usize]
    }
}

/// Runs that differ only in their seed.
pub struct Merged {
    /// Of the first run.
    pub(super) config: Config,
    pub(super) folder: PathBuf,
    pub(super) sources: Vec<Source>,
    /// Of the first run.
    pub(super) summary: Summary,
    pub(super) rows: Vec<MergedRow>,
}

impl Merged {
    /// Reads the evaluations of `runs` and averages them, each user's figures over the runs.
    ///
    /// # Errors
    /// If there is no run, one has no evaluation, or two differ in more than their seed.
    pub fn open(runs: &[PathBuf]) -> Result<Self, MergeError> {
        let (first, others) = runs.split_first().ok_or(MergeError::NoRuns)?;
        let (run, evaluation) = open(first)?;
        let mut sources = vec![source(&run, &evaluation)];
        let mut rows: Vec<MergedRow> =
            evaluation.summary.rows.iter().zip(&evaluation.outcomes).map(|(r, o)| merged(r, o)).collect();
        for folder in others {
            let (other, theirs) = open(folder)?;
            same_knobs(&run, &other)?;
            if let Some(earlier) = sources.iter().position(|s| s.seed == other.config.train.seed) {
                return Err(MergeError::Seed {
                    first: runs[earlier].clone(),
                    second: folder.clone(),
                    seed: other.config.train.seed,
                });
            }
            let digests = run.data_digest().zip(other.data_digest());
            let others = digests.is_some_and(|(a, b)| a != b).then(|| "data".to_owned());
            if let Some(what) = others.or_else(|| difference(&evaluation, &theirs)) {
                return Err(MergeError::Evaluation { first: first.clone(), second: folder.clone(), what });
            }
            sources.push(source(&other, &theirs));
            for (row, (info, outcomes)) in
                rows.iter_mut().zip(theirs.summary.rows.iter().zip(&theirs.outcomes))
            {
                row.add(&merged(info, outcomes));
            }
        }
        let n = sources.len();
        rows.iter_mut().for_each(|row| row.divide(n));
        Ok(Self { config: run.config, folder: first.clone(), sources, summary: evaluation.summary, rows })
    }
}

impl MergedRow {
    fn add(&mut self, other: &Self) {
        let (row, more) = (&mut self.row, &other.row);
        row.bits += more.bits;
        row.macs += more.macs;
        row.adaptation_macs += more.adaptation_macs;
        row.temperature += more.temperature;
        row.model_bytes += more.model_bytes;
        row.update_bytes += more.update_bytes;
        row.adaptation_bytes += more.adaptation_bytes;
        for (mine, theirs) in self.figures.iter_mut().zip(&other.figures) {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
        }
    }

    fn divide(&mut self, runs: usize) {
        let (row, n) = (&mut self.row, runs as f64);
        [&mut row.bits, &mut row.macs, &mut row.adaptation_macs, &mut row.temperature]
            .into_iter()
            .for_each(|x| *x /= n);
        [&mut row.model_bytes, &mut row.update_bytes, &mut row.adaptation_bytes]
            .into_iter()
            .for_each(|x| *x = (*x as f64 / n).round() as u64);
        self.figures.iter_mut().flatten().for_each(|x| *x /= n);
    }
}

fn open(folder: &Path) -> Result<(Run, Evaluation), MergeError> {
    Ok((Run::open(folder)?, Evaluation::open(folder)?))
}

fn source(run: &Run, evaluation: &Evaluation) -> Source {
    let folder = run.folder.canonicalize().unwrap_or_else(|_| run.folder.clone());
    Source {
        run: folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned(),
        seed: run.config.train.seed,
        trained: run.provenance(),
        evaluated: evaluation.summary.provenance.clone(),
        fine_tuning: evaluation.summary.fine_tuning.clone(),
    }
}

fn merged(row: &Row, outcomes: &Outcomes) -> MergedRow {
    let figure = |figure: &Figure| outcomes.measured.iter().map(|user| figure.of(user)).collect();
    MergedRow {
        row: row.clone(),
        cases: outcomes.cases.clone(),
        figures: Figure::ALL.iter().map(figure).collect(),
    }
}

fn same_knobs(first: &Run, second: &Run) -> Result<(), MergeError> {
    let knobs = |run: &Run| {
        let mut config = run.config.clone();
        config.train.seed = 0;
        Value::try_from(config).expect("a configuration is plain data")
    };
    match first_difference(&knobs(first), &knobs(second)) {
        None => Ok(()),
        Some(key) => Err(MergeError::Config {
            first: first.folder.clone(),
            second: second.folder.clone(),
            key: key.trim_start_matches('.').to_owned(),
        }),
    }
}

/// The dotted path of the first entry that differs; of two values that are not tables, the empty path.
fn first_difference(a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Table(a), Value::Table(b)) => a.iter().find_map(|(key, value)| {
            let other = b.get(key).unwrap_or(value);
            first_difference(value, other).map(|path| format!(".{key}{path}"))
        }),
        _ => (a != b).then(String::new),
    }
}

/// What evaluations of one table must share and these do not.
fn difference(a: &Evaluation, b: &Evaluation) -> Option<String> {
    let (s, t) = (&a.summary, &b.summary);
    let missing = s.rows.iter().zip(t.rows.iter().map(Some).chain(std::iter::repeat(None)));
    let row = missing.into_iter().find(|(mine, theirs)| theirs.is_none_or(|theirs| theirs.id != mine.id));
    if s.data != t.data || s.items != t.items {
        Some("data".to_owned())
    } else if s.split != t.split {
        Some("held-out items (--split)".to_owned())
    } else if a.users != b.users || a.outcomes.iter().zip(&b.outcomes).any(|(x, y)| x.cases != y.cases) {
        Some("users".to_owned())
    } else if let Some((row, _)) = row {
        Some(format!("rows (`{}`)", row.id))
    } else {
        (s.rows.len() != t.rows.len()).then(|| format!("rows (`{}`)", t.rows[s.rows.len()].id))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config;
    use crate::data::Split;
    use crate::evaluation::controls::Control;
    use crate::evaluation::row::Kind;
    use crate::evaluation::saved::Measured;

    pub(in crate::results) fn row(id: &str, kind: Kind, budget: Option<f32>) -> Row {
        Row {
            id: id.to_owned(),
            name: id.to_owned(),
            kind,
            budget,
            bits: 3.0,
            model_bytes: 100,
            update_bytes: 10,
            macs: 5.0,
            adaptation_macs: 0.0,
            adaptation_bytes: 0,
            temperature: 1.0,
        }
    }

    fn outcomes(ranks: &[u32], cases: Option<Vec<u32>>) -> Outcomes {
        let measured = |&rank: &u32| Measured {
            rank,
            sampled_rank: rank / 2,
            cross_entropy: rank as f32,
            calibrated_cross_entropy: rank as f32 / 2.0,
        };
        Outcomes { cases, measured: ranks.iter().map(measured).collect() }
    }

    /// A run of three users: full precision, CHORD, its swapped plans, and fine-tuning of the last two users.
    pub(in crate::results) fn fake(folder: &Path, sets: &[&str], rank: u32) -> PathBuf {
        let config = config::load(None, &sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap();
        let run = Run::create(folder, config).unwrap();
        let summary = Summary {
            data: "fake".to_owned(),
            users: 3,
            items: 50,
            split: Split::Test,
            negatives: 99,
            score_macs: 64,
            provenance: Provenance::here(),
            fine_tuning: None,
            maps: None,
            rows: vec![
                row("fp32", Kind::FullPrecision, None),
                row("personal@3", Kind::Personal, Some(3.0)),
                row("personal@3.swapped", Kind::Control(Control::Swapped), Some(3.0)),
                row("fine_tuned", Kind::FineTuned, None),
            ],
        };
        let outcomes = vec![
            outcomes(&[rank, 9, 10], None),
            outcomes(&[0, 0, 20], None),
            outcomes(&[30, 30, 30], None),
            outcomes(&[0, 4], Some(vec![1, 2])),
        ];
        Evaluation { summary, users: vec![4, 5, 6], outcomes }.save(&run.folder).unwrap();
        run.folder
    }

    #[test]
    fn users_are_averaged_over_seeds() {
        let desk = tempfile::tempdir().unwrap();
        let runs = [
            fake(&desk.path().join("a"), &["train.seed=1"], 0),
            fake(&desk.path().join("b"), &["train.seed=2"], 40),
        ];
        let merged = Merged::open(&runs).unwrap();
        assert_eq!(merged.sources.iter().map(|s| s.seed).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(merged.rows[0].figure(Figure::Hr10), [0.5, 1.0, 0.0]);
        assert_eq!(merged.rows[0].figure(Figure::CrossEntropy), [20.0, 9.0, 10.0]);
        assert_eq!(merged.rows[0].figure(Figure::SampledHr10), [0.5, 1.0, 1.0]);
        assert_eq!(merged.rows[3].cases.as_deref(), Some(&[1, 2][..]));
        assert_eq!((merged.rows[0].row.bits, merged.rows[0].row.model_bytes), (3.0, 100));
    }

    #[test]
    fn runs_that_do_not_belong_together_are_refused() {
        let desk = tempfile::tempdir().unwrap();
        let at = |name: &str| desk.path().join(name);
        let first = fake(&at("a"), &["train.seed=1"], 0);
        let said = |runs: &[&PathBuf]| {
            let runs: Vec<PathBuf> = runs.iter().map(|r| (*r).clone()).collect();
            Merged::open(&runs).err().unwrap().to_string()
        };
        let wider = fake(&at("b"), &["train.seed=2", "model.dim=32", "train.clip=1.0"], 0);
        assert!(said(&[&first, &wider]).contains("`model.dim` differs"), "{}", said(&[&first, &wider]));
        let twin = fake(&at("c"), &["train.seed=1"], 3);
        assert!(said(&[&first, &twin]).contains("seed 1, as"));
        let fewer = fake(&at("d"), &["train.seed=4"], 0);
        let mut evaluation = Evaluation::open(&fewer).unwrap();
        evaluation.summary.rows.swap(0, 1);
        evaluation.save(&fewer).unwrap();
        assert!(said(&[&first, &fewer]).contains("rows (`fp32`)"), "{}", said(&[&first, &fewer]));
        let elsewhere = fake(&at("g"), &["train.seed=6"], 0);
        for (run, digest) in [(&first, "aa"), (&elsewhere, "bb")] {
            std::fs::write(run.join("data.sha256"), digest).unwrap();
        }
        assert!(said(&[&first, &elsewhere]).contains("other data"), "{}", said(&[&first, &elsewhere]));
        let bare = Run::create(&at("e"), config::load(None, &[]).unwrap()).unwrap().folder;
        assert!(said(&[&bare]).contains("evaluation.json"));
        assert!(matches!(Merged::open(&[]), Err(MergeError::NoRuns)));
        let torn = fake(&at("f"), &["train.seed=5"], 0);
        std::fs::copy(wider.join("evaluation.safetensors"), torn.join("evaluation.safetensors")).unwrap();
        assert_eq!(
            Merged::open(std::slice::from_ref(&torn)).map(|m| m.rows.len()).ok(),
            Some(4),
            "equal arrays fit"
        );
        std::fs::copy(twin.join("evaluation.safetensors"), torn.join("evaluation.safetensors")).unwrap();
        assert!(said(&[&torn]).contains("not the arrays"));
    }
}
