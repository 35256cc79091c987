//! Times on this machine, by criterion: a layer of 64 inputs and outputs in every kernel that the processor runs, rankings and
//! plans of a SASRec and a Caser, steps of a profile.
//!
//! `cargo bench --manifest-path benches/cores/Cargo.toml --bench host`, then `--` and a part of a name for some of them.

use std::hint::black_box;
use std::time::Duration;

use chord_core_bench::random_model::{self, Random};
use chord_core_bench::{LAYER, SASREC, kernels, layer_model, layer_plan, plan_of, three_bits};
use chord_plan::manifest::{CaserShape, ProfileShape};
use chord_plan::{Bundle, Manifest, Plan};
use chord_runtime::kernels::{Tokens, packed_words, scratch_words};
use chord_runtime::{Engine, Holding, Options, Profile, ProfileRequirements, Ranked, Requirements, Widths};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const CASER: CaserShape = CaserShape { items: 1000, window: 5, dim: 64, horizontal: 16, vertical: 4 };

const CANDIDATES: usize = 100;

/// A layer of every kernel, in multiplications a second.
fn layers(criterion: &mut Criterion) {
    let mut random = Random(1);
    let (inputs, outputs) = (64, 64);
    let model = layer_model(inputs, outputs, &mut random);
    let bundle = Bundle::parse(&model).expect("a written bundle is valid");
    let layer = bundle.layer(LAYER);
    for rows in [50, 1] {
        let codes: Vec<i8> = (0..rows * inputs).map(|_| (random.bits() as i8).max(-127)).collect();
        let scales = vec![0.01; rows];
        let tokens = Tokens { codes: &codes, scales: &scales };
        let mut out = vec![0.0; rows * outputs];
        let mut scratch = vec![0; scratch_words(rows, inputs)];
        for plan in ["8", "4", "2", "alternating"] {
            let plan_codes = layer_plan(&bundle, plan);
            let widths = Widths::new(&plan_codes, bundle.manifest().palette, layer.layer().first_channel);
            let mut group = criterion.benchmark_group(format!("layer/{rows} rows, {plan}"));
            group.throughput(Throughput::Elements((rows * inputs * outputs) as u64));
            for (name, kernel) in kernels() {
                group.bench_function(BenchmarkId::from_parameter(format!("{name} in place")), |bencher| {
                    bencher.iter(|| kernel.layer(tokens, black_box(&layer), widths, &mut scratch, &mut out));
                });
                let mut packed = vec![0; packed_words(layer.layer(), widths)];
                kernel.pack(&layer, widths, &mut packed);
                group.bench_function(BenchmarkId::from_parameter(format!("{name} packed")), |bencher| {
                    bencher.iter(|| {
                        kernel.packed_layer(
                            tokens,
                            layer.layer(),
                            black_box(&packed),
                            &mut scratch,
                            &mut out,
                        );
                    });
                });
            }
        }
    }
}

/// Rankings, the best of the catalogue, and plans taken: of both networks.
fn engines(criterion: &mut Criterion) {
    let networks: [(_, Manifest, _); 2] = [
        ("SASRec", random_model::sasrec(SASREC, [0, 2, 4, 8]), usize::from(SASREC.positions)),
        ("Caser", random_model::caser(CASER, [0, 2, 4, 8]), usize::from(CASER.window)),
    ];
    for (network, manifest, rows_at_once) in networks {
        let mut random = Random(2);
        let model = random_model::bundle(&manifest, &mut random);
        let bundle = Bundle::parse(&model).expect("a written bundle is valid");
        let plan = plan_of(&bundle, &three_bits(&bundle, &mut random));
        let plan = Plan::parse(&plan).expect("a written plan is valid");
        let history = random_model::items(rows_at_once, &bundle, &mut random);
        let candidates = random_model::items(CANDIDATES, &bundle, &mut random);
        let mut group = criterion.benchmark_group(network);
        for (name, holding) in [("in place", Holding::InPlace), ("packed", Holding::Packed)] {
            let options = Options { rows_at_once, holding, ..Options::default() };
            let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
            let mut engine = Engine::new(bundle, &plan, &mut arena, options).expect("the arena fits");
            let mut ranked = [Ranked::default(); CANDIDATES];
            group.bench_function(BenchmarkId::new("rank 100", name), |bencher| {
                bencher.iter(|| {
                    engine
                        .rank(black_box(&history), &candidates, &mut ranked)
                        .expect("the request is valid")
                        .len()
                });
            });
            let mut best = [Ranked::default(); 10];
            group.bench_function(BenchmarkId::new("top 10 of 1000", name), |bencher| {
                bencher
                    .iter(|| engine.top(black_box(&history), &mut best).expect("the request is valid").len());
            });
            group.bench_function(BenchmarkId::new("apply a plan", name), |bencher| {
                bencher.iter(|| engine.apply(black_box(&plan)).expect("the plan is valid"));
            });
        }
    }
}

/// An interaction taken into a profile of 64 features and 64 numbers of state, and the embedding made.
fn profiles(criterion: &mut Criterion) {
    let mut random = Random(3);
    let profile = ProfileShape { pooled: 50, features: 64, hidden: 64, norm_epsilon: 1e-5 };
    let manifest = Manifest { profile: Some(profile), ..random_model::sasrec(SASREC, [0, 2, 4, 8]) };
    let model = random_model::bundle(&manifest, &mut random);
    let bundle = Bundle::parse(&model).expect("a written bundle is valid");
    let needed = ProfileRequirements::of(&bundle).expect("the bundle has a profile encoder");
    let mut arena = vec![0; needed.arena_bytes];
    let mut profile = Profile::new(bundle, &mut arena).expect("the arena fits");
    let mut group = criterion.benchmark_group("profile");
    let mut item = 0;
    group.bench_function("an interaction", |bencher| {
        bencher.iter(|| {
            item = (item + 7) % SASREC.items;
            profile.append(black_box(item)).expect("the item exists");
        });
    });
    group.bench_function("the embedding", |bencher| {
        bencher.iter(|| profile.embedding().expect("the request is valid").len());
    });
}

criterion_group! {
    name = host;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .without_plots();
    targets = layers, engines, profiles
}
criterion_main!(host);
