//! Weights on their way out of a run and into another, with the `chord` command.

mod desk;

use desk::{Desk, SMALL};

#[test]
fn a_run_goes_on_from_imported_weights() {
    let desk = Desk::new();
    let recbole =
        ["model.norm=post", "model.positions=left", "model.norm_epsilon=1e-12", "train.fp32.epochs=2"];
    desk.ok(&desk.train_args("first", &recbole));
    desk.ok(&["export", "--run", "first", "--weights", "a/w.safetensors", "--to", "recbole"]);

    // Sizes come from the weights: neither the window nor any other is told.
    let told: Vec<&str> =
        SMALL.into_iter().filter(|set| !set.starts_with("model.")).chain(["data.source=ring.txt"]).collect();
    let sets: Vec<&str> = told.iter().flat_map(|set| ["--set", set]).collect();
    let from = ["import", "--weights", "a/w.safetensors", "--from", "recbole", "--items", "a/items.tsv"];
    let import = |run| [&from[..], &["--out", run], &sets].concat();
    desk.ok(&import("second"));
    desk.ok(&["export", "--run", "second", "--weights", "b/w.safetensors", "--to", "recbole"]);
    let bytes = |name| std::fs::read(desk.path(name)).unwrap();
    assert!(bytes("a/w.safetensors") == bytes("b/w.safetensors"));

    desk.ok(&["train", "--run", "second", "--resume", "--device", "cpu"]);
    let evaluated = |run| desk.ok(&["evaluate", "--run", run]);
    let fp32 = |table: &str| table.lines().find(|line| line.contains("FP32")).unwrap().to_owned();
    let (first, second) = (evaluated("first"), evaluated("second"));
    assert_eq!(fp32(&first), fp32(&second));
    assert!(second.contains("CHORD at 3"), "{second}");

    // Refusals.
    let said = desk.refused(&["export", "--run", "second", "--out", "model.chord"]);
    assert!(said.contains("post-norm SASRec"), "{said}");
    let said = desk.refused(&["export", "--run", "second", "--weights", "c", "--to", "pytorch"]);
    assert!(said.contains("`model.norm` = \"pre\"") && !desk.path("c").exists(), "{said}");
    let said = desk.refused(&import("second"));
    assert!(said.contains("a run is there already"), "{said}");
    let said = desk.refused(&[&import("third")[..], &["--set", "model.dim=32"]].concat());
    assert!(said.contains("`model.dim` is 32, the weights need 16"), "{said}");
    let names = String::from_utf8(bytes("a/items.tsv")).unwrap();
    let listed = |lines: &[&str]| {
        let line = |(row, line): (usize, &&str)| format!("{row}\t{}\n", line.split_once('\t').unwrap().1);
        std::fs::write(desk.path("a/items.tsv"), lines.iter().enumerate().map(line).collect::<String>())
            .unwrap();
    };
    let mut names: Vec<&str> = names.lines().collect();
    listed(&names[1..]);
    let said = desk.refused(&import("third"));
    assert!(said.contains("a/items.tsv: 39 items, the data set has 40"), "{said}");
    assert!(!desk.path("third").exists());

    // A table whose row i is named as item i + 1 of the data set.
    names.rotate_left(1);
    listed(&names);
    desk.ok(&import("third"));
    desk.ok(&["export", "--run", "third", "--weights", "c/w.safetensors", "--to", "recbole"]);
    let table = |name| {
        let file = bytes(name);
        let stored = safetensors::SafeTensors::deserialize(&file).unwrap();
        let table = stored.tensor("item_embedding.weight").unwrap();
        let rows = table.data().chunks(table.shape()[1] * 4).skip(1);
        rows.map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let mut expected = table("a/w.safetensors");
    expected.rotate_right(1);
    assert!(table("c/w.safetensors") == expected);
}
