//! What cannot work is refused in words, and leaves nothing half done behind.

mod desk;

use desk::{Desk, text};
use std::fs;

#[test]
fn data_that_cannot_be_trained_on_is_named_before_a_folder_appears() {
    let desk = Desk::new();
    let files = [
        ("empty.txt", ""),
        ("header.inter", "user_id:token\titem_id:token\n"),
        ("single.txt", "a x\nb y\nc x\n"),
        ("pairs.txt", "a x y\nb y x\n"),
        ("triples.txt", "a x y z\nb y x z\n"),
    ];
    for (name, content) in files {
        fs::write(desk.path(name), content).unwrap();
    }
    for (source, words) in [
        ("empty.txt", "empty.txt, line 1, line: the file is empty"),
        ("header.inter", "data set header: no interaction is left of 0"),
        ("single.txt", "data set single: no user has two training interactions"),
        ("pairs.txt", "data set pairs: no user has a validation target"),
        ("triples.txt", "data set triples: no user has two training interactions"),
    ] {
        let said = desk.refused(&["train", "--run", "r", "--set", &format!("data.source={source}")]);
        assert!(said.contains(words), "{source}: {said}");
        assert!(!desk.path("r").exists(), "{source}: a refused run left its folder behind");
    }
    let temporal = ["train", "--run", "r", "--set", "data.source=ring.txt", "--set", "data.split=temporal"];
    assert!(desk.refused(&temporal).contains("data set ring: a temporal split needs timestamps"));
    let shares =
        [&temporal[..], &["--set", "data.validation_share=0.6", "--set", "data.test_share=0.5"]].concat();
    assert!(desk.refused(&shares).contains("must leave a share for training"));
    assert!(!desk.path("r").exists());
}

/// Four items: every one is among the first ten, and a ranking of ten has four.
#[test]
fn fewer_items_than_the_list_is_long() {
    let desk = Desk::new();
    let line = |user: usize| format!("u{user} {}\n", ["a b c d", "b c d a", "c d a b", "d a b c"][user % 4]);
    fs::write(desk.path("four.txt"), (0..16).map(line).collect::<String>()).unwrap();
    let args = desk.train_args("run", &["train.fp32.epochs=1"]);
    let args: Vec<&str> = args
        .into_iter()
        .map(|arg| if arg == "data.source=ring.txt" { "data.source=four.txt" } else { arg })
        .collect();
    desk.ok(&args);
    for engine in ["trainer", "runtime", "fixed-point"] {
        let json = desk.ok(&["evaluate", "--run", "run", "--engine", engine, "--json"]);
        for row in serde_json::from_str::<serde_json::Value>(&json).unwrap().as_array().unwrap() {
            assert_eq!((row["hr5"].as_f64(), row["hr10"].as_f64()), (Some(1.0), Some(1.0)), "{row}");
            assert_eq!(row["ndcg10"], row["ndcg"], "a cut beyond the catalogue cuts nothing: {row}");
            // No place is worse than the fourth.
            assert!(row["ndcg10"].as_f64().unwrap() >= 1.0 / 5_f64.log2() - 1e-12, "{row}");
        }
    }
    desk.ok(&["export", "--run", "run", "--out", "m/model.chord"]);
    desk.ok(&["plan", "--run", "run", "--user", "u0", "--out", "m/u.plan"]);
    let rerank =
        ["rerank", "--model", "m/model.chord", "--plan", "m/u.plan", "--history", "a", "--top", "10"];
    assert_eq!(desk.ok(&rerank).lines().count(), 4);
}

#[test]
fn a_budget_beyond_the_widest_channels_is_refused() {
    let desk = Desk::new();
    for args in [&["plan", "--run", "r", "--user", "u", "--out", "p"][..], &["evaluate", "--run", "r"]] {
        let said = desk.refused(&[args, &["--budget", "8.5"]].concat());
        assert!(said.contains("--budget") && said.contains("a budget of 8.5 bits exceeds"), "{said}");
    }
}

/// Runs a command that can write files of `blocks` of 512 bytes (1024 in some shells). The limit stands for a full disk:
/// the same write fails, with EFBIG instead of ENOSPC.
#[cfg(unix)]
fn with_small_disk(desk: &Desk, args: &[&str], blocks: usize) -> std::process::Output {
    use std::os::unix::process::CommandExt;
    let command = desk.command(args);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"]).arg0("sh");
    limited.arg(command.get_program()).args(command.get_args()).current_dir(desk.path("."));
    limited.output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_part_of_a_checkpoint_and_the_run_goes_on_later() {
    let desk = Desk::new();
    desk.ok(&desk.train_args("whole", &["train.fp32.epochs=2"]));

    // Enough for the config and the log, too little for a checkpoint.
    let output = with_small_disk(&desk, &desk.train_args("run", &["train.fp32.epochs=2"]), 8);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("run/checkpoints/fp32.latest.safetensors: File too large"), "{said}");
    assert_eq!(fs::read_dir(desk.path("run/checkpoints")).unwrap().count(), 0, "part of a checkpoint stayed");

    desk.ok(&["train", "--run", "run", "--resume", "--device", "cpu"]);
    for stage in ["fp32", "uniform4", "static", "personal"] {
        let read =
            |run: &str| fs::read(desk.path(&format!("{run}/checkpoints/{stage}.safetensors"))).unwrap();
        assert!(read("whole") == read("run"), "stage {stage} differs");
    }
}

/// A disk that fills up later costs nothing but the steps since the checkpoint before.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_from_it() {
    let desk = Desk::new();
    let (latest, checkpoints) =
        (desk.path("run/checkpoints/fp32.latest.safetensors"), desk.path("run/checkpoints"));
    let train_until = |args: &[&str], there: &dyn Fn() -> bool| {
        let mut child = desk.command(args).spawn().unwrap();
        while !there() {
            assert!(child.try_wait().unwrap().is_none(), "ended too early");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let args = desk.train_args("run", &["train.fp32.epochs=2000", "train.evaluate_every=2000"]);
    train_until(&args, &|| latest.exists());
    let before = fs::read(&latest).unwrap();
    let files = || fs::read_dir(&checkpoints).unwrap().count();
    let files_before = files();

    let resume = ["train", "--run", "run", "--resume", "--device", "cpu"];
    let output = with_small_disk(&desk, &resume, before.len() / 2048);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("run/checkpoints/fp32.latest.safetensors: File too large"), "{said}");
    assert!(fs::read(&latest).unwrap() == before, "the checkpoint before was touched");
    assert_eq!(files(), files_before, "part of a checkpoint stayed");

    train_until(&resume, &|| fs::read(&latest).unwrap() != before);
    let log = fs::read_to_string(desk.path("run/log.txt")).unwrap();
    assert!(log.matches("fp32: going on from epoch").count() >= 2, "{log}");
}

/// A checkpoint that was damaged or put in another's place stops the run instead of starting it anew.
#[test]
fn a_checkpoint_of_another_stage_or_with_a_nan_is_refused() {
    let desk = Desk::new();
    let args = desk.train_args("run", &["train.fp32.epochs=2000", "train.evaluate_every=2000"]);
    let mut child = desk.command(&args).spawn().unwrap();
    let latest = desk.path("run/checkpoints/fp32.latest.safetensors");
    while !latest.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let resume = ["train", "--run", "run", "--resume", "--device", "cpu"];
    let whole = fs::read(&latest).unwrap();

    // The header of safetensors is JSON, in which the progress is a string; names of equal length keep its length.
    let stage = br#"\"stage\":\"fp32\""#;
    let at = whole.windows(stage.len()).position(|bytes| bytes == stage).expect("progress is metadata");
    let mut foreign = whole.clone();
    foreign[at + stage.len() - 6..][..4].copy_from_slice(b"fp33");
    fs::write(&latest, &foreign).unwrap();
    let said = desk.refused(&resume);
    assert!(said.contains("fp32.latest.safetensors: a checkpoint of stage fp33, not of fp32"), "{said}");

    let mut damaged = whole.clone();
    damaged[at + 2..][..5].copy_from_slice(b"staff");
    fs::write(&latest, &damaged).unwrap();
    let said = desk.refused(&resume);
    assert!(said.contains("the progress it holds cannot be read (missing field `stage`"), "{said}");

    let progress = b"chord.progress";
    let at = whole.windows(progress.len()).position(|bytes| bytes == progress).expect("progress has a name");
    let mut nameless = whole.clone();
    nameless[at] = b'x';
    fs::write(&latest, &nameless).unwrap();
    let said = desk.refused(&resume);
    assert!(said.contains("fp32.latest.safetensors: it does not say where training stands"), "{said}");

    let mut nan = whole;
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&latest, &nan).unwrap();
    let said = desk.refused(&resume);
    assert!(said.contains("holds NaN at element"), "{said}");
    assert!(fs::read(&latest).unwrap() == nan, "a refused checkpoint is left as it is");
}

/// Another configuration over old weights, other interactions behind the same path: neither is trained on.
#[test]
fn a_run_is_not_taken_for_another() {
    let desk = Desk::new();
    let args = desk.train_args("run", &["train.fp32.epochs=1"]);
    desk.ok(&args);
    let ring = fs::read_to_string(desk.path("ring.txt")).unwrap();
    fs::write(desk.path("ring.txt"), ring.replace("i7 ", "i8 ")).unwrap();
    let evaluate = ["evaluate", "--run", "run", "--device", "cpu"];
    for refused in [&["train", "--run", "run", "--resume", "--device", "cpu"][..], &evaluate] {
        let said = desk.refused(refused);
        assert!(said.contains("run: the run was trained on other interactions"), "{said}");
    }
    fs::write(desk.path("ring.txt"), ring).unwrap();
    desk.ok(&evaluate);
    fs::remove_file(desk.path("run/config.toml")).unwrap();
    let said = desk.refused(&args);
    assert!(said.contains("run/checkpoints: checkpoints of a run without its config.toml"), "{said}");
}

/// Two bundles in one folder would share the names of their items.
#[test]
fn an_export_beside_another_models_items_is_refused() {
    let desk = Desk::new();
    desk.ok(&desk.train_args("run", &["train.fp32.epochs=1"]));
    let export = |out| ["export", "--run", "run", "--out", out];
    desk.ok(&export("out/a.chord"));
    desk.ok(&export("out/b.chord"));
    fs::write(desk.path("out/items.tsv"), "0\tx\tx\n").unwrap();
    let said = desk.refused(&export("out/c.chord"));
    assert!(said.contains("items.tsv: names the items of another model"), "{said}");
    assert!(!desk.path("out/c.chord").exists());
    desk.ok(&export("out/a.chord"));
}

/// A reader that has seen enough ends the command without a word; a disk without room is an error.
#[cfg(unix)]
#[test]
fn output_that_nobody_takes() {
    let desk = Desk::new();
    let mut stats = desk.command(&["data", "stats", "ring.txt"]);
    let mut child = stats.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = stats.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("error: No space left"), "{}", text(&output.stderr));
}
