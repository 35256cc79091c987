//! The trainer's floating-point forward with fake quantisation against the device's integers: the same ranking.

use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Options, Requirements};
use chord_tests::trained;
use chord_trainer::allocator::Allocation;
use chord_trainer::config::BackboneName;
use chord_trainer::evaluation::trainer_engine::TrainerEngine;
use chord_trainer::freeze::freeze;
use chord_trainer::frozen::encode_plan;
use chord_trainer::model::chord::{Chord, Precision};
use chord_trainer::model::quantised_linear::QuantisedLinear;
use chord_trainer::tensor::{Backend, floats};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Spearman's rank correlation.
fn rank_correlation(a: &[f32], b: &[f32]) -> f64 {
    let ranks = |x: &[f32]| {
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|&i, &j| x[i].total_cmp(&x[j]));
        let mut ranks = vec![0.0; x.len()];
        order.iter().enumerate().for_each(|(rank, &i)| ranks[i] = rank as f64);
        ranks
    };
    let n = a.len() as f64;
    let squares: f64 = ranks(a).iter().zip(ranks(b)).map(|(x, y)| (x - y) * (x - y)).sum();
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}

#[test]
fn rank_correlation_is_spearmans() {
    assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), 1.0);
    assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
}

/// Scales and biases of widths, where there are any, away from neutral.
fn spread(mut layer: QuantisedLinear<Backend>) -> QuantisedLinear<Backend> {
    if let Some(own) = &mut layer.per_width {
        let shape = own.bias.dims();
        let wave = |step: f32| {
            let values = (0..shape.iter().product()).map(|i: usize| (i as f32 * step).sin() * 0.3).collect();
            floats(values, shape, &own.bias.device())
        };
        own.log_scale = own.log_scale.clone().map(|_| wave(1.0));
        own.bias = own.bias.clone().map(|_| wave(0.7));
    }
    layer
}

#[test]
fn integers_rank_as_fake_quantisation_does() {
    for seed in 0..24u64 {
        let mut config = trained::config();
        config.train.seed = seed;
        // Untrained embeddings this large give logits as spread as trained ones.
        config.model.embedding_std = 0.5;
        config.model.blocks = 1 + seed as u8 % 3;
        config.quantisation.per_width = seed % 2 == 1;
        if seed >= 12 {
            config.model.backbone = BackboneName::Caser;
            config.model.window = 1 + seed as u16 % 6;
        }
        let model = Chord::new(&config, trained::ITEMS, &trained::device());
        let backbone = model.backbone.map_layers(|layer| spread(layer.initialise_ranges(2.4)));
        let model = Chord { backbone, ..model };

        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let bytes = freeze(&model.backbone, &config).unwrap().to_bundle().unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        let channels = bundle.manifest().channels();
        let codes: Vec<u8> = (0..channels).map(|_| rng.random_range(0..4)).collect();
        let history: Vec<u32> =
            (0..rng.random_range(1..30)).map(|_| rng.random_range(0..trained::ITEMS)).collect();

        let plan = encode_plan(&codes, bundle.model(), 0, 3.0).unwrap();
        let options = Options::default();
        let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
        let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
        let all: Vec<u32> = (0..trained::ITEMS).collect();
        let mut logits = vec![0.0; all.len()];
        let integers = engine.score(&history, &all, &mut logits).unwrap();

        let trainer = TrainerEngine::new(&model, &config, Precision::Personal, 3.0);
        let plan = Allocation { codes, log_lambda: 0.0, thresholds: vec![] };
        let floats = trainer.logits(&[&history], Some(&[plan])).unwrap().remove(0);
        let correlation = rank_correlation(integers, &floats);
        assert!(correlation > 0.999, "seed {seed}: {correlation}");
    }
}
