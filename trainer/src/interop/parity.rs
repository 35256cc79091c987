//! Against the files that interop/golden.py made with PyTorch.

use super::{Format, InteropError, Weights, export};
use crate::config::Config;
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::model::chord::{Chord, Precision};
use crate::tensor::{Backend, Device};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};

const ITEMS: u32 = 23;

#[derive(serde::Deserialize)]
struct Golden {
    activation: String,
    heads: u8,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    history: Vec<u32>,
    logits: Vec<f32>,
}

/// This package's folder, as cargo names it when it runs this program: a kept build folder may hold one that was built in
/// another clone.
fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

fn golden(name: &str) -> PathBuf {
    package().join("tests/golden").join(name)
}

fn device() -> Device {
    Device::autodiff(Device::Flex(Default::default()))
}

fn imported(path: &Path, format: Format, sets: &[String]) -> Result<(Config, Chord<Backend>), InteropError> {
    let weights = Weights::read(path, format)?;
    let config = weights.config(None, sets)?;
    let model = weights.into_model(&config, ITEMS, &device())?;
    Ok((config, model))
}

const GOLDEN: [(&str, Format); 3] =
    [("pytorch-gelu", Format::Pytorch), ("pytorch-relu", Format::Pytorch), ("recbole", Format::Recbole)];

#[test]
fn logits_are_those_of_pytorch() {
    for (name, format) in GOLDEN {
        let text = std::fs::read(golden(&format!("{name}.json"))).unwrap();
        let told: Golden = serde_json::from_slice(&text).unwrap();
        let sets = [format!("model.activation={}", told.activation), format!("model.heads={}", told.heads)];
        let (config, model) = imported(&golden(&format!("{name}.safetensors")), format, &sets).unwrap();
        let engine = TrainerEngine::new(&model, &config, Precision::Fp32, config.budget.default);
        let histories: Vec<&[u32]> = told.cases.iter().map(|c| &c.history[..]).collect();
        for (case, found) in told.cases.iter().zip(engine.logits(&histories, None).unwrap()) {
            let expected = &case.logits[format.padding_rows()..];
            assert_eq!(expected.len(), found.len());
            for (expected, found) in expected.iter().zip(found) {
                assert!((expected - found).abs() < 1e-5, "{name}, {:?}: {expected} {found}", case.history);
            }
        }
    }
}

#[test]
fn every_tensor_goes_out_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in GOLDEN {
        let (source, copy) = (golden(&format!("{name}.safetensors")), folder.path().join(name));
        let (config, model) = imported(&source, format, &[]).unwrap();
        export(&copy, format, &model.backbone, &config).unwrap();
        let (source, copy) = (std::fs::read(source).unwrap(), std::fs::read(copy).unwrap());
        let [source, copy] = [&source, &copy].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        assert_eq!(source.len(), copy.len());
        for (tensor, view) in source.tensors() {
            let found = copy.tensor(&tensor).unwrap();
            assert_eq!((view.shape(), view.dtype()), (found.shape(), found.dtype()), "{tensor}");
            // RecBole's padding row takes no part in any item's logit, and is not kept.
            let padding = if tensor == "item_embedding.weight" { view.shape()[1] * 4 } else { 0 };
            assert!(view.data()[padding..] == found.data()[padding..], "{name}: {tensor}");
            assert!(found.data()[..padding].iter().all(|&byte| byte == 0));
        }
    }
}

#[test]
fn an_order_of_items_moves_rows() {
    let source = golden("pytorch-gelu.safetensors");
    let order: Vec<u32> = (1..ITEMS).chain([0]).collect();
    let table = |weights: Weights| weights.tensors["items.weight"].1.clone();
    let plain = Weights::read(&source, Format::Pytorch).unwrap();
    let turned = table(plain.clone().with_item_order(&order).unwrap());
    let mut expected = table(plain);
    expected.rotate_left(8);
    assert_eq!(turned, expected);
}

/// Golden weights with some tensors changed: dropped, or of another shape, or with another first value.
fn changed(format: Format, change: impl Fn(&str, &mut Vec<usize>, &mut Vec<u8>) -> bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let name = match format {
        Format::Pytorch => "pytorch-gelu.safetensors",
        Format::Recbole => "recbole.safetensors",
    };
    let file = std::fs::read(golden(name)).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in SafeTensors::deserialize(&file).unwrap().tensors() {
        let (mut shape, mut data) = (view.shape().to_vec(), view.data().to_vec());
        if change(&name, &mut shape, &mut data) {
            tensors.push((name, shape, data));
        }
    }
    let views = tensors.iter().map(|(n, s, d)| (n, TensorView::new(Dtype::F32, s.clone(), d).unwrap()));
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    imported(&path, format, &[]).unwrap_err().to_string()
}

#[test]
fn damage_names_the_tensor() {
    for (format, name) in [
        (Format::Pytorch, "blocks.1.key.bias"),
        (Format::Recbole, "trm_encoder.layer.1.multi_head_attention.key.bias"),
    ] {
        let named = |what: &str| format!("tensor `{name}` {what}");
        let said = changed(format, |n, _, _| n != name);
        assert!(said.contains(&named("is missing")), "{said}");
        let said = changed(format, |n, shape, _| {
            if n == name {
                *shape = vec![4, 2];
            }
            true
        });
        assert!(said.contains(&named("is [4, 2], the model needs [8]")), "{said}");
        let said = changed(format, |n, _, data| {
            if n == name {
                data[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
            }
            true
        });
        assert!(said.contains(&named("holds NaN at element 2")), "{said}");
    }
    let other = imported(&golden("recbole.safetensors"), Format::Pytorch, &[]).unwrap_err().to_string();
    assert!(other.contains("tensor `items.weight` is missing"), "{other}");
    let said = changed(Format::Recbole, |n, _, _| n != "item_embedding.weight");
    assert!(said.contains("tensor `item_embedding.weight` is missing"), "{said}");
}

#[test]
fn an_extra_tensor_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let file = std::fs::read(golden("pytorch-gelu.safetensors")).unwrap();
    let stored = SafeTensors::deserialize(&file).unwrap();
    let extra = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let views = stored.tensors().into_iter().chain([("head.weight".to_owned(), extra)]);
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let said = imported(&path, Format::Pytorch, &[]).unwrap_err().to_string();
    assert!(said.contains("tensor `head.weight` has no place in a pytorch SASRec"), "{said}");
}

#[test]
fn contradictions_are_refused() {
    let path = golden("recbole.safetensors");
    let weights = Weights::read(&path, Format::Recbole).unwrap();
    assert_eq!(weights.config(None, &[]).unwrap().model.norm_epsilon, 1e-12);
    for (set, expected) in [
        ("model.dim=16", "`model.dim` is 16, the weights need 8"),
        ("model.blocks=1", "`model.blocks` is 1, the weights need 2"),
        ("model.norm=pre", "`model.norm` is \"pre\", the weights need \"post\""),
        ("model.backbone=caser", "`model.backbone` is \"caser\""),
    ] {
        let said = weights.config(None, &[set.to_owned()]).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
    let config = weights.config(None, &[]).unwrap();
    let said = weights.clone().into_model(&config, 24, &device()).unwrap_err().to_string();
    assert!(said.contains("weights of 23 items, the data set has 24"), "{said}");

    let model = weights.into_model(&config, ITEMS, &device()).unwrap();
    let said = export(&path, Format::Pytorch, &model.backbone, &config).unwrap_err().to_string();
    assert!(said.contains("pytorch has no such model: it needs `model.norm` = \"pre\""), "{said}");
    let said = crate::freeze::freeze(&model.backbone, &config).unwrap_err().to_string();
    assert!(said.contains("post-norm SASRec"), "{said}");
}
