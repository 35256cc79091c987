//! Every kernel that this processor runs gives the scalar one's bits: any sizes, any widths, extremes.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use chord_plan::Bundle;
use chord_plan::bundle::BundleWriter;
use chord_plan::manifest::{Activation, LayerKind, SasRecShape};
use chord_runtime::Widths;
use chord_runtime::kernels::{Linear, Native, Scalar, Tokens, packed_words, scratch_words};
use proptest::prelude::*;
use random_model::Random;

/// The kernels besides the scalar one, with their names.
fn kernels() -> Vec<(&'static str, Box<dyn Linear>)> {
    #[cfg(target_arch = "aarch64")]
    use chord_runtime::kernels::Neon as Family;
    #[cfg(target_arch = "x86_64")]
    use chord_runtime::kernels::X86 as Family;
    Family::all().map(|kernel| (kernel.name(), Box::new(kernel) as Box<dyn Linear>)).collect()
}

/// A model whose layer [`LAYER`] has these sizes and codes.
fn bundle(inputs: usize, outputs: usize, random: &mut Random, code: impl Fn(&mut Random) -> i8) -> Vec<u8> {
    let shape = SasRecShape {
        items: 1,
        positions: 1,
        dim: outputs as u16,
        inner: inputs as u16,
        blocks: 1,
        heads: 1,
        activation: Activation::Relu,
        norm_epsilon: 1e-5,
    };
    let manifest = random_model::sasrec(shape, [0, 2, 4, 8]);
    let mut bytes = vec![0; manifest.bundle_len().unwrap()];
    let mut writer = BundleWriter::new(&manifest, &mut bytes).unwrap();
    for (section, len) in random_model::section_lengths(&manifest) {
        if section.holds_codes() {
            let codes: Vec<i8> = (0..len).map(|_| code(random)).collect();
            writer.codes(section, &codes).unwrap();
        } else {
            let floats: Vec<f32> = (0..len).map(|_| 0.5 + 0.4 * random.signed()).collect();
            writer.floats(section, &floats).unwrap();
        }
    }
    writer.finish().unwrap();
    bytes
}

/// From the inner width to the outer one, so that the other layers are small.
const LAYER: usize = LayerKind::Contract as usize;

#[derive(Clone, Copy, Debug)]
enum Values {
    Any,
    Lowest,
    Highest,
    Ends,
}

fn values() -> impl Strategy<Value = Values> {
    prop_oneof![Just(Values::Any), Just(Values::Lowest), Just(Values::Highest), Just(Values::Ends)]
}

fn value(values: Values, lowest: i8, random: &mut Random) -> i8 {
    match values {
        Values::Any => (random.bits() as i8).max(lowest),
        Values::Lowest => lowest,
        Values::Highest => 127,
        Values::Ends => [lowest, 127][random.below(2)],
    }
}

/// Widths of the channels: all the same, blocks of each, or any.
fn widths() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![Just(None), (0u8..5).prop_map(Some)]
}

/// Inputs, channels and rows of a layer.
fn sizes() -> BoxedStrategy<(usize, usize, usize)> {
    if cfg!(miri) {
        // Minutes for the largest: of many inputs or of many rows, past a part's and a tile's end.
        return prop_oneof![(1usize..24, 1usize..20, 1usize..12), (130usize..150, 1usize..4, 1usize..3)]
            .boxed();
    }
    let inputs = prop_oneof![1usize..70, (1usize..20).prop_map(|n| 16 * n), 1usize..600];
    (inputs, 1usize..40, 1usize..12).boxed()
}

proptest! {
    #[test]
    fn layers_are_those_of_the_scalar_kernel(
        seed: u64,
        (inputs, outputs, rows) in sizes(),
        codes in values(),
        activations in values(),
        widths in widths(),
    ) {
        let mut random = Random(seed);
        let model = bundle(inputs, outputs, &mut random, |random| value(codes, -128, random));
        let bundle = Bundle::parse(&model).unwrap();
        let layer = bundle.layer(LAYER);
        let first = layer.layer().first_channel;
        let mut plan = vec![0; bundle.manifest().channels().div_ceil(4)];
        for channel in 0..outputs {
            let code = match widths {
                None => random.below(4) as u8,
                Some(4) => (4 * channel / outputs) as u8,
                Some(code) => code,
            };
            plan[(first + channel) / 4] |= code << (2 * ((first + channel) % 4));
        }
        let widths = Widths::new(&plan, bundle.manifest().palette, first);
        let tokens: Vec<i8> = (0..rows * inputs).map(|_| value(activations, -127, &mut random)).collect();
        let scales: Vec<f32> = (0..rows).map(|_| 0.01 + 0.005 * random.signed()).collect();
        let tokens = Tokens { codes: &tokens, scales: &scales };
        let mut expected = vec![0.0; rows * outputs];
        Scalar.layer(tokens, &layer, widths, &mut [], &mut expected);
        let expected: Vec<u32> = expected.into_iter().map(f32::to_bits).collect();

        for (name, kernel) in kernels() {
            let mut found = vec![f32::NAN; rows * outputs];
            let mut scratch = vec![0xdead_beef; scratch_words(rows, inputs)];
            kernel.layer(tokens, &layer, widths, &mut scratch, &mut found);
            let found: Vec<u32> = found.into_iter().map(f32::to_bits).collect();
            prop_assert_eq!(&found, &expected, "{} in place", name);

            let mut found = vec![f32::NAN; rows * outputs];
            let mut packed = vec![0xdead_beef; packed_words(layer.layer(), widths)];
            kernel.pack(&layer, widths, &mut packed);
            scratch.fill(0xdead_beef);
            kernel.packed_layer(tokens, layer.layer(), &packed, &mut scratch, &mut found);
            let found: Vec<u32> = found.into_iter().map(f32::to_bits).collect();
            prop_assert_eq!(&found, &expected, "{} packed", name);

            // Memory that is too small is told from a result.
            let less = scratch.len() / 4;
            let mut found = vec![0.0; rows * outputs];
            kernel.layer(tokens, &layer, widths, &mut scratch[..less], &mut found);
            prop_assert!(found.iter().all(|y| y.is_nan()) || expected == bits(&found), "{}", name);

            let token = &tokens.codes[..inputs];
            prop_assert_eq!(kernel.dot(token, layer.codes(0)), Scalar.dot(token, layer.codes(0)), "{}", name);
            for bits in [0, 2, 4, 8] {
                let filter = layer.codes(outputs - 1);
                let expected = Scalar.filter_row(token, filter, bits);
                prop_assert_eq!(kernel.filter_row(token, filter, bits), expected, "{}", name);
            }
        }
    }
}

proptest! {
    /// What [`Linear::pack`] did not write, or for another layer, may give any outputs and nothing else.
    #[test]
    fn any_words_are_a_packed_layer(
        seed: u64,
        (inputs, outputs, rows) in sizes(),
        forged in proptest::collection::vec(prop_oneof![any::<u32>(), 0u32..10, Just(u32::MAX)], 0..200),
        place: usize,
    ) {
        let mut random = Random(seed);
        let model = bundle(inputs, outputs, &mut random, |random| random.bits() as i8);
        let bundle = Bundle::parse(&model).unwrap();
        let layer = bundle.layer(LAYER);
        let plan: Vec<u8> = (0..bundle.manifest().channels().div_ceil(4)).map(|_| random.bits() as u8).collect();
        let widths = Widths::new(&plan, bundle.manifest().palette, layer.layer().first_channel);
        let (codes, scales) = (vec![-127; rows * inputs], vec![1.0; rows]);
        let tokens = Tokens { codes: &codes, scales: &scales };
        let scalar = [("scalar", Box::new(Scalar) as Box<dyn Linear>)];
        for (_, kernel) in kernels().into_iter().chain(scalar) {
            let mut scratch = vec![0; scratch_words(rows, inputs)];
            let mut out = vec![0.0; rows * outputs];
            kernel.packed_layer(tokens, layer.layer(), &forged, &mut scratch, &mut out);
            let mut packed = vec![0; packed_words(layer.layer(), widths)];
            kernel.pack(&layer, widths, &mut packed);
            let place = place % packed.len();
            for (word, &forged) in packed[place..].iter_mut().zip(&forged) {
                *word = forged;
            }
            kernel.packed_layer(tokens, layer.layer(), &packed, &mut scratch, &mut out);
        }
    }
}

#[test]
fn channels_past_the_last_number_have_a_width() {
    let [none, lacking] = [vec![], vec![0xff]];
    for plan in [none, lacking] {
        let widths = Widths::new(&plan, chord_plan::Palette::DEFAULT, usize::MAX);
        assert!([0, 2, 4, 8].contains(&widths.bits(1)) && widths.bits(0) == 0);
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The longest layers that the format knows: sums go to the ends of 32 bits.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn the_longest_sums_fit() {
    let inputs = 32768;
    for (code, a) in [(-128, 127), (127, 127), (-128, -127), (127, -127)] {
        let (token, codes) = (vec![a; inputs], vec![code; inputs]);
        for (name, kernel) in kernels() {
            assert_eq!(kernel.dot(&token, &codes), Scalar.dot(&token, &codes), "{name}");
        }
    }
}

/// `Engine::new` takes the last of the family.
#[test]
fn native_is_the_fastest() {
    let (name, _) = kernels().pop().unwrap();
    assert_eq!(Native::default().name(), name);
    println!("this processor runs {:?}", kernels().iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
