//! Ways to train: over time, with an early end, over a grid.

mod desk;

use desk::{Desk, text};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The epochs in `metrics.jsonl` of one stage.
fn epochs(desk: &Desk, run: &str, stage: &str) -> Vec<Value> {
    let lines = fs::read_to_string(desk.path(&format!("{run}/metrics.jsonl"))).unwrap();
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["stage"] == stage).collect()
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The users of the ring, but user `n` only begins at hour `n`: late users have no training interactions.
#[test]
fn a_temporal_split_holds_out_the_newest() {
    let desk = Desk::new();
    let line = |n: usize| {
        let (user, t) = (n / 12, n % 12);
        let item = (user * 7 + t * (1 + user % 3)) % 40;
        format!("u{user},i{item},5.0,{}\n", 3600 * user + 600 * t)
    };
    let lines: String = (0..60 * 12).map(line).collect();
    fs::write(desk.path("ring.csv"), format!("userId,movieId,rating,timestamp\n{lines}")).unwrap();
    let args = desk.train_args("run", &["data.split=temporal", "train.fp32.epochs=1"]);
    let args: Vec<&str> = args
        .into_iter()
        .map(|arg| if arg == "data.source=ring.txt" { "data.source=ring.csv" } else { arg })
        .collect();
    desk.ok(&args);
    let users = |split| {
        let json = desk.ok(&["evaluate", "--run", "run", "--split", split, "--json"]);
        serde_json::from_str::<Value>(&json).unwrap()[0]["users"].as_u64().unwrap()
    };
    // A user lasts 2 hours: only those whose time goes over the cut have interactions on both sides of it.
    assert!((1..=3).contains(&users("validation")), "{}", users("validation"));
    assert!((1..=3).contains(&users("test")), "{}", users("test"));
}

/// Full precision never learns from itself; every stage after it does, over the catalogue and over candidates.
#[test]
fn stages_learn_from_full_precision() {
    let desk = Desk::new();
    for (kind, run) in [("train.loss.kind=softmax", "all"), ("train.loss.kind=sampled-softmax", "sampled")] {
        let more = ["train.fp32.epochs=2", "train.uniform.epochs=3", kind, "train.loss.negatives=20"];
        desk.ok(&desk.train_args(run, &more));
        let taught = format!("{run}-taught");
        let more = [&more[..], &["train.distillation.weight=1.0"]].concat();
        desk.ok(&desk.train_args(&taught, &more));
        let losses = |run: &str, stage: &str| -> Vec<f64> {
            epochs(&desk, run, stage).iter().map(|epoch| epoch["loss"].as_f64().unwrap()).collect()
        };
        assert_eq!(losses(run, "fp32"), losses(&taught, "fp32"));
        for stage in ["uniform4", "static", "personal"] {
            // A divergence from a teacher whose weights the stage started with, against a cross-entropy near ln 40.
            let (alone, taught) = (losses(run, stage), losses(&taught, stage));
            assert!(taught.iter().zip(&alone).all(|(t, a)| *t > 0.0 && *t < 0.5 * a), "{taught:?} {alone:?}");
        }
        let falling = losses(&taught, "uniform4");
        assert!(falling.is_sorted_by(|a, b| a > b), "{falling:?}");
    }
}

/// A run whose full precision is the same teaches as the run's own would; one with a longer window teaches otherwise; one
/// with a shorter window, or of other data, is refused.
#[test]
fn another_run_teaches() {
    let desk = Desk::new();
    let small = ["model.window=6", "train.fp32.epochs=2", "train.distillation.weight=1.0"];
    let train = |run, more: &[&'static str]| desk.train_args(run, &[&small, more].concat());
    let longer = ["model.window=8", "train.distillation.weight=0.0"];
    desk.ok(&train("longer", &longer));
    desk.ok(&train("own", &[]));
    desk.ok(&train("same", &["train.distillation.teacher=own"]));
    desk.ok(&train("other", &["train.distillation.teacher=longer"]));
    let read =
        |run: &str, stage| fs::read(desk.path(&format!("{run}/checkpoints/{stage}.safetensors"))).unwrap();
    for stage in ["fp32", "static", "personal"] {
        assert!(read("own", stage) == read("same", stage), "{stage}");
        assert_eq!(read("own", stage) == read("other", stage), stage == "fp32", "{stage}");
    }
    let refused = |more: &[&'static str]| {
        let output = desk.run(&train("refused", more));
        fs::remove_dir_all(desk.path("refused")).unwrap();
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let said = refused(&["model.window=8", "train.distillation.teacher=own"]);
    assert!(said.contains("train.distillation.teacher: own: its training windows are shorter"), "{said}");
    let said = refused(&["data.min_length=2", "train.distillation.teacher=own"]);
    assert!(said.contains("train.distillation.teacher: own: its data are others"), "{said}");
    let said = refused(&["train.distillation.teacher=none"]);
    assert!(said.contains("train.distillation.teacher: none: no run is there"), "{said}");
}

/// Stopped early after two worse validations; killed on the way and gone on with, at the same epoch with the same
/// weights. Each process writes events of its own.
#[cfg(unix)]
#[test]
fn an_early_end_is_the_same_after_a_kill() {
    let desk = Desk::new();
    let more = [
        "train.fp32.epochs=400",
        "train.fp32.learning_rate=0.03",
        "train.choose_by=cross-entropy",
        "train.patience=2",
        "train.averaging=0.9",
    ];
    desk.ok(&desk.train_args("whole", &more));
    let all = epochs(&desk, "whole", "fp32");
    let entropies: Vec<f64> =
        all.iter().map(|e| e["validation"]["cross_entropy"].as_f64().unwrap()).collect();
    assert!(all.len() < 400, "never stopped: {entropies:?}");
    for epoch in &all {
        let share = epoch["assembly_share"].as_f64().unwrap();
        assert!(share > 0.0 && share < 1.0, "batches are made in a part of the time: {epoch}");
        let memory = ["resident", "peak"].map(|name| epoch["memory"][name].as_u64());
        assert!(memory[0] <= memory[1], "{epoch}");
        assert_eq!(memory[0].is_some_and(|bytes| bytes > 1 << 20), cfg!(target_os = "linux"), "{epoch}");
    }
    let best = entropies.iter().copied().fold(f64::INFINITY, f64::min);
    let last_best = entropies.iter().position(|&figure| figure == best).unwrap();
    assert_eq!(last_best + 1 + 2, all.len(), "{entropies:?}");

    let mut child = desk.command(&desk.train_args("parts", &more)).spawn().unwrap();
    let metrics = desk.path("parts/metrics.jsonl");
    let written = || fs::read_to_string(&metrics).map_or(0, |lines| lines.lines().count());
    while written() < 2 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    desk.ok(&["train", "--run", "parts", "--resume", "--device", "cpu"]);
    for stage in ["fp32", "uniform4", "static", "personal"] {
        let read =
            |run: &str| fs::read(desk.path(&format!("{run}/checkpoints/{stage}.safetensors"))).unwrap();
        assert!(read("whole") == read("parts"), "stage {stage} differs");
    }
    let again: Vec<Value> = epochs(&desk, "parts", "fp32").iter().map(|e| e["validation"].clone()).collect();
    let once: Vec<Value> = all.iter().map(|e| e["validation"].clone()).collect();
    // A kill between a checkpoint and its line in the log loses that line, and never writes one twice.
    assert!(
        again.last() == once.last() && once.len() - again.len() <= 1,
        "{} of {}",
        again.len(),
        once.len()
    );
    assert_eq!(files(desk.path("whole/events/fp32")).len(), 1);
    assert_eq!(files(desk.path("parts/events/fp32")).len(), 2);
    assert_eq!(files(desk.path("parts/events/static")).len(), 1);
}

/// With interactions of its own a personal stage starts from a static model that never saw them, and what it learns goes
/// onto the one that did; killed or not.
#[cfg(unix)]
#[test]
fn personal_plans_are_learnt_from_what_the_backbone_has_not_seen() {
    let desk = Desk::new();
    let more = ["train.personal.reserved=0.2", "train.refit.epochs=3", "train.masks.train=true"];
    desk.ok(&desk.train_args("whole", &more));
    let mut child = desk.command(&desk.train_args("parts", &more)).spawn().unwrap();
    while !desk.path("parts/foundation/checkpoints/fp32.safetensors").exists()
        && child.try_wait().unwrap().is_none()
    {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    desk.ok(&["train", "--run", "parts", "--resume", "--device", "cpu"]);
    let read = |path: &str| fs::read(desk.path(&format!("{path}.safetensors"))).unwrap();
    let backbone = |path: &str| -> Vec<(String, Vec<u8>)> {
        let bytes = read(path);
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut found: Vec<_> = (tensors.tensors().into_iter())
            .filter(|(name, _)| name.starts_with("backbone."))
            .map(|(name, view)| (name, view.data().to_vec()))
            .collect();
        found.sort();
        found
    };
    for (personal, own) in [("personal", "static"), ("personal-mask", "static-mask")] {
        let path = format!("whole/checkpoints/{personal}");
        assert!(
            read(&path) == read(&format!("parts/checkpoints/{personal}")),
            "{personal} differs after a kill"
        );
        let frozen = backbone(&path);
        assert!(!frozen.is_empty() && frozen == backbone(&format!("whole/checkpoints/{own}")));
        assert!(frozen != backbone(&format!("whole/foundation/checkpoints/{own}")));
    }
    assert_eq!(epochs(&desk, "whole", "fp32").len(), 3);
}

#[test]
fn a_sweep_trains_every_point_once_and_compares() {
    let desk = Desk::new();
    let quoted = |set: &&str| {
        let (key, value) = set.split_once('=').unwrap();
        format!("{key} = {value}\n")
    };
    let base: String = desk::SMALL.iter().map(quoted).collect();
    fs::write(desk.path("base.toml"), format!("data.source = \"ring.txt\"\ntrain.fp32.epochs = 2\n{base}"))
        .unwrap();
    fs::write(
        desk.path("grid.toml"),
        "\"train.seed\" = [0, 1]\n[train.fp32]\nlearning_rate = [1e-9, 2e-2]\n",
    )
    .unwrap();
    let sweep = [
        "sweep",
        "--config",
        "base.toml",
        "--grid",
        "grid.toml",
        "--out",
        "out",
        "--stage",
        "fp32",
        "--test",
        "--device",
        "cpu",
    ];
    let table = desk.ok(&sweep);
    assert_eq!(table.lines().count(), 2 + 4, "{table}");
    assert!(table.starts_with("| train.fp32.learning_rate | train.seed | validation HR@10 |"), "{table}");

    let rows: Value = serde_json::from_slice(&fs::read(desk.path("out/sweep.json")).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    let figures: Vec<f64> = rows.iter().map(|row| row["validation"]["ndcg"].as_f64().unwrap()).collect();
    assert!(figures.is_sorted_by(|a, b| a >= b), "{figures:?}");
    // A rate that learns comes before one that does not.
    let rates: Vec<f64> =
        rows.iter().map(|row| row["settings"]["train.fp32.learning_rate"].as_f64().unwrap()).collect();
    assert_eq!(rates, [2e-2, 2e-2, 1e-9, 1e-9]);
    let csv = fs::read_to_string(desk.path("out/sweep.csv")).unwrap();
    assert!(csv.starts_with("run,train.fp32.learning_rate,train.seed,validation."), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 4);
    assert!(csv.contains(&format!(",{},", rows[0]["test"]["cross_entropy"])), "{csv}");

    // A run of the sweep is a run like any other, and the table has its figures.
    let run = format!("out/{}", rows[0]["run"].as_str().unwrap());
    let json = desk.ok(&["evaluate", "--run", &run, "--split", "validation", "--json"]);
    let evaluated: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(evaluated[0]["ndcg"], rows[0]["validation"]["ndcg"]);

    // Stages that the compared one does not need wait until they are asked for.
    let personal = desk.path(&format!("{run}/checkpoints/personal.safetensors"));
    assert!(!personal.exists());
    desk.ok(&["train", "--run", &run, "--resume", "--device", "cpu"]);
    assert!(personal.exists());

    // The same command trains nothing again, but for what is missing.
    let checkpoint = desk.path(&format!("{run}/checkpoints/fp32.safetensors"));
    fs::remove_file(&checkpoint).unwrap();
    let output = desk.run(&sweep);
    assert_eq!(text(&output.stdout), table);
    assert!(checkpoint.exists());
    let said = text(&output.stderr);
    assert_eq!(said.matches("fp32 epoch").count(), 2, "{said}");
    assert_eq!(said.matches("personal epoch").count(), 0, "{said}");
}

#[test]
fn a_sweep_with_one_bad_point_starts_nothing() {
    let desk = Desk::new();
    let sweep = |grid: &str| {
        fs::write(desk.path("grid.toml"), grid).unwrap();
        let args = ["sweep", "--set", "data.source=ring.txt", "--grid", "grid.toml", "--out", "out"];
        desk.refused(&args)
    };
    let said = sweep("model.heads = [2, 3]");
    assert!(said.contains("heads-3: `model.heads` is 3"), "{said}");
    let said = sweep("model.head = [2]");
    assert!(said.contains("unknown key `model.head`, did you mean `model.heads`?"), "{said}");
    let said = sweep("data.source = [\"ring.txt\", \"none.txt\"]");
    assert!(said.contains("source-none.txt: none.txt: no such file"), "{said}");
    assert!(!desk.path("out").exists());
}
