//! The fixed-point arithmetic beside the floating-point one: close, and the same however it is run.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use chord_plan::manifest::{Activation, SasRecShape};
use chord_plan::{Bundle, Plan};
use chord_runtime::{Arithmetic, Engine, Options, Requirements};
use random_model::Random;

const FIXED: Options = Options {
    max_history: usize::MAX,
    rows_at_once: 4,
    holding: chord_runtime::Holding::InPlace,
    max_budget: None,
    arithmetic: Arithmetic::Fixed,
};

/// Logits of all items.
fn logits(bundle: Bundle<'_>, plan: &[u8], history: &[u32], options: Options) -> Vec<f32> {
    let mut arena = vec![0xa5; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, &Plan::parse(plan).unwrap(), &mut arena, options).unwrap();
    let all: Vec<u32> = (0..bundle.manifest().items()).collect();
    let mut logits = vec![0.0; all.len()];
    engine.score(history, &all, &mut logits).unwrap();
    logits
}

#[test]
fn close() {
    for (seed, activation) in (0..20).flat_map(|seed| [(seed, Activation::Gelu), (seed, Activation::Relu)]) {
        let shape = SasRecShape {
            items: 500,
            positions: 50,
            dim: 64,
            inner: 64,
            blocks: 2,
            heads: 2,
            activation,
            norm_epsilon: 1e-5,
        };
        let mut random = Random(seed);
        let manifest = random_model::sasrec(shape, [0, 2, 4, 8]);
        let bytes = random_model::bundle(&manifest, &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::three_bit_plan(&bundle, &mut random);
        let history = random_model::items(50, &bundle, &mut random);
        let float = logits(bundle, &plan, &history, Options::default());
        let fixed = logits(bundle, &plan, &history, FIXED);
        let spread = (float.iter().map(|x| f64::from(x * x)).sum::<f64>() / 500.0).sqrt();
        let differences = || float.iter().zip(&fixed).map(|(a, b)| f64::from((a - b).abs()));
        let best = |x: &[f32]| {
            let mut order: Vec<usize> = (0..x.len()).collect();
            order.sort_by(|&a, &b| x[b].total_cmp(&x[a]));
            order.truncate(10);
            order
        };
        let overlap = best(&float).iter().filter(|i| best(&fixed).contains(i)).count();
        println!(
            "{seed} {activation:?} spread {spread:.3} mean {:.4} max {:.4} overlap {overlap}",
            differences().sum::<f64>() / 500.0 / spread,
            differences().fold(0.0, f64::max) / spread
        );
    }
}
