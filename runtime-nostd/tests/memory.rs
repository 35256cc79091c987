//! The arena: nothing outside it is touched, and hardly anything in it is left over.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use chord_plan::bundle::LayerView;
use chord_plan::manifest::{Activation, Layer, SasRecShape};
use chord_plan::plan::PlanHeader;
use chord_plan::{Bundle, Plan};
use chord_runtime::kernels::{
    Linear, Scalar, Tokens, Tokenwise, max_packed_words, packed_words, scratch_words,
};
use chord_runtime::{Engine, Error, Holding, Options, Ranked, Requirements, Widths};
use proptest::prelude::*;
use random_model::Random;

fn shapes() -> impl Strategy<Value = SasRecShape> {
    let sizes = (8u16..40, 4u16..16, 8u16..80, 1u8..4, 1u8..5);
    sizes.prop_map(|(positions, head, inner, blocks, heads)| SasRecShape {
        items: 20,
        positions,
        dim: head * u16::from(heads),
        inner,
        blocks,
        heads,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    })
}

/// Uses all the scratch memory that a kernel may count on, which the scalar one leaves alone.
struct Scribble;

fn scribble(tokens: Tokens<'_>, inputs: usize, scratch: &mut [u32]) {
    scratch[..scratch_words(tokens.scales.len(), inputs)].fill(u32::MAX);
}

impl Tokenwise for Scribble {}

impl Linear for Scribble {
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        scribble(tokens, layer.layer().inputs, scratch);
        Scalar.layer(tokens, layer, widths, scratch, out);
    }

    fn packed_layer(
        &self,
        tokens: Tokens<'_>,
        layer: &Layer,
        packed: &[u32],
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        scribble(tokens, layer.inputs, scratch);
        Scalar.packed_layer(tokens, layer, packed, scratch, out);
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        Scalar.dot(token, codes)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(random_model::cases(64)))]

    /// Bytes that keep two different patterns were not used: at most 2% of an arena of a KiB or more.
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn the_arena_is_tight(shape in shapes(), rows_at_once in 1usize..9, seed: u64) {
        let mut random = Random(seed);
        let model = random_model::bundle(&random_model::sasrec(shape, [0, 2, 4, 8]), &mut random);
        let bundle = Bundle::parse(&model).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut random);
        let plan_parsed = Plan::parse(&plan).unwrap();
        let history = random_model::items(shape.positions.into(), &bundle, &mut random);
        let options = Options { rows_at_once, ..Options::default() };
        let Requirements { arena_bytes, plan_bytes } = Requirements::of(&bundle, &options);
        prop_assert!(plan.len() <= plan_bytes && plan_bytes <= plan.len() + 32);

        let after = [0x00u8, 0xA5].map(|pattern| {
            let mut memory = vec![pattern; arena_bytes + 32];
            let mut ranked = [Ranked::default(); 1];
            let arena = &mut memory[16..16 + arena_bytes];
            let mut engine = Engine::with_kernel(bundle, &plan_parsed, arena, options, Scribble).unwrap();
            engine.rank(&history, &[3], &mut ranked).unwrap();
            assert!(memory[..16].iter().chain(&memory[16 + arena_bytes..]).all(|&byte| byte == pattern));
            memory[16..16 + arena_bytes].to_vec()
        });
        let unused = after[0].iter().zip(&after[1]).filter(|&(&a, &b)| a == 0x00 && b == 0xA5).count();
        prop_assume!(arena_bytes >= 1024);
        prop_assert!(50 * unused <= arena_bytes, "{unused} of {arena_bytes} bytes unused");

        let mut small = vec![0u32; arena_bytes / 4];
        let small: &mut [u8] = bytemuck::cast_slice_mut(&mut small);
        let length = arena_bytes - 4;
        let refused = Engine::new(bundle, &plan_parsed, &mut small[..length], options).unwrap_err();
        prop_assert_eq!(refused, Error::ArenaTooSmall { needed: arena_bytes, given: length });
    }

    /// A plan at the limit fits whatever its mix, one beyond is refused and the running one stays.
    #[test]
    fn plans_within_the_budget_fit(seed: u64, later: u32) {
        let mut random = Random(seed);
        let manifest = random_model::manifest(&mut random);
        let model = random_model::bundle(&manifest, &mut random);
        let bundle = Bundle::parse(&model).unwrap();
        let mut plans = [1, 2].map(|sequence| random_model::plan(&bundle, sequence, &mut random));
        plans.sort_by_key(|plan| Plan::parse(plan).unwrap().kept_bits(&manifest));
        let [modest, greedy] = plans.each_ref().map(|plan| Plan::parse(plan).unwrap());
        let budget = modest.header().budget;
        let options =
            Options { holding: Holding::Packed, max_budget: Some(budget), ..Options::default() };
        let history = random_model::items(5, &bundle, &mut random);
        let score = |plan: &Plan<'_>, next: Option<&Plan<'_>>, options: Options| {
            let mut arena = vec![later as u8; Requirements::of(&bundle, &options).arena_bytes];
            let mut engine = Engine::new(bundle, plan, &mut arena, options)?;
            let refused = next.map(|next| engine.apply(next));
            let mut logits = [0.0; 1];
            engine.score(&history, &[0], &mut logits).unwrap();
            Ok::<_, Error>((logits[0].to_bits(), refused))
        };
        let (expected, _) = score(&modest, None, Options::default()).unwrap();
        let (weights, kept) = (manifest.quantised_weights(), greedy.kept_bits(&manifest));
        let error = Error::OverBudget { kept, weights, max_budget: budget };
        if kept * 1000 > u64::from(budget) * weights {
            // It may be the older one, but what does not fit is said first.
            prop_assert_eq!(score(&greedy, None, options), Err(error));
            prop_assert_eq!(score(&modest, Some(&greedy), options), Ok((expected, Some(Err(error)))));
        } else {
            prop_assert_eq!(score(&modest, None, options), Ok((expected, None)));
        }
    }
}

/// The packed area of SASRec at 3.0 bits holds the worst plan, with at most 2% left.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn the_packed_area_is_tight() {
    let shape = SasRecShape {
        items: 20,
        positions: 50,
        dim: 64,
        inner: 64,
        blocks: 2,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    let manifest = random_model::sasrec(shape, [0, 2, 4, 8]);
    let model = random_model::bundle(&manifest, &mut Random(1));
    let bundle = Bundle::parse(&model).unwrap();
    // One channel in the last group of each width.
    let codes: Vec<u8> = manifest
        .layers()
        .flat_map(|_| [(3, 9), (2, 13), (1, 33), (0, 9)])
        .flat_map(|(code, n)| std::iter::repeat_n(code, n))
        .collect();
    let header =
        PlanHeader { model: bundle.model(), sequence: 1, budget: 3000, channels: codes.len() as u32 };
    let plan = random_model::encode(&header, &codes);
    let plan = Plan::parse(&plan).unwrap();
    let used: usize = manifest
        .layers()
        .map(|layer| {
            packed_words(&layer, Widths::new(plan.packed_codes(), manifest.palette, layer.first_channel))
        })
        .sum();
    let room = max_packed_words(&manifest, Some(3000));
    assert!(used <= room && 50 * (room - used) <= room, "{used} of {room} words");
    assert!(3 * room < 2 * max_packed_words(&manifest, None));
    let options = Options { holding: Holding::Packed, max_budget: Some(3000), ..Options::default() };
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut logits = [0.0; 1];
    let mut engine = Engine::new(bundle, &plan, &mut arena, options).unwrap();
    let packed = engine.score(&[1, 2, 3], &[4], &mut logits).unwrap()[0];
    let mut arena = vec![0; Requirements::of(&bundle, &Options::default()).arena_bytes];
    let mut engine = Engine::new(bundle, &plan, &mut arena, Options::default()).unwrap();
    assert_eq!(engine.score(&[1, 2, 3], &[4], &mut logits).unwrap()[0], packed);
}
