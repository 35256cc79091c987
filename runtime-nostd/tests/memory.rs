//! The arena: nothing outside it is touched, and hardly anything in it is left over.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use chord_plan::bundle::LayerView;
use chord_plan::manifest::{Activation, Layer, SasRecShape};
use chord_plan::{Bundle, Plan};
use chord_runtime::kernels::{Linear, Scalar, Tokens, scratch_words};
use chord_runtime::{Engine, Error, Options, Ranked, Requirements, Widths};
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
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes that keep two different patterns were not used: at most 2% of an arena of a KiB or more.
    #[test]
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
}
