//! One SASRec ranking, timed on request: the side of chord-runtime in `benches/onnx`.
//!
//! `ranking WEIGHTS` writes the values of the random model's weights, as its plan cuts them, to the safetensors file
//! WEIGHTS. Then for every line `HOLDING N` on stdin, HOLDING `in-place` or `packed`, it ranks N times and prints the
//! nanoseconds; for a line `logits` it prints the candidates' logits.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;
use std::{env, fs, io};

use chord_core_bench::random_model::{self, Random};
use chord_core_bench::{SASREC, plan_of, three_bits};
use chord_plan::bundle::{Floats, Norm};
use chord_plan::manifest::LayerKind;
use chord_plan::numerics::value;
use chord_plan::{Bundle, Plan};
use chord_runtime::kernels::Native;
use chord_runtime::{Engine, Holding, Options, Ranked, Requirements};

const CANDIDATES: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args().nth(1).ok_or("usage: ranking WEIGHTS")?;
    let mut random = Random(1);
    let model = random_model::bundle(&random_model::sasrec(SASREC, [0, 2, 4, 8]), &mut random);
    let bundle = Bundle::parse(&model)?;
    let codes = three_bits(&bundle, &mut random);
    let plan = plan_of(&bundle, &codes);
    fs::write(path, weights(&bundle, &codes))?;

    // The same numbers are in bench.py.
    let history: Vec<u32> = (0..SASREC.positions.into()).map(|i: u32| 7 * i % SASREC.items).collect();
    let candidates: Vec<u32> = (0..CANDIDATES as u32).map(|i| 9 * i % SASREC.items).collect();
    println!("kernel {}", Native::default().name());
    let mut arenas = [Vec::new(), Vec::new()];
    let mut engines = Vec::new();
    for (arena, holding) in arenas.iter_mut().zip([Holding::InPlace, Holding::Packed]) {
        let options = Options { rows_at_once: SASREC.positions.into(), holding, ..Options::default() };
        arena.resize(Requirements::of(&bundle, &options).arena_bytes, 0);
        engines.push(Engine::new(bundle, &Plan::parse(&plan)?, arena, options)?);
    }
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (name, count) = line.split_once(' ').unwrap_or((&line, "1"));
        let engine = &mut engines[usize::from(name == "packed")];
        if name == "logits" {
            let mut logits = [0.0; CANDIDATES];
            let logits = engine.score(&history, &candidates, &mut logits)?;
            println!("{}", logits.iter().map(f32::to_string).collect::<Vec<_>>().join(" "));
        } else {
            let mut ranked = [Ranked::default(); CANDIDATES];
            let start = Instant::now();
            for _ in 0..count.parse::<u32>()? {
                black_box(engine.rank(black_box(&history), black_box(&candidates), &mut ranked)?);
            }
            println!("{}", start.elapsed().as_nanos());
        }
        io::stdout().flush()?;
    }
    Ok(())
}

/// A safetensors file of the values that the plan leaves.
fn weights(bundle: &Bundle<'_>, codes: &[u8]) -> Vec<u8> {
    let (items, dim) = (SASREC.items as usize, usize::from(SASREC.dim));
    let mut tensors: Vec<(String, [usize; 2], Vec<f32>)> = Vec::new();
    let mut rows = Vec::new();
    for item in 0..items {
        rows.extend(bundle.item_codes(item).iter().map(|&code| value(code, bundle.item_range(item), 8)));
    }
    tensors.push(("items".into(), [items, dim], rows));
    let positions = (0..SASREC.positions.into()).flat_map(|i| bundle.position(i)).collect();
    tensors.push(("positions".into(), [SASREC.positions.into(), dim], positions));
    let mut norm = |name: &str, norm| {
        let parts: (Floats<'_>, Floats<'_>) = bundle.norm(norm);
        for (part, floats) in [("gamma", parts.0), ("beta", parts.1)] {
            tensors.push((format!("{name}.{part}"), [1, dim], floats.into_iter().collect()));
        }
    };
    norm("final", Norm::Final);
    for block in 0..SASREC.blocks {
        norm(&format!("{block}.attention"), Norm::Attention(block));
        norm(&format!("{block}.feed_forward"), Norm::FeedForward(block));
    }
    for index in 0..LayerKind::ALL.len() * usize::from(SASREC.blocks) {
        let view = bundle.layer(index);
        let layer = *view.layer();
        let bits = |channel| [0, 2, 4, 8][usize::from(codes[layer.first_channel + channel])];
        let values = (0..layer.outputs).flat_map(|channel| {
            let bits = bits(channel);
            view.codes(channel).iter().map(move |&code| value(code, view.range(channel, bits), bits))
        });
        tensors.push((format!("{}.weight", layer.name), [layer.outputs, layer.inputs], values.collect()));
        let biases = (0..layer.outputs).map(|channel| view.bias(channel, bits(channel))).collect();
        tensors.push((format!("{}.bias", layer.name), [1, layer.outputs], biases));
    }
    let (mut header, mut data) = (String::from("{"), Vec::new());
    for (i, (name, shape, values)) in tensors.iter().enumerate() {
        let start = data.len();
        data.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(
            header,
            "{comma}\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{start},{}]}}",
            data.len()
        );
    }
    header.push('}');
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}
