//! The `chord` command from the outside, on a small data set: the whole way through, interruption, bad input.

mod desk;

use desk::{Desk, SMALL};
use std::path::Path;
use std::process::{Child, Command};

/// The rows of `chord evaluate --json`, as (model, HR@10, NDCG@10).
fn rows(json: &str) -> Vec<(String, f64, f64)> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let row = |r: &serde_json::Value| {
        (r["model"].as_str().unwrap().to_owned(), r["hr10"].as_f64().unwrap(), r["ndcg10"].as_f64().unwrap())
    };
    value.as_array().unwrap().iter().map(row).collect()
}

/// The device runtime's rows, in either of its arithmetics, are close to the trainer's, all but full precision.
fn assert_devices_agree(desk: &Desk, trainer: &[(String, f64, f64)]) {
    let said = ["runtime", "fixed-point"]
        .map(|engine| desk.ok(&["evaluate", "--run", "run", "--engine", engine, "--json"]));
    assert_ne!(said[0], said[1], "two arithmetics");
    for said in said {
        let device = rows(&said);
        assert_eq!(trainer.len(), device.len() + 1);
        for (a, b) in trainer[1..].iter().zip(&device) {
            assert_eq!(a.0, b.0);
            // 60 users: one of them moving by one place near the cut changes HR@10 by 1/60.
            assert!((a.1 - b.1).abs() <= 1.0 / 60.0 + 1e-9, "{a:?} {b:?}");
            assert!((a.2 - b.2).abs() <= 0.01, "{a:?} {b:?}");
        }
    }
}

#[test]
fn from_interactions_to_a_ranking() {
    let desk = Desk::new();
    desk.ok(&desk.train_args("run", &["train.fp32.epochs=6"]));

    let trainer = rows(&desk.ok(&["evaluate", "--run", "run", "--json"]));
    let names: Vec<_> = trainer.iter().map(|r| r.0.as_str()).collect();
    assert_eq!(names, ["FP32", "uniform 4 bits", "static mixed at 3", "CHORD at 3"]);
    assert_devices_agree(&desk, &trainer);
    let guess = 10.0 / 40.0;
    assert!(trainer[0].1 > 1.5 * guess, "training learnt nothing: {trainer:?}");

    let controls = desk.ok(&["evaluate", "--run", "run", "--budget", "2", "--controls"]);
    for name in ["static plan", "mean plan", "swapped plans", "random plans"] {
        assert!(controls.contains(name), "{controls}");
    }

    desk.ok(&["export", "--run", "run", "--out", "out/model.chord"]);
    desk.ok(&["plan", "--run", "run", "--user", "u3", "--out", "out/u3.plan"]);
    desk.ok(&[
        "plan",
        "--run",
        "run",
        "--history",
        "i1,i2,i3",
        "--budget",
        "2.0",
        "--sequence",
        "9",
        "--out",
        "out/b.plan",
    ]);
    let model = desk.ok(&["inspect", "out/model.chord"]);
    assert!(model.contains("block1.contract"), "{model}");
    desk.ok(&["embed", "--model", "out/model.chord", "--history", "i1,i2,i3", "--out", "out/b.embedding"]);
    desk.ok(&["plan", "--run", "run", "--embedding", "out/b.embedding", "--out", "out/d.plan"]);
    assert!(desk.ok(&["inspect", "out/d.plan", "--model", "out/model.chord"]).contains("bits per weight"));
    let said = desk.refused(&["plan", "--run", "run", "--embedding", "out/b.plan", "--out", "out/e.plan"]);
    assert!(said.contains("out/b.plan") && said.contains("expected \"CE\""), "{said}");
    let plan = desk.ok(&["inspect", "out/b.plan", "--model", "out/model.chord"]);
    assert!(plan.contains("block0.query") && plan.contains('9'), "{plan}");
    let rerank = [
        "rerank",
        "--model",
        "out/model.chord",
        "--plan",
        "out/u3.plan",
        "--history",
        "i1,i2,i3",
        "--top",
        "5",
    ];
    let ranked = desk.ok(&rerank);
    assert_eq!(ranked.lines().count(), 5, "{ranked}");
    assert_eq!(ranked, desk.ok(&rerank), "the same input must give the same ranking");
    let three = [&rerank[..7], &["--candidates", "i9,i4,i30"]].concat();
    assert_eq!(desk.ok(&three).lines().count(), 3);

    // The same from a bundle without item table: the items' places instead of their names.
    desk.ok(&["export", "--run", "run", "--out", "bare/model.chord", "--without-items"]);
    desk.ok(&["plan", "--run", "run", "--user", "u3", "--out", "bare/u3.plan", "--without-items"]);
    for (items, out) in [("i1,i2,i3", "bare/history.rows"), ("i9,i4,i30", "bare/candidates.rows")] {
        desk.ok(&["rows", "--run", "run", "--items", items, "--out", out]);
    }
    let bare = ["rerank", "--model", "bare/model.chord", "--plan", "bare/u3.plan"];
    let sent = ["--history-rows", "bare/history.rows", "--candidate-rows", "bare/candidates.rows"];
    let logits = |told: &str| -> Vec<String> {
        told.lines().map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(logits(&desk.ok(&[&bare[..], &sent].concat())), logits(&desk.ok(&three)));
    let said = desk.refused(&[&bare[..], &["--history", "i1"]].concat());
    assert!(said.contains("no item table"), "{said}");
    let rows = ["embed", "--model", "bare/model.chord", "--out", "bare/b.embedding", "--history-rows"];
    desk.ok(&[&rows[..], &["bare/history.rows"]].concat());
    let embedding = |path| std::fs::read(desk.path(path)).unwrap()[11..].to_vec();
    let [ours, theirs] = ["bare/b.embedding", "out/b.embedding"].map(embedding);
    assert_eq!(ours[..ours.len() - 4], theirs[..theirs.len() - 4], "all but the model and the checksum");
    assert!(desk.ok(&["inspect", "bare/model.chord"]).contains("no item table"));

    // Bad input after training: each refused by name.
    let said = desk.refused(&[&rerank[..6], &["i1,nowhere"]].concat());
    assert!(said.contains("--history") && said.contains("\"nowhere\""), "{said}");
    let said = desk.refused(&[&rerank[..6], &[""]].concat());
    assert!(said.contains("--history is empty"), "{said}");
    let said = desk.refused(&["plan", "--run", "run", "--user", "u999", "--out", "out/c.plan"]);
    assert!(said.contains("--user: \"u999\""), "{said}");
    assert!(!desk.path("out/c.plan").exists());
    let said =
        desk.refused(&["plan", "--run", "run", "--user", "u3", "--budget", "-1", "--out", "out/c.plan"]);
    assert!(said.contains("budget of -1 bits"), "{said}");

    let bundle = std::fs::read(desk.path("out/model.chord")).unwrap();
    std::fs::create_dir(desk.path("cut")).unwrap();
    std::fs::copy(desk.path("out/items.tsv"), desk.path("cut/items.tsv")).unwrap();
    std::fs::write(desk.path("cut/model.chord"), &bundle[..bundle.len() - 7]).unwrap();
    let said = desk.refused(&["inspect", "cut/model.chord"]);
    assert!(said.contains("cut/model.chord"), "{said}");
    let cut = ["rerank", "--model", "cut/model.chord", "--plan", "out/u3.plan", "--history", "i1"];
    assert!(desk.refused(&cut).contains("cut/model.chord"));

    desk.ok(&desk.train_args("other", &["train.fp32.epochs=1", "train.seed=5"]));
    desk.ok(&["export", "--run", "other", "--out", "other/model.chord"]);
    let foreign = ["rerank", "--model", "other/model.chord", "--plan", "out/u3.plan", "--history", "i1"];
    let said = desk.refused(&foreign);
    assert!(said.contains("out/u3.plan") && said.contains("the plan is for model"), "{said}");
}

/// Two seeds evaluated, saved and merged: the figures are those of `chord evaluate`, and every file is there.
#[test]
fn seeds_become_one_table() {
    let desk = Desk::new();
    let more = [
        "train.fp32.epochs=2",
        "budget.evaluate=[2.0, 3.0]",
        "fine_tuning.users=10",
        "fine_tuning.steps=[1, 2]",
        "fine_tuning.learning_rates=[1e-3]",
    ];
    let seeds = ["train.seed=1", "train.seed=2"];
    for (run, seed) in ["a", "b"].into_iter().zip(seeds) {
        desk.ok(&desk.train_args(run, &[&more[..], &[seed]].concat()));
        desk.ok(&["evaluate", "--run", run, "--save", "--device", "cpu"]);
    }
    let read = |path: &str| std::fs::read_to_string(desk.path(path)).unwrap();
    let json = |path: &str| serde_json::from_str::<serde_json::Value>(&read(path)).unwrap();

    desk.ok(&["table", "a", "--out", "one"]);
    let table = json("one/table.json");
    let row = |id: &str| table["rows"].as_array().unwrap().iter().find(|r| r["id"] == id).unwrap();
    let evaluated = rows(&desk.ok(&["evaluate", "--run", "a", "--json", "--device", "cpu"]));
    for (id, (model, hr10, ndcg10)) in ["fp32", "uniform4", "static@3", "personal@3"].iter().zip(&evaluated) {
        assert_eq!(row(id)["name"], *model);
        let mean = |figure: &str| row(id)["figures"][figure]["mean"].as_f64().unwrap();
        assert!((mean("hr10") - hr10).abs() < 1e-12 && (mean("ndcg10") - ndcg10).abs() < 1e-12, "{id}");
    }
    assert_eq!(row("fine_tuned")["users"], 10);
    assert!(row("fine_tuned")["adaptation_macs"].as_f64().unwrap() > 0.0);
    let bits = row("personal@2")["bits"].as_f64().unwrap();
    assert!(bits <= 2.0 && bits > 1.9, "bits that plans use: {bits}");
    assert!(row("personal@2")["macs"].as_f64() <= row("fp32")["macs"].as_f64());

    desk.ok(&["table", "a", "b", "--out", "both"]);
    let both = json("both/table.json");
    let seeds: Vec<_> = both["runs"].as_array().unwrap().iter().map(|r| r["seed"].as_u64()).collect();
    assert_eq!(seeds, [Some(1), Some(2)]);
    let benefits = |benefit: bool| {
        let all = both["differences"].as_array().unwrap().iter();
        all.filter(|d| d["benefit"] == benefit).map(|d| d["minus"].to_string()).collect::<String>()
    };
    assert!(benefits(false).contains("swapped") && !benefits(true).contains("swapped"));
    assert_eq!(read("both/table.csv").lines().count(), 1 + both["rows"].as_array().unwrap().len());
    let report = read("both/report.html");
    for plot in ["ndcg10", "cross_entropy", "importance", "plans", "curves"] {
        let svg = read(&format!("both/{plot}.svg"));
        assert!(svg.starts_with("<svg") && report.contains(&svg), "{plot} is not in the report");
    }
    assert!(report.contains("seed 2") && read("both/config.toml").contains("[fine_tuning]"));
    assert!(read("both/table.md").contains("no evidence of benefit"));

    desk.ok(&desk.train_args("c", &[&more[..], &["train.seed=3", "profile.hidden=4"]].concat()));
    let said = desk.refused(&["table", "a", "c", "--out", "none"]);
    assert!(said.contains("evaluation.json"), "{said}");
    desk.ok(&["evaluate", "--run", "c", "--save", "--device", "cpu"]);
    let said = desk.refused(&["table", "a", "c", "--out", "none"]);
    assert!(said.contains("`profile.hidden` differs"), "{said}");
    assert!(!desk.path("none").exists());
}

#[test]
fn bad_input_is_named_and_leaves_nothing_behind() {
    let desk = Desk::new();
    std::fs::write(
        desk.path("bad.inter"),
        "user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n1\t4\tsoon\n",
    )
    .unwrap();
    std::fs::write(desk.path("bad.toml"), "[train]\nseed = 1\nbatches = 2\n").unwrap();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["train", "--run", "r", "--set", "data.source=bad.inter"], &["bad.inter", "3", "timestamp"]),
        (&["train", "--run", "r", "--set", "data.source=none.txt"], &["none.txt"]),
        (&["train", "--run", "r", "--config", "bad.toml"], &["bad.toml:3", "train.batches", "`train.batch`"]),
        (&["train", "--run", "r", "--set", "model.heads=3"], &["model.heads", "3"]),
        (&["train", "--run", "r", "--resume"], &["r: no run is there"]),
        (&["train", "--run", "r", "--device", "abacus"], &["abacus"]),
        (&["evaluate", "--run", "r"], &["r: no run is there"]),
        (&["inspect", "ring.txt"], &["ring.txt"]),
        (&["data", "stats", "bad.inter"], &["bad.inter", "timestamp"]),
    ];
    for (args, words) in cases {
        let said = desk.refused(args);
        for word in words {
            assert!(said.contains(word), "chord {args:?} said: {said}");
        }
    }
    assert!(!desk.path("r").exists(), "a refused run left its folder behind");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_there_is_named() {
    let desk = Desk::new();
    let said = desk.refused(&["train", "--run", "r", "--device", "cuda"]);
    assert!(said.contains("no cuda backend"), "{said}");
    assert!(!desk.path("r").exists());
}

#[test]
fn a_run_is_not_overwritten() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("run")).unwrap();
    std::fs::write(desk.path("run/config.toml"), "").unwrap();
    let said = desk.refused(&desk.train_args("run", &[]));
    assert!(said.contains("a run is there already"), "{said}");
}

/// Stopped by SIGTERM and by SIGKILL, wherever that falls, and gone on with: the weights of an uninterrupted run.
#[cfg(unix)]
#[test]
fn an_interrupted_run_resumes_bit_for_bit() {
    let desk = Desk::new();
    // Long enough that the signal comes in the middle, on a busy machine too.
    let more = ["train.fp32.epochs=30", "train.personal.epochs=2"];
    desk.ok(&desk.train_args("whole", &more));

    let wait_for = |file: &Path, child: &mut Child| {
        while !file.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let mut first = desk.command(&desk.train_args("parts", &more)).spawn().unwrap();
    wait_for(&desk.path("parts/checkpoints/fp32.latest.safetensors"), &mut first);
    Command::new("kill").args(["-TERM", &first.id().to_string()]).status().unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(130), "an interrupt that was heard exits with 130");
    let resume = ["train", "--run", "parts", "--resume", "--device", "cpu"];
    let mut second = desk.command(&resume).spawn().unwrap();
    wait_for(&desk.path("parts/checkpoints/static.latest.safetensors"), &mut second);
    second.kill().unwrap();
    assert_eq!(second.wait().unwrap().code(), None, "killed before it was done");
    desk.ok(&resume);
    for stage in ["fp32", "uniform4", "static", "personal"] {
        let read =
            |run: &str| std::fs::read(desk.path(&format!("{run}/checkpoints/{stage}.safetensors"))).unwrap();
        assert!(read("whole") == read("parts"), "stage {stage} differs");
    }
}

/// Every baseline and option on Caser, from one command; the same command again trains nothing.
#[test]
fn one_command_reproduces_a_table() {
    let desk = Desk::new();
    let knobs = [
        "model.backbone=caser",
        "model.window=3",
        "model.horizontal=4",
        "model.vertical=2",
        "quantisation.per_width=true",
        "train.loss.kind=sampled-softmax",
        "train.loss.negatives=16",
        "train.fp32.epochs=2",
        "train.fisher.windows=4",
        "train.personal.learns=widths",
        "train.masks.train=true",
        "budget.allocator=quotas",
        "budget.evaluate=[3.0]",
        "fine_tuning.users=4",
        "fine_tuning.steps=[1]",
        "fine_tuning.learning_rates=[1e-3]",
    ];
    std::fs::write(desk.path("table.toml"), "[data]\nsource = \"ring.txt\"\n").unwrap();
    let sets = SMALL.into_iter().filter(|s| !s.starts_with("model.window")).chain(knobs);
    let args = ["reproduce", "--config", "table.toml", "--seeds", "1,2", "--runs", "runs", "--out", "out"];
    let args: Vec<&str> =
        args.into_iter().chain(sets.flat_map(|s| ["--set", s])).chain(["--device", "cpu"]).collect();
    let told = desk.ok(&args);
    let table = std::fs::read(desk.path("out/table.json")).unwrap();
    let table: serde_json::Value = serde_json::from_slice(&table).unwrap();
    let ids: Vec<&str> =
        table["rows"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    for id in ["fp32", "fine_tuned", "uniform4", "fisher@3", "static@3", "personal@3", "personal@3.mean"] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
    }
    assert!(ids.contains(&"static-mask@3") && ids.contains(&"personal-mask@3"), "{ids:?}");
    let checkpoint = desk.path("runs/seed-2/checkpoints/personal.safetensors");
    let trained = std::fs::metadata(&checkpoint).unwrap().modified().unwrap();
    assert_eq!(desk.ok(&args), told);
    assert_eq!(std::fs::metadata(&checkpoint).unwrap().modified().unwrap(), trained);

    // An evaluation of other items or of fewer stages is not what a table is of.
    assert!(told.contains("40 items, test items held out"), "{told}");
    desk.ok(&["evaluate", "--run", "runs/seed-2", "--split", "validation", "--save", "--device", "cpu"]);
    assert_eq!(desk.ok(&args), told);
    std::fs::remove_file(&checkpoint).unwrap();
    desk.ok(&["evaluate", "--run", "runs/seed-2", "--save", "--device", "cpu"]);
    assert_eq!(desk.ok(&args), told);
}

/// Caser from training to a ranking on the device.
#[test]
fn caser_runs_on_the_device() {
    let desk = Desk::new();
    let knobs =
        ["model.backbone=caser", "model.window=3", "quantisation.per_width=true", "train.fp32.epochs=4"];
    desk.ok(&desk.train_args("run", &knobs));
    let trainer = rows(&desk.ok(&["evaluate", "--run", "run", "--json"]));
    assert_devices_agree(&desk, &trainer);
    desk.ok(&["export", "--run", "run", "--out", "out/model.chord"]);
    desk.ok(&["plan", "--run", "run", "--user", "u3", "--out", "out/u3.plan"]);
    let model = desk.ok(&["inspect", "out/model.chord"]);
    assert!(model.contains("Caser") && model.contains("horizontal3"), "{model}");
    let rerank =
        ["rerank", "--model", "out/model.chord", "--plan", "out/u3.plan", "--history", "i1,i2", "--top", "4"];
    assert_eq!(desk.ok(&rerank).lines().count(), 4);
}
