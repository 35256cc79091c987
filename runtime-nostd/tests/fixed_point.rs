//! The fixed-point arithmetic (docs/fixed-point.md): close to the floating-point one, the same however it is run, safe
//! with any numbers.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;
mod reference;

use std::fs;
use std::path::PathBuf;

use chord_plan::bundle::{BundleWriter, LayerPart, Norm, NormPart, Section};
use chord_plan::manifest::{
    Activation, Architecture, CaserShape, LayerName, ProfileLayer, ProfileShape, SasRecShape,
};
use chord_plan::{Bundle, ItemRows, Manifest, Plan};
use chord_runtime::{
    Arithmetic, Embeddings, Engine, Error, Holding, Options, Profile, ProfileRequirements, Ranked,
    Requirements, Session,
};
use proptest::prelude::*;
use random_model::Random;

fn fixed() -> Options {
    Options { arithmetic: Arithmetic::Fixed, ..Options::default() }
}

fn all(bundle: &Bundle<'_>) -> Vec<u32> {
    (0..bundle.manifest().items()).collect()
}

/// Logits of all items.
fn try_logits(bundle: Bundle<'_>, plan: &[u8], history: &[u32], options: Options) -> Result<Vec<f32>, Error> {
    let mut arena = vec![0xa5; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, &Plan::parse(plan).unwrap(), &mut arena, options)?;
    let all = all(&bundle);
    let mut logits = vec![0.0; all.len()];
    Ok(engine.score(history, &all, &mut logits)?.to_vec())
}

fn logits(bundle: Bundle<'_>, plan: &[u8], history: &[u32], options: Options) -> Vec<f32> {
    try_logits(bundle, plan, history, options).unwrap()
}

const SHAPE: SasRecShape = SasRecShape {
    items: 300,
    positions: 50,
    dim: 64,
    inner: 64,
    blocks: 2,
    heads: 2,
    activation: Activation::Gelu,
    norm_epsilon: 1e-5,
};

const CASER: CaserShape = CaserShape { items: 300, window: 5, dim: 64, horizontal: 16, vertical: 4 };

/// A SASRec manifest and a Caser manifest, of two sizes each.
fn either(seed: u64, random: &mut Random) -> [Manifest; 2] {
    let activation = [Activation::Gelu, Activation::Relu][random.below(2)];
    let (sasrec, caser) = match seed % 3 {
        0 => (
            SasRecShape { dim: 45, inner: 37, heads: 3, blocks: 1, activation, ..SHAPE },
            CaserShape { window: 9, dim: 45, horizontal: 5, vertical: 2, ..CASER },
        ),
        _ => (SasRecShape { activation, ..SHAPE }, CASER),
    };
    let palette = [0, 2, 4, 8];
    [random_model::sasrec(sasrec, palette), random_model::caser(caser, palette)]
}

/// A bundle with weights of a size that trained ones have: random ones of full range make a softmax that takes one item.
fn modest(manifest: &Manifest, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; manifest.bundle_len().unwrap()];
    let mut writer = BundleWriter::new(manifest, &mut bytes).unwrap();
    for (section, len) in random_model::section_lengths(manifest) {
        let mut numbers = |centre: f32, spread: f32| -> Vec<f32> {
            (0..len).map(|_| centre + spread * random.signed()).collect()
        };
        let numbers = match section {
            Section::ItemCodes | Section::Layer(_, LayerPart::Codes) => {
                let codes: Vec<i8> = (0..len).map(|_| random.bits() as i8).collect();
                writer.codes(section, &codes).unwrap();
                continue;
            }
            Section::Layer(_, LayerPart::Ranges) => numbers(0.2, 0.05),
            Section::Norm(_, NormPart::Gamma) => numbers(1.0, 0.3),
            Section::ItemRanges => numbers(0.3, 0.1),
            _ => numbers(0.0, 0.1),
        };
        writer.floats(section, &numbers).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

/// A bundle with numbers at the ends of what it may hold.
fn extreme(manifest: &Manifest, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; manifest.bundle_len().unwrap()];
    let mut writer = BundleWriter::new(manifest, &mut bytes).unwrap();
    for (section, len) in random_model::section_lengths(manifest) {
        // One kind of number for the section, or all in turn.
        let kind = random.below(7);
        let mut pick = |n: usize| if kind < n { kind } else { random.below(n) };
        if section.holds_codes() {
            let codes: Vec<i8> = (0..len).map(|i| [-128, 127, [-128, 127][i % 2], 0][pick(4)]).collect();
            writer.codes(section, &codes).unwrap();
            continue;
        }
        let numbers = match section {
            Section::ItemRanges | Section::Layer(_, LayerPart::Ranges) => {
                // Exactly, which Miri's powi is not.
                let end = (1u128 << 64) as f32;
                [1.0 / end, end, 1.0, 1.999_999_9, 1e-9]
            }
            _ => [0.0, f32::MAX, -f32::MAX, f32::MIN_POSITIVE / 8.0, 1.0],
        };
        writer.floats(section, &(0..len).map(|_| numbers[pick(5)]).collect::<Vec<f32>>()).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

/// Differences of two rankings of the same items.
#[derive(Debug, Default)]
struct Distance {
    /// Mean and largest difference of logits, in standard deviations of the logits.
    mean: f64,
    largest: f64,
    /// Items among the best ten of both.
    overlap: usize,
}

impl Distance {
    fn of(a: &[f64], b: &[f64]) -> Self {
        let n = a.len() as f64;
        let mean = a.iter().sum::<f64>() / n;
        let deviation = (a.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        let best = |x: &[f64]| {
            let mut order: Vec<usize> = (0..x.len()).collect();
            order.sort_by(|&a, &b| x[b].total_cmp(&x[a]));
            order.truncate(10);
            order
        };
        let (best_a, best_b) = (best(a), best(b));
        let differences = || a.iter().zip(b).map(|(a, b)| (a - b).abs() / deviation);
        Self {
            mean: differences().sum::<f64>() / n,
            largest: differences().fold(0.0, f64::max),
            overlap: best_a.iter().filter(|item| best_b.contains(item)).count(),
        }
    }
}

/// Of many models the mean difference, the largest, and the mean and least overlap.
type Figures = (f64, f64, f64, usize);

fn summary(name: &str, distances: &[Distance]) -> Figures {
    let n = distances.len() as f64;
    let mean = distances.iter().map(|d| d.mean).sum::<f64>() / n;
    let largest = distances.iter().map(|d| d.largest).fold(0.0, f64::max);
    let overlap = distances.iter().map(|d| d.overlap as f64).sum::<f64>() / n;
    let least = distances.iter().map(|d| d.overlap).min().unwrap();
    println!("{name}: mean {mean:.4} largest {largest:.4} overlap {overlap:.2} least {least}");
    (mean, largest, overlap, least)
}

/// Over 60 models of each network fixed point is as far from the exact network as floating point, within a fifth: both round
/// activations to 8 bits, fixed point keys and values too. Beside each other they are as far as two such roundings are.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn rankings_are_close_to_those_in_floating_point() {
    // Random weights of full range, and such that many items share the attention.
    type Make = fn(&Manifest, &mut Random) -> Vec<u8>;
    let cases: [(&str, usize, Make, Figures); 4] = [
        ("SASRec, full range", 0, random_model::bundle, (0.03, 0.4, 9.5, 8)),
        ("SASRec, modest", 0, modest, (0.02, 0.12, 9.5, 8)),
        ("Caser, full range", 1, random_model::bundle, (0.01, 0.12, 9.5, 9)),
        ("Caser, modest", 1, modest, (0.01, 0.08, 9.5, 9)),
    ];
    for (name, network, make, (mean, largest, overlap, least)) in cases {
        let (mut apart, mut of_float, mut of_fixed) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..30 {
            let mut random = Random(seed);
            let manifest = &either(seed, &mut random)[network];
            let bytes = make(manifest, &mut random);
            let bundle = Bundle::parse(&bytes).unwrap();
            let plan = random_model::three_bit_plan(&bundle, &mut random);
            let length = 1 + random.below(manifest.window());
            let history = random_model::items(length, &bundle, &mut random);
            let [float, fixed] = [Options::default(), fixed()].map(|options| -> Vec<f64> {
                logits(bundle, &plan, &history, options).into_iter().map(f64::from).collect()
            });
            let ideal = reference::ideal::logits(&bundle, &Plan::parse(&plan).unwrap(), &history);
            apart.push(Distance::of(&float, &fixed));
            of_float.push(Distance::of(&ideal, &float));
            of_fixed.push(Distance::of(&ideal, &fixed));
        }
        let apart = summary(&format!("{name}, fixed from float"), &apart);
        let of_float = summary(&format!("{name}, float from exact"), &of_float);
        let of_fixed = summary(&format!("{name}, fixed from exact"), &of_fixed);
        assert!(apart.0 < mean && apart.1 < largest, "{name}");
        assert!(apart.2 > overlap && apart.3 >= least, "{name}");
        assert!(5.0 * of_fixed.0 < 6.0 * of_float.0, "{name}");
    }
}

/// A user embedding after a history.
fn embedding(bundle: Bundle<'_>, history: &[u32], arithmetic: Arithmetic) -> Result<Vec<f32>, Error> {
    let mut arena = vec![0xa5; ProfileRequirements::of(&bundle).unwrap().arena_bytes];
    let mut profile = Profile::with_arithmetic(bundle, &mut arena, arithmetic)?;
    history.iter().try_for_each(|&item| profile.append(item))?;
    Ok(profile.embedding()?.to_vec())
}

const PROFILE: ProfileShape = ProfileShape { pooled: 50, features: 64, hidden: 64, norm_epsilon: 1e-5 };

/// As with rankings, of the user embedding after histories that the sum does not hold and ones that it does.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn user_embeddings_are_close_to_those_in_floating_point() {
    type Make = fn(&Manifest, &mut Random) -> Vec<u8>;
    let cases: [(&str, Make, f64); 2] =
        [("full range", random_model::bundle, 0.004), ("modest", modest, 0.003)];
    for (name, make, mean) in cases {
        let (mut apart, mut of_float, mut of_fixed) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..30 {
            let mut random = Random(seed);
            let profile = match seed % 3 {
                0 => ProfileShape { pooled: 7, features: 32, hidden: 45, ..PROFILE },
                _ => PROFILE,
            };
            let manifest = Manifest { profile: Some(profile), ..random_model::caser(CASER, [0, 2, 4, 8]) };
            let bytes = make(&manifest, &mut random);
            let bundle = Bundle::parse(&bytes).unwrap();
            let length = 1 + random.below(60);
            let history = random_model::items(length, &bundle, &mut random);
            let [float, fixed] = [Arithmetic::Float, Arithmetic::Fixed].map(|arithmetic| -> Vec<f64> {
                let embedding = embedding(bundle, &history, arithmetic).unwrap();
                embedding.into_iter().map(f64::from).collect()
            });
            let ideal = reference::ideal::embedding(&bundle, &history);
            apart.push(Distance::of(&float, &fixed));
            of_float.push(Distance::of(&ideal, &float));
            of_fixed.push(Distance::of(&ideal, &fixed));
        }
        let apart = summary(&format!("embedding, {name}, fixed from float"), &apart);
        let of_float = summary(&format!("embedding, {name}, float from exact"), &of_float);
        let of_fixed = summary(&format!("embedding, {name}, fixed from exact"), &of_fixed);
        assert!(apart.0 < mean, "{name}");
        assert!(5.0 * of_fixed.0 < 6.0 * of_float.0, "{name}");
    }
}

/// This package's folder, as cargo names it when it runs this program: a kept build folder may hold one that was built in
/// another clone.
fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

fn committed(folder: &str, name: &str) -> Vec<u8> {
    fs::read(package().join("..").join(folder).join(name)).unwrap()
}

fn rows(text: &[u8]) -> Vec<u32> {
    String::from_utf8_lossy(text).lines().map(|line| line.parse().unwrap()).collect()
}

/// The rankings of `benches/no-fpu`, which QEMU compares too: its model, and the committed request of the example
/// firmware. `CHORD_BLESS=1` writes them anew; that is a new arithmetic.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn golden_rankings() {
    let palette = [0, 2, 4, 8];
    let caser = random_model::caser(CaserShape { items: 200, ..CASER }, palette);
    let manifests = [
        random_model::sasrec(SasRecShape { items: 200, ..SHAPE }, palette),
        Manifest { profile: Some(PROFILE), ..caser },
    ];
    let mut cases: Vec<_> = (manifests.iter())
        .map(|manifest| {
            let mut random = Random(1);
            let model = random_model::bundle(manifest, &mut random);
            let plan = random_model::plan(&Bundle::parse(&model).unwrap(), 1, &mut random);
            (model, plan, (0..50).map(|i| 7 * i % 200).collect(), (0..100).map(|i| 2 * i).collect())
        })
        .collect();
    let request = |name| committed("firmware-example/request", name);
    cases.push((
        request("model.chord"),
        request("user.plan"),
        rows(&request("history.txt")),
        rows(&request("candidates.txt")),
    ));
    let mut text = String::new();
    for (model, plan, history, candidates) in &cases {
        let bundle = Bundle::parse(model).unwrap();
        let mut arena = vec![0; Requirements::of(&bundle, &fixed()).arena_bytes];
        let mut engine = Engine::new(bundle, &Plan::parse(plan).unwrap(), &mut arena, fixed()).unwrap();
        let best = engine.top_items::<10>(&history[..], &candidates[..]).unwrap();
        for Ranked { item, logit } in best {
            text += &format!("rank {item} {:08x}\n", logit.to_bits());
        }
        let [float, fixed] = [Options::default(), fixed()].map(|options| -> Vec<f64> {
            logits(bundle, plan, history, options).into_iter().map(f64::from).collect()
        });
        let distance = Distance::of(&float, &fixed);
        println!("{distance:?}");
        assert!(distance.mean < 0.05 && distance.largest < 0.3 && distance.overlap >= 8, "{distance:?}");
    }
    let bundle = Bundle::parse(&cases[1].0).unwrap();
    let history: Vec<u32> = (0..60).collect();
    for (number, x) in embedding(bundle, &history, Arithmetic::Fixed).unwrap().iter().take(10).enumerate() {
        text += &format!("embedding {number} {:08x}\n", x.to_bits());
    }
    let path = package().join("tests/snapshots/fixed_point.txt");
    if std::env::var_os("CHORD_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap());
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(random_model::cases(300)))]

    /// Neither the rows that go together nor what a session keeps change a bit; a shorter window is a shorter history.
    #[test]
    fn the_way_of_running_does_not_matter(
        seed: u64,
        rows_at_once in 1usize..9,
        max_history in 1usize..7,
        rows: bool,
    ) {
        let mut random = Random(seed);
        let manifest = random_model::manifest(&mut random);
        let bytes = random_model::with_and_without_items(&manifest, &mut random);
        let [bundle, without] = bytes.each_ref().map(|bytes| Bundle::parse(bytes).unwrap());
        // The session's own: with rows that come with requests, or with the same table.
        let own = if rows { without } else { bundle };
        let message = |items: &[u32]| random_model::rows(&bundle, items, own.model());
        let plans = |sequence, seed| {
            [own, bundle].map(|bundle| random_model::plan(&bundle, sequence, &mut Random(seed)))
        };
        let [own_plan, mut plan] = plans(1, random.bits());
        let options = Options { rows_at_once, max_history, ..fixed() };
        let (mut arena, mut kept) = (
            vec![0xa5; Requirements::of(&own, &options).arena_bytes],
            vec![0xa5; Session::arena_bytes(&own, &options)],
        );
        let engine = Engine::new(own, &Plan::parse(&own_plan).unwrap(), &mut arena, options).unwrap();
        let mut session = Session::new(engine, &mut kept).unwrap();
        let (all, mut history) = (all(&bundle), Vec::new());
        let sent = message(&all);
        let sent = Embeddings::from(ItemRows::parse(&sent).unwrap());
        for sequence in 2..12 {
            if random.below(6) == 0 {
                let [own_plan, new] = plans(sequence, random.bits());
                session.apply(&Plan::parse(&own_plan).unwrap()).unwrap();
                plan = new;
            }
            let item = random_model::items(1, &bundle, &mut random)[0];
            history.push(item);
            match rows {
                true => session.append_items(ItemRows::parse(&message(&[item])).unwrap().into()).unwrap(),
                false => session.append(item).unwrap(),
            }
            if random.below(3) == 0 {
                continue;
            }
            let mut ours = vec![0.0; all.len()];
            let ours = if rows { session.score(sent, &mut ours) } else { session.score(&all[..], &mut ours) };
            let ours = ours.unwrap();
            let window = manifest.window().min(max_history);
            let newest = &history[history.len().saturating_sub(window)..];
            prop_assert_eq!(bits(ours), bits(&logits(bundle, &plan, newest, fixed())));
        }
    }
}

proptest! {
    // They take microseconds, and what rounds otherwise in rare cases shows in few of them.
    #![proptest_config(ProptestConfig::with_cases(random_model::cases(5000)))]

    /// Rankings are those of the contract, bit for bit.
    #[test]
    fn networks_are_as_written_down(seed: u64, length in 1usize..7, is_extreme: bool) {
        let mut random = Random(seed);
        let manifest = random_model::manifest(&mut random);
        let bytes = match is_extreme {
            true => extreme(&manifest, &mut random),
            false => random_model::bundle(&manifest, &mut random),
        };
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut random);
        let history = random_model::items(length.min(manifest.window()), &bundle, &mut random);
        let parsed = Plan::parse(&plan).unwrap();
        let expected = match manifest.architecture {
            Architecture::SasRec(_) => reference::fixed_sasrec::logits(&bundle, &parsed, &history),
            Architecture::Caser(_) => reference::fixed::caser_logits(&bundle, &parsed, &history),
        };
        match try_logits(bundle, &plan, &history, fixed()) {
            Ok(logits) => prop_assert_eq!(bits(&logits), bits(&expected)),
            Err(error) => prop_assert!(expected.iter().any(|logit| !logit.is_finite()), "{error}"),
        }
    }

    /// So are the profile encoder's.
    #[test]
    fn user_embeddings_are_as_written_down(seed: u64, length in 0usize..20) {
        let mut random = Random(seed);
        let profile = Some(random_model::small_profile(&mut random));
        let manifest = Manifest { profile, ..random_model::manifest(&mut random) };
        let bytes = random_model::bundle(&manifest, &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let history = random_model::items(length, &bundle, &mut random);
        let ours = embedding(bundle, &history, Arithmetic::Fixed).unwrap();
        prop_assert_eq!(bits(&ours), bits(&reference::fixed::embedding(&bundle, &history)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(random_model::cases(300)))]

    /// Whatever the numbers of a bundle, nothing overflows (the tests' profile checks sums and shifts) and nothing that
    /// is not finite comes out.
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn extreme_numbers_do_not_overflow(seed: u64, length in 1usize..8) {
        let mut random = Random(seed);
        let dim = [4, 24, 130, 300][random.below(4)];
        let sasrec = SasRecShape {
            items: 3,
            positions: 7,
            dim,
            inner: [1, 7, 300, 1000][random.below(4)],
            blocks: 1 + random.below(3) as u8,
            heads: 1 + random.below(2) as u8,
            activation: [Activation::Gelu, Activation::Relu][random.below(2)],
            norm_epsilon: [1e-5, f32::MIN_POSITIVE / 4.0, f32::MAX][random.below(3)],
        };
        let window = [1, 4, 7, 20][random.below(4)];
        let caser = CaserShape { items: 3, window, dim, horizontal: 2, vertical: 1 + random.below(3) as u16 };
        let palette = [[0, 2, 4, 8], [8, 255, 255, 255], [2, 4, 8, 255]][random.below(3)];
        let network = match random.below(2) {
            0 => random_model::sasrec(sasrec, palette),
            _ => random_model::caser(caser, palette),
        };
        let profile = ProfileShape { pooled: 3, features: dim, hidden: [4, 130][random.below(2)], norm_epsilon: 1e-5 };
        let manifest = Manifest { profile: Some(profile), ..network };
        let bytes = extreme(&manifest, &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut random);
        let history = random_model::items(length, &bundle, &mut random);
        match try_logits(bundle, &plan, &history, fixed()) {
            Ok(logits) => prop_assert!(logits.iter().all(|logit| logit.is_finite())),
            Err(error) => prop_assert!(matches!(error, Error::NotFinite { .. }), "{error}"),
        }
        match embedding(bundle, &history, Arithmetic::Fixed) {
            Ok(embedding) => prop_assert!(embedding.iter().all(|x| x.is_finite())),
            Err(error) => prop_assert!(
                matches!(error, Error::ProfileOverflow { .. } | Error::EmbeddingNotFinite),
                "{error}"
            ),
        }
    }

    /// A warm start takes a bundle's numbers on trust: whatever they are, there is a result or an error.
    #[test]
    fn damaged_models_never_panic(
        seed: u64,
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..40),
        length in 1usize..8,
    ) {
        let mut random = Random(seed);
        let manifest = random_model::manifest(&mut random);
        let mut bytes = random_model::bundle(&manifest, &mut random);
        let plan = random_model::plan(&Bundle::parse(&bytes).unwrap(), 1, &mut random);
        let history = random_model::items(length, &Bundle::parse(&bytes).unwrap(), &mut random);
        for (place, byte) in damage {
            // Behind header and manifest.
            let place = 80 + place % (bytes.len() - 80);
            bytes[place] = byte;
        }
        if let Ok(bundle) = Bundle::parse_trusted(&bytes) {
            for logit in try_logits(bundle, &plan, &history, fixed()).into_iter().flatten() {
                prop_assert!(logit.is_finite());
            }
            if manifest.profile.is_some() {
                for x in embedding(bundle, &history, Arithmetic::Fixed).into_iter().flatten() {
                    prop_assert!(x.is_finite());
                }
            }
        }
    }

    /// Bytes that keep two different patterns were not used: at most 2% of an arena of a KiB or more.
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn the_arena_is_exact_and_tight(
        sizes in (8u16..40, 4u16..16, 8u16..80, 1u8..4, 1u8..5),
        is_caser: bool,
        rows_at_once in 1usize..9,
        seed: u64,
    ) {
        let (positions, head, inner, blocks, heads) = sizes;
        let dim = head * u16::from(heads);
        let mut random = Random(seed);
        let sasrec = SasRecShape { items: 20, positions, dim, inner, blocks, heads, ..SHAPE };
        let caser = CaserShape { items: 20, window: positions / 2, dim, horizontal: inner / 8, vertical: heads.into() };
        let palette = [0, 2, 4, 8];
        let manifest =
            if is_caser { random_model::caser(caser, palette) } else { random_model::sasrec(sasrec, palette) };
        let bytes = random_model::bundle(&manifest, &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut random);
        let plan = Plan::parse(&plan).unwrap();
        let history = random_model::items(positions.into(), &bundle, &mut random);
        let options = Options { rows_at_once, ..fixed() };
        let needed = Requirements::of(&bundle, &options).arena_bytes;
        let float = Options { rows_at_once, ..Options::default() };
        let float = Requirements::of(&bundle, &float).arena_bytes;
        prop_assert!(needed < float);
        for shift in 0..4 {
            let mut words = vec![0u32; needed / 4 + 10];
            let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
            let least = needed - 3 + (4 - shift) % 4;
            let refused = Engine::new(bundle, &plan, &mut memory[shift..][..least - 1], options).unwrap_err();
            prop_assert_eq!(refused, Error::ArenaTooSmall { needed, given: least - 1 });
            let after = [0x00, 0xa5].map(|pattern| {
                memory.fill(pattern);
                let mut engine = Engine::new(bundle, &plan, &mut memory[shift..][..least], options).unwrap();
                engine.rank(&history, &[3], &mut [Ranked::default()]).unwrap();
                let outside = memory[..shift].iter().chain(&memory[shift + least..]);
                assert!(outside.into_iter().all(|&byte| byte == pattern));
                memory[shift..][..least].to_vec()
            });
            let unused = after[0].iter().zip(&after[1]).filter(|&(&a, &b)| a == 0x00 && b == 0xa5).count();
            prop_assert!(needed < 1024 || 50 * unused <= needed, "{unused} of {needed} bytes unused");
        }
    }
}

/// Filters over so many rows that their products take more than 30 bits: some sum is the largest there is, of either sign.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn the_largest_filters_do_not_overflow() {
    let shape = CaserShape { items: 3, window: 100, dim: 350, horizontal: 1, vertical: 1 };
    let manifest = random_model::caser(shape, [8, 255, 255, 255]);
    for [items, filters, dense] in [[127, 127, 127], [-128, -128, 127], [-128, 127, -128]] {
        let mut bytes = vec![0; manifest.bundle_len().unwrap()];
        let mut writer = BundleWriter::new(&manifest, &mut bytes).unwrap();
        for (section, len) in random_model::section_lengths(&manifest) {
            match section {
                Section::ItemCodes => writer.codes(section, &vec![items; len]),
                Section::Layer(LayerName::Dense, LayerPart::Codes) => {
                    writer.codes(section, &vec![dense; len])
                }
                _ if section.holds_codes() => writer.codes(section, &vec![filters; len]),
                Section::ItemRanges | Section::Layer(_, LayerPart::Ranges) => {
                    writer.floats(section, &vec![1.999_999_9; len])
                }
                _ => writer.floats(section, &vec![0.0; len]),
            }
            .unwrap();
        }
        writer.finish().unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut Random(4));
        let [float, fixed] =
            [Options::default(), fixed()].map(|options| logits(bundle, &plan, &[1; 100], options)[0]);
        assert!((fixed / float - 1.0).abs() < 0.01, "{filters}: {fixed}, {float}");
    }
}

/// A number that is not finite reaches the logits from wherever it is, as an error.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn what_is_not_finite_is_an_error() {
    let palette = [8, 255, 255, 255];
    for (manifest, least) in [
        (random_model::sasrec(SasRecShape { items: 4, dim: 8, ..SHAPE }, palette), 60),
        (
            Manifest {
                profile: Some(PROFILE),
                ..random_model::caser(CaserShape { items: 4, dim: 8, ..CASER }, palette)
            },
            70,
        ),
    ] {
        let original = random_model::bundle(&manifest, &mut Random(3));
        let plan = random_model::plan(&Bundle::parse(&original).unwrap(), 1, &mut Random(4));
        let history: Vec<u32> = (0..50).map(|i| i % 4).collect();
        let mut sections = 0;
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (section, _) in random_model::section_lengths(&manifest) {
                if section.holds_codes() {
                    continue;
                }
                // The same model with one number changed: where its bytes differ is where the number lies.
                let with = |place: usize| {
                    let mut bytes = original.clone();
                    bytes[place..place + 4].copy_from_slice(&bad.to_le_bytes());
                    bytes
                };
                let is_place = |&place: &usize| matches!(Bundle::parse_trusted(&with(place)), Ok(bundle) if is_bad(&bundle, section));
                let place = (80..original.len() - 4).find(is_place).unwrap();
                let bytes = with(place);
                let bundle = Bundle::parse_trusted(&bytes).unwrap();
                let error = match section {
                    Section::Norm(Norm::Profile, _) | Section::Layer(LayerName::Profile(_), _) => {
                        embedding(bundle, &history, Arithmetic::Fixed).unwrap_err()
                    }
                    _ => try_logits(bundle, &plan, &history, fixed()).unwrap_err(),
                };
                let is_told = match section {
                    Section::Norm(Norm::Profile, _)
                    | Section::Layer(LayerName::Profile(ProfileLayer::Pooled), _) => {
                        error == Error::EmbeddingNotFinite
                    }
                    Section::Layer(LayerName::Profile(_), _) => error == Error::ProfileOverflow { item: 0 },
                    _ => matches!(error, Error::NotFinite { .. }),
                };
                assert!(is_told, "{section}: {error}");
                sections += 1;
            }
        }
        assert!(sections >= least, "{sections}");
    }
}

/// Whether the first number of a section is not finite.
fn is_bad(bundle: &Bundle<'_>, section: Section) -> bool {
    let first = match section {
        Section::ItemRanges => bundle.item_range(0),
        Section::Positions => bundle.position(0).get(0).unwrap(),
        Section::Norm(norm, part) => {
            let (gamma, beta) = bundle.norm(norm);
            if part == NormPart::Gamma { gamma } else { beta }.get(0).unwrap()
        }
        Section::Layer(LayerName::Profile(kind), part) => {
            let layer = bundle.profile_layer(kind);
            if part == LayerPart::Ranges { layer.range(0, 8) } else { layer.bias(0, 8) }
        }
        Section::Layer(name, part) => {
            let layer = bundle.layer(bundle.manifest().layer_index(name).unwrap());
            if part == LayerPart::Ranges { layer.range(0, 8) } else { layer.bias(0, 8) }
        }
        Section::ItemCodes => unreachable!("it holds codes"),
    };
    !first.is_finite()
}

#[test]
fn a_history_of_equal_rows_of_zero_ranks() {
    // Positions and betas of 0, and one row whatever the item: differences from the mean of 0 wherever gamma is.
    let manifest = random_model::sasrec(SasRecShape { items: 4, dim: 8, ..SHAPE }, [0, 255, 255, 255]);
    let mut bytes = vec![0; manifest.bundle_len().unwrap()];
    let mut writer = BundleWriter::new(&manifest, &mut bytes).unwrap();
    for (section, len) in random_model::section_lengths(&manifest) {
        match section {
            Section::ItemRanges | Section::Layer(_, LayerPart::Ranges) => {
                writer.floats(section, &vec![1.0; len])
            }
            Section::Norm(Norm::Final, NormPart::Beta) => writer.floats(section, &vec![0.5; len]),
            _ if section.holds_codes() => writer.codes(section, &vec![3; len]),
            _ => writer.floats(section, &vec![0.0; len]),
        }
        .unwrap();
    }
    writer.finish().unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let plan = random_model::plan(&bundle, 1, &mut Random(4));
    // What is left is the last beta: 8 inputs of 0.5 times a level of 7 of 256.
    for logit in logits(bundle, &plan, &[0, 1, 2], fixed()) {
        assert!((logit / (8.0 * 0.5 * 7.0 / 256.0) - 1.0).abs() < 1e-4, "{logit}");
    }
}

/// The figures of docs/fixed-point.md.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn the_arena_is_the_smaller_one() {
    let palette = [0, 2, 4, 8];
    for (manifest, expected) in [
        (random_model::sasrec(SHAPE, palette), [15_951, 42_315]),
        (random_model::caser(CASER, palette), [1_848, 6_196]),
    ] {
        let bytes = random_model::bundle(&manifest, &mut Random(1));
        let bundle = Bundle::parse(&bytes).unwrap();
        let arena = |options| Requirements::of(&bundle, &options).arena_bytes;
        assert_eq!([fixed(), Options::default()].map(arena), expected);
    }
}

#[test]
fn packed_plans_are_refused() {
    let mut random = Random(2);
    for manifest in [random_model::small_sasrec(&mut random), random_model::small_caser(&mut random)] {
        let bytes = random_model::bundle(&manifest, &mut Random(3));
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut Random(4));
        let options = Options { holding: Holding::Packed, ..fixed() };
        let refused = try_logits(bundle, &plan, &[1], options).unwrap_err();
        assert_eq!(refused, Error::PackedInFixedPoint);
    }
}
