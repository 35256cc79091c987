//! The target's kernel and the scalar one on random and extreme layers: the same bits, or exit code 1.
#![no_std]
#![no_main]

use chord_kernel_bench::{LAYER, Random, bundle, pack_plan};
use chord_plan::Palette;
use chord_plan::bundle::Floats;
use chord_plan::manifest::Activation;
use chord_runtime::Widths;
use chord_runtime::kernels::{Linear, Native, Scalar, Tokens, Tokenwise, packed_words, scratch_words};
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;

const ROWS: usize = 9;
const WIDEST: usize = 520;

#[entry]
fn main() -> ! {
    static mut BUNDLE: [u8; 1 << 21] = [0; 1 << 21];
    static mut SCRATCH: [u32; scratch_words(ROWS, WIDEST)] = [0; scratch_words(ROWS, WIDEST)];
    static mut PACKED: [u32; 1 << 16] = [0xdead_beef; 1 << 16];
    static mut CODES: [i8; ROWS * WIDEST] = [0; ROWS * WIDEST];
    static mut PLAN: [u8; 2 * WIDEST] = [0; 2 * WIDEST];
    static mut OUT: [[f32; ROWS * WIDEST]; 2] = [[0.0; ROWS * WIDEST]; 2];
    let mut random = Random(1);
    let [expected, found] = OUT;
    let mut cases = 0;
    let sizes = [1, 2, 3, 4, 5, 7, 8, 9, 12, 31, 43, 44, 50, 64, 65, 68, 128, 131, 132, 136, 200, 300, 520];
    for inputs in sizes {
        for extreme in 0..6 {
            let outputs = 1 + random.below(if inputs > 64 { 20 } else { 70 });
            // Its numbers lie as f32 do every other time.
            let start = BUNDLE.as_ptr().align_offset(4) + extreme % 2;
            let bundle = bundle(&mut BUNDLE[start..], inputs, outputs, &mut random, |random| match extreme {
                0 | 1 => random.bits() as i8,
                2 => [-128, 127][random.below(2)],
                4 => 127,
                _ => -128,
            });
            let layer = bundle.layer(LAYER);
            for widths in 0..7 {
                let seed = random.bits();
                let mixed = |channel: usize| {
                    let choice = (seed >> (channel % 29)) as usize;
                    [0, 2, 4, 8][choice % 4]
                };
                pack_plan(
                    &bundle,
                    |channel| match widths {
                        0 => 8,
                        1 => 4,
                        2 => 2,
                        3 => 0,
                        4 => [8, 4, 2, 2][4 * channel / outputs],
                        _ => mixed(channel),
                    },
                    PLAN,
                );
                let widths = match widths {
                    // No plan, as the profile encoder has it.
                    0 if extreme < 4 => Widths::new(&[], Palette::EIGHT_BITS, 0),
                    _ => Widths::new(PLAN, bundle.manifest().palette, layer.layer().first_channel),
                };
                let rows = if random.below(3) == 0 { 1 } else { 1 + random.below(ROWS) };
                // Rows whose magnitudes sum to about what two 2-bit channels can share a sum for.
                let (edge, sign) = (5440 + random.below(40), [-1, 1][random.below(2)]);
                let codes = &mut CODES[..rows * inputs];
                let mut place = 0;
                codes.fill_with(|| match (extreme, random.below(8)) {
                    (4.., _) => {
                        place = (place + 1) % inputs;
                        let magnitude = edge / inputs + usize::from(place < edge % inputs);
                        sign * magnitude.min(127) as i8
                    }
                    (0, _) => (random.below(255) as i16 - 127) as i8,
                    (1, _) => (random.below(61) as i16 - 30) as i8,
                    (2, choice) => [-127, 127][choice % 2],
                    (_, 0) => -127,
                    _ => 127,
                });
                let mut scales = [0.0; ROWS];
                scales.fill_with(|| 0.01 + 0.005 * random.signed());
                let tokens = Tokens { codes, scales: &scales[..rows] };
                let (expected, found) = (&mut expected[..rows * outputs], &mut found[..rows * outputs]);
                Scalar.layer(tokens, &layer, widths, &mut [], expected);
                found.fill(f32::NAN);
                SCRATCH.fill(0xdead_beef);
                Native::default().layer(tokens, &layer, widths, SCRATCH, found);
                for held in ["in place", "packed"] {
                    if held == "packed" {
                        found.fill(f32::NAN);
                        let packed = &mut PACKED[..packed_words(layer.layer(), widths)];
                        Native::default().pack(&layer, widths, packed);
                        Native::default().packed_layer(tokens, layer.layer(), packed, SCRATCH, found);
                    }
                    let same = expected.iter().zip(&*found).position(|(a, b)| a.to_bits() != b.to_bits());
                    if let Some(at) = same {
                        let (row, channel) = (at / outputs, at % outputs);
                        hprintln!(
                            "{}, {} x {}, {} rows, extreme {}: row {} channel {} ({} bits) is {}, expected {}",
                            held,
                            inputs,
                            outputs,
                            rows,
                            extreme,
                            row,
                            channel,
                            widths.bits(channel),
                            found[at],
                            expected[at]
                        );
                        exit(false);
                    }
                }
                let (token, item) = (&tokens.codes[..inputs], layer.codes(0));
                if Scalar.dot(token, item) != Native::default().dot(token, item) {
                    hprintln!("dot of {} inputs, extreme {}", inputs, extreme);
                    exit(false);
                }
                cases += 1;
            }
        }
    }
    let tokens = check_tokens(&mut random);
    check_throughout();
    hprintln!("{} layers, {} tokens, the same bits", cases, tokens);
    exit(true)
}

/// What happens to tokens between layers: normalisation, quantisation, attention.
fn check_tokens(random: &mut Random) -> usize {
    const KEYS: usize = 9;
    const LONGEST: usize = 72;
    let mut cases = 0;
    for width in 1..=LONGEST {
        for kind in 0..12 {
            let mut number = || match (kind, random.below(16)) {
                (0, _) => [0.0, -0.0][random.below(2)],
                (1, 0) => f32::from_bits(random.bits() as u32),
                (2, _) => 1e-30 * random.signed(),
                (3, _) => 1e30 * random.signed(),
                (4, _) => [-1.0, 1.0][random.below(2)],
                _ => random.signed(),
            };
            let mut token = [0.0; LONGEST];
            token.fill_with(&mut number);
            let token = &token[..width];

            let mut codes = [[99; LONGEST + 1]; 2];
            let start = cases % 2;
            let [expected, found] = &mut codes;
            let (expected, found) = (&mut expected[start..][..width], &mut found[start..][..width]);
            let scales = [Scalar.quantise(token, expected), Native::default().quantise(token, found)];
            same("quantise", width, kind, scales[0], scales[1]);
            if expected != found {
                hprintln!("quantise {} numbers, kind {}: {:?}, expected {:?}", width, kind, found, expected);
                exit(false);
            }

            let mut table = [[0; 4 * LONGEST + 1]; 2];
            for table in &mut table {
                for bytes in table[start..].as_chunks_mut::<4>().0 {
                    *bytes = number().to_le_bytes();
                }
            }
            let [gamma, beta] = table.each_ref().map(|table| Floats::new(&table[start..][..4 * width]));
            let mut out = [[7.0; LONGEST]; 2];
            let [expected, found] = &mut out;
            Scalar.layer_norm(token, gamma, beta, 1e-5, &mut expected[..width]);
            Native::default().layer_norm(token, gamma, beta, 1e-5, &mut found[..width]);
            for (expected, found) in expected.iter().zip(found) {
                same("norm", width, kind, *expected, *found);
            }

            let (mut expected, mut found) = ([1.5; LONGEST], [1.5; LONGEST]);
            Scalar.add(&mut expected[..width + start.min(LONGEST - width)], token);
            Native::default().add(&mut found[..width + start.min(LONGEST - width)], token);
            for (expected, found) in expected.iter().zip(&found) {
                same("add", width, kind, *expected, *found);
            }

            let stride = width + cases % 3;
            let mut tables = [[0.0; KEYS * (LONGEST + 2)]; 2];
            tables.iter_mut().for_each(|table| table.fill_with(&mut number));
            for keys in 1..=KEYS {
                let [table, values] = tables.each_ref().map(|table| &table[..(keys - 1) * stride + width]);
                let mut out = [[7.0; LONGEST]; 2];
                let mut scores = [[7.0; KEYS]; 2];
                let ([expected, found], [a, b]) = (&mut out, &mut scores);
                let (a, b) = (&mut a[..keys], &mut b[..keys]);
                Scalar.attend(token, table, values, stride, 0.3, a, &mut expected[..width]);
                Native::default().attend(token, table, values, stride, 0.3, b, &mut found[..width]);
                for (expected, found) in expected.iter().zip(found).chain(a.iter().zip(b)) {
                    same("attention", width, keys, *expected, *found);
                }
            }
            cases += 1;
        }
    }
    cases
}

/// GELU, and softmax's exponentials, of every 9973rd number in the order of their bits.
fn check_throughout() {
    const COUNT: usize = 8;
    let eight = |first: u32| {
        core::array::from_fn::<_, COUNT, _>(|i| f32::from_bits(first.saturating_add(9973 * i as u32)))
    };
    for first in (0..=u32::MAX).step_by(9973 * COUNT) {
        let (mut expected, mut found) = (eight(first), eight(first));
        Scalar.activate(Activation::Gelu, &mut expected);
        Native::default().activate(Activation::Gelu, &mut found);
        for ((x, expected), found) in eight(first).into_iter().zip(expected).zip(found) {
            same("gelu", COUNT, x.to_bits() as usize, expected, found);
        }
    }
    // The largest score is 0.
    for first in (0x8000_0000..=f32::NEG_INFINITY.to_bits()).step_by(9973 * COUNT) {
        let mut keys = [0.0; 16 * (COUNT + 1)];
        keys.iter_mut().skip(16).step_by(16).zip(eight(first)).for_each(|(key, x)| *key = x);
        let query = core::array::from_fn::<f32, 16, _>(|i| if i == 0 { 1.0 } else { 0.0 });
        let (mut expected, mut found, mut out) = ([0.0; COUNT + 1], [0.0; COUNT + 1], [0.0; 16]);
        Scalar.attend(&query, &keys, &keys, 16, 1.0, &mut expected, &mut out);
        Native::default().attend(&query, &keys, &keys, 16, 1.0, &mut found, &mut out);
        for (expected, found) in expected.into_iter().zip(found) {
            same("exponential", COUNT, first as usize, expected, found);
        }
    }
}

/// Any NaN is as good as another: the engine lets none out.
fn same(what: &str, width: usize, kind: usize, expected: f32, found: f32) {
    if expected.to_bits() != found.to_bits() && !(expected.is_nan() && found.is_nan()) {
        hprintln!("{} of {} numbers, {}: {:?}, expected {:?}", what, width, kind, found, expected);
        exit(false);
    }
}

fn exit(success: bool) -> ! {
    loop {
        debug::exit(if success { EXIT_SUCCESS } else { EXIT_FAILURE });
    }
}
