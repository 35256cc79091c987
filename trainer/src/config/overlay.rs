//! Reading and merging: unknown keys are refused with their line and the nearest known name.

use super::schema::Config;
use std::path::{Path, PathBuf};
use thiserror::Error;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// The committed defaults.
pub const DEFAULTS: &str = include_str!("../../../configs/default.toml");

/// Why a configuration was refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// File or override.
        origin: String,
        /// What is wrong, with its line.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`{hint}")]
    UnknownKey {
        /// File and line, or override.
        origin: String,
        /// Dotted path.
        key: String,
        /// The nearest known key, as a question.
        hint: String,
    },
    /// An override without `=`.
    #[error("--set {text}: expected key=value")]
    Override {
        /// As given.
        text: String,
    },
    /// A value of the wrong type.
    #[error("`{key}`: {message}")]
    Type {
        /// Dotted path.
        key: String,
        /// What was expected.
        message: String,
    },
    /// A value that makes no sense.
    #[error("`{key}` is {value}: {expected}")]
    Value {
        /// Dotted path.
        key: &'static str,
        /// As given.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// The defaults, overlaid by `file` and then by `key=value` overrides.
///
/// # Errors
/// If a file cannot be read, a key is unknown, or a value is of the wrong type or out of range.
pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Config, ConfigError> {
    load_over(&[], file, overrides)
}

/// As [`load`], with `base` as `key=value` between the defaults and the file.
///
/// # Errors
/// As [`load`].
pub fn load_over(base: &[String], file: Option<&Path>, overrides: &[String]) -> Result<Config, ConfigError> {
    let defaults: Table = toml::from_str(DEFAULTS).expect("configs/default.toml is valid");
    let mut merged = defaults.clone();
    for text in base {
        overlay(&mut merged, &defaults, text, text, false)?;
    }
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        overlay(&mut merged, &defaults, &text, &path.display().to_string(), true)?;
    }
    for text in overrides {
        let (key, value) =
            text.split_once('=').ok_or_else(|| ConfigError::Override { text: text.clone() })?;
        // A bare word is a string: --set model.activation=relu.
        let document = format!("{key}={value}");
        let document = match toml::from_str::<Table>(&document) {
            Ok(_) => document,
            Err(_) => format!("{key}={}", Value::String(value.trim().to_owned())),
        };
        overlay(&mut merged, &defaults, &document, &format!("--set {text}"), false)?;
    }
    let config: Config = serde_path_to_error::deserialize(Value::Table(merged)).map_err(|e| {
        ConfigError::Type { key: e.path().to_string(), message: e.inner().message().trim().to_owned() }
    })?;
    config.validate()?;
    Ok(config)
}

fn overlay(
    merged: &mut Table,
    known: &Table,
    text: &str,
    origin: &str,
    lines: bool,
) -> Result<(), ConfigError> {
    let syntax =
        |e: toml::de::Error| ConfigError::Syntax { origin: origin.to_owned(), message: e.to_string() };
    let spanned = DeTable::parse(text).map_err(syntax)?;
    let place = |offset: usize| match lines {
        true => format!("{origin}:{}", text[..offset].matches('\n').count() + 1),
        false => origin.to_owned(),
    };
    refuse_unknown(spanned.get_ref(), known, "", &keys(known, ""), &place)?;
    merge(merged, toml::from_str(text).map_err(syntax)?);
    Ok(())
}

fn refuse_unknown(
    given: &DeTable,
    known: &Table,
    prefix: &str,
    all: &[String],
    place: &dyn Fn(usize) -> String,
) -> Result<(), ConfigError> {
    for (key, value) in given {
        let name = key.get_ref().as_ref();
        let path = format!("{prefix}{name}");
        match (known.get(name), value.get_ref()) {
            (None, _) => {
                let siblings = known.keys().map(|n| format!("{prefix}{n}")).collect();
                let hint = match (nearest(siblings, name), nearest(all.to_vec(), name)) {
                    (Some((here, sibling)), Some((there, _))) if here >= NEAR || here >= there => sibling,
                    (_, Some((_, other))) => other,
                    _ => unreachable!("there are keys"),
                };
                let hint = format!(", did you mean `{hint}`?");
                return Err(ConfigError::UnknownKey { origin: place(key.span().start), key: path, hint });
            }
            (Some(Value::Table(known)), DeValue::Table(given)) => {
                refuse_unknown(given, known, &format!("{path}."), all, place)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Similarity from which a key of the same section is what was meant, whatever others are called.
const NEAR: f64 = 0.8;

/// The key whose last part is most like `name`, with its similarity in 0..=1; of several the first.
fn nearest(keys: Vec<String>, name: &str) -> Option<(f64, String)> {
    let likeness = |key: String| (strsim::jaro_winkler(key.rsplit('.').next().unwrap_or(&key), name), key);
    keys.into_iter().map(likeness).reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// Dotted paths of all keys that hold a value.
fn keys(table: &Table, prefix: &str) -> Vec<String> {
    let of = |(key, value): (&String, &Value)| match value {
        Value::Table(table) => keys(table, &format!("{prefix}{key}.")),
        _ => vec![format!("{prefix}{key}")],
    };
    table.iter().flat_map(of).collect()
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(overrides: &[&str]) -> Result<Config, String> {
        let overrides: Vec<_> = overrides.iter().map(|s| (*s).to_owned()).collect();
        load(None, &overrides).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_load_and_overrides_win() {
        assert_eq!(set(&[]).unwrap().model.dim, 64);
        let config = set(&["model.dim=32", "model.activation=relu", "train.static.epochs=2"]).unwrap();
        assert_eq!((config.model.dim, config.train.static_.epochs), (32, 2));
        assert_eq!(config.model.activation, super::super::schema::ActivationName::Relu);
    }

    #[test]
    fn a_file_names_only_what_differs_and_errors_name_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "[train]\nseed = 7\n[train.fp32]\nepochs = 1\n").unwrap();
        let config = load(Some(&path), &["train.seed=9".into()]).unwrap();
        assert_eq!((config.train.seed, config.train.fp32.epochs, config.train.batch), (9, 1, 32));
        std::fs::write(&path, "[train]\nseed = 7\nepoch = 1\n").unwrap();
        let message = load(Some(&path), &[]).unwrap_err().to_string();
        assert!(message.contains("c.toml:3: unknown key `train.epoch`"), "{message}");
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(
            set(&["model.dims=3"]).unwrap_err(),
            "--set model.dims=3: unknown key `model.dims`, did you mean `model.dim`?"
        );
        assert!(
            set(&["epochs=3"]).unwrap_err().ends_with(".epochs`?"),
            "where it may have been meant to stand"
        );
        assert!(set(&["model.dim=wide"]).unwrap_err().starts_with("`model.dim`: invalid type: string"));
        assert_eq!(set(&["model.dim"]).unwrap_err(), "--set model.dim: expected key=value");
        assert!(
            set(&["quantisation.palette=[2,0]"]).unwrap_err().starts_with("`quantisation.palette` is [2, 0]")
        );
        let distil = |sets: &[&str]| set(sets).unwrap_err();
        assert!(distil(&["train.distillation.weight=1.5"]).starts_with("`train.distillation.weight` is 1.5"));
        assert!(distil(&["train.distillation.temperature=0"]).contains("must be above 0"));
        assert!(distil(&["train.distillation.weight=0.5", "train.loss.kind=bce"]).contains("bce"));
        assert!(distil(&["train.distillation.heat=2"]).contains("unknown key `train.distillation.heat`"));
        for (sets, said) in [
            (&["budget.evaluate=[]"][..], "`budget.evaluate` is []"),
            (
                &["quantisation.palette=[0,2]", "budget.highest=2", "budget.evaluate=[2]"],
                "`budget.default` is 3",
            ),
            (&["model.backbone=caser", "model.window=101"], "must lie in 1..=100 for Caser"),
            (&["profile.pooled=5000"], "`profile.pooled` is 5000"),
            (&["train.uniform.widths=[4, 4]"], "`train.uniform.widths` is [4, 4]"),
            (&["train.batch=2", "train.shards=2"], "`train.shards` is 2"),
            (&["hypernetwork.shared_spread=inf"], "`hypernetwork.shared_spread` is inf"),
        ] {
            let found = set(sets).unwrap_err();
            assert!(found.contains(said), "{sets:?}: {found}");
        }
        assert!(set(&["model.heads=5"]).unwrap_err().starts_with("`model.heads` is 5"));
    }
}
