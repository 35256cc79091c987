//! Every kernel that this processor runs gives the bits of `chord_plan::numerics` between the layers, too: any sizes, any
//! numbers. What is NaN may be any NaN.

use chord_plan::bundle::Floats;
use chord_plan::manifest::Activation;
use chord_plan::numerics;
use chord_runtime::kernels::Linear;
use proptest::collection::vec;
use proptest::prelude::*;

/// The kernels besides the scalar one, with their names.
fn kernels() -> Vec<(&'static str, Box<dyn Linear>)> {
    #[cfg(target_arch = "aarch64")]
    use chord_runtime::kernels::Neon as Family;
    #[cfg(target_arch = "x86_64")]
    use chord_runtime::kernels::X86 as Family;
    Family::all().map(|kernel| (kernel.name(), Box::new(kernel) as Box<dyn Linear>)).collect()
}

/// Numbers of a token at most; Miri takes seconds to draw so many.
const LONGEST: usize = if cfg!(miri) { 20 } else { 70 };

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN } else { *x }.to_bits()).collect()
}

/// Numbers as they come and of any size. Of one draw: a choice between strategies takes Miri a tenth of a second.
fn number() -> impl Strategy<Value = f32> {
    (0u8..10, any::<u32>()).prop_map(|(kind, bits)| {
        let x = bits as f32 / u32::MAX as f32;
        match kind {
            0..6 => 8.0 * x - 4.0,
            6..8 => 110.0 * x - 100.0,
            8 => (2.0 * x - 1.0) * ((bits % 276) as f32 - 149.0).exp2(),
            _ => -0.0,
        }
    })
}

/// One in ten of any bits.
fn any_number() -> impl Strategy<Value = f32> {
    (0u8..10, number(), any::<u32>())
        .prop_map(|(kind, number, bits)| if kind == 0 { f32::from_bits(bits) } else { number })
}

/// A prime, of hundreds of thousands of numbers or of a hundred.
const STEP: usize = if cfg!(miri) { 39_900_031 } else { 9973 };

/// Every [`STEP`]th number in the order of their bits: all exponents, all branches of `erff` and of `expf` within it.
#[test]
fn gelu_of_numbers_throughout() {
    let x: Vec<f32> = (0..=u32::MAX).step_by(STEP).map(f32::from_bits).collect();
    let expected: Vec<f32> = x.iter().map(|&x| numerics::gelu(x)).collect();
    for (name, kernel) in kernels() {
        let mut found = x.clone();
        kernel.activate(Activation::Gelu, &mut found);
        let differs = bits(&found).iter().zip(bits(&expected)).position(|(&a, b)| a != b);
        assert_eq!(differs.map(|i| (x[i], found[i], expected[i])), None, "{name}");
    }
}

/// As above, for what softmax takes: the largest score is 0, the others are below.
#[test]
fn exp_of_numbers_throughout() {
    let below = (0x8000_0000..=f32::NEG_INFINITY.to_bits()).step_by(STEP).map(f32::from_bits);
    let x: Vec<f32> = [0.0].into_iter().chain(below).collect();
    let expected: Vec<f32> = x.iter().map(|&x| libm::expf(x)).collect();
    let keys: Vec<f32> = x.iter().flat_map(|&x| [x, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).collect();
    let query = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for (name, kernel) in kernels() {
        let mut scores = vec![0.0; x.len()];
        kernel.attend(&query, &keys, &keys, 8, 1.0, &mut scores, &mut [0.0; 8]);
        let differs = bits(&scores).iter().zip(bits(&expected)).position(|(&a, b)| a != b);
        assert_eq!(differs.map(|i| (x[i], scores[i], expected[i])), None, "{name}");
    }
}

fn quantise(x: &[f32], places: usize) {
    let mut expected = vec![99; places];
    let scale = numerics::quantise_token(x, &mut expected);
    for (name, kernel) in kernels() {
        let mut found = vec![99; places];
        let found_scale = kernel.quantise(x, &mut found);
        assert_eq!(bits(&[found_scale]), bits(&[scale]), "{name}");
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_token_of_zeros_leaves_the_places_behind_it() {
    quantise(&[0.0; 50], 56);
}

proptest! {
    #[test]
    fn activations(x in vec(any_number(), 0..LONGEST)) {
        for (name, kernel) in kernels() {
            for activation in [Activation::Relu, Activation::Gelu] {
                let expected: Vec<f32> = x.iter().map(|&x| activation.apply(x)).collect();
                let mut found = x.clone();
                kernel.activate(activation, &mut found);
                prop_assert_eq!(bits(&found), bits(&expected), "{}", name);
            }
        }
    }

    #[test]
    fn quantised_tokens(
        x in prop_oneof![3 => vec(number(), 0..LONGEST), 1 => vec(any_number(), 0..LONGEST)],
        more in -9isize..9,
    ) {
        quantise(&x, x.len().saturating_add_signed(more));
    }

    #[test]
    fn normalised_tokens(
        columns in prop_oneof![
            3 => vec((number(), number(), number()), 0..LONGEST),
            1 => vec((any_number(), any_number(), any_number()), 0..LONGEST),
        ],
        fewer in 0usize..9,
        epsilon in prop_oneof![Just(1e-5f32), Just(0.0), 0.0f32..1.0],
    ) {
        let x: Vec<f32> = columns.iter().map(|column| column.0).collect();
        let bytes = |floats: &[f32]| floats.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let gamma = bytes(&columns.iter().map(|column| column.1).collect::<Vec<f32>>());
        let beta = bytes(&columns.iter().map(|column| column.2).collect::<Vec<f32>>());
        let (gamma, beta) = (Floats::new(&gamma), Floats::new(&beta));
        let places = x.len().saturating_sub(if fewer > 4 { fewer } else { 0 });
        let mut expected = vec![7.0; places];
        numerics::layer_norm(&x, gamma, beta, epsilon, &mut expected);
        for (name, kernel) in kernels() {
            let mut found = vec![7.0; places];
            kernel.layer_norm(&x, gamma, beta, epsilon, &mut found);
            prop_assert_eq!(bits(&found), bits(&expected), "{}", name);
        }
    }

    #[test]
    fn attention(
        width in prop_oneof![(0usize..9).prop_map(|n| 8 * n), 0usize..70],
        count in 0usize..if cfg!(miri) { 12 } else { 40 },
        gap in 0usize..9,
        missing in prop_oneof![7 => Just(0usize), 1 => 0usize..200],
        scale in prop_oneof![Just(0.25f32), number()],
        wild: bool,
        numbers in vec((number(), any_number()), if cfg!(miri) { 97 } else { 997 }),
    ) {
        let stride = width + gap;
        let mut next = numbers.iter().map(|&(tame, any)| if wild { any } else { tame }).cycle();
        let mut floats = |len| -> Vec<f32> { next.by_ref().take(len).collect() };
        let len = (stride * count).saturating_sub(gap).saturating_sub(missing);
        let (query, keys, values) = (floats(width), floats(len), floats(len));
        let mut expected = (vec![7.0; count], vec![7.0; width]);
        numerics::attend(&query, &keys, &values, stride, scale, &mut expected.0, &mut expected.1);
        for (name, kernel) in kernels() {
            let mut found = (vec![7.0; count], vec![7.0; width]);
            kernel.attend(&query, &keys, &values, stride, scale, &mut found.0, &mut found.1);
            prop_assert_eq!(bits(&found.0), bits(&expected.0), "{} scores", name);
            prop_assert_eq!(bits(&found.1), bits(&expected.1), "{}", name);
        }
    }
}
