//! The profile encoder: one interaction at a time gives what the whole history gives at once, bit for bit.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;
mod reference;

use chord_plan::bundle::{BundleWriter, LayerView, Section};
use chord_plan::manifest::{Layer, LayerName, ProfileLayer, ProfileShape};
use chord_plan::{Bundle, Manifest, UserEmbedding};
use chord_runtime::kernels::{Linear, Scalar, Tokens, Tokenwise, scratch_words};
use chord_runtime::{Error, List, Profile, ProfileRequirements, Widths};
use proptest::prelude::*;
use random_model::Random;

fn manifest(random: &mut Random) -> Manifest {
    Manifest { profile: Some(random_model::small_profile(random)), ..random_model::manifest(random) }
}

fn arena(bundle: &Bundle<'_>) -> Vec<u8> {
    // What was there before does not matter.
    vec![0xa5; ProfileRequirements::of(bundle).unwrap().arena_bytes]
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(random_model::cases(400)))]

    #[test]
    fn step_by_step_is_from_scratch(seed: u64, length in 0usize..if cfg!(miri) { 9 } else { 25 }) {
        let mut random = Random(seed);
        let bytes = random_model::bundle(&manifest(&mut random), &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let history = random_model::items(length, &bundle, &mut random);
        let mut arena = arena(&bundle);
        let mut profile = Profile::new(bundle, &mut arena).unwrap();
        for again in [false, true] {
            for length in 0..=length {
                if length > 0 {
                    profile.append(history[length - 1]).unwrap();
                }
                let expected = reference::profile::embedding(&bundle, &history[..length]);
                // Asking for it changes nothing, at any time.
                if again || length % 3 == 0 {
                    prop_assert_eq!(bits(profile.embedding().unwrap()), bits(&expected));
                    let mut message = vec![0; ProfileRequirements::of(&bundle).unwrap().embedding_bytes];
                    let message = UserEmbedding::parse(profile.message(&mut message).unwrap()).unwrap();
                    message.check_against(&bundle).unwrap();
                    prop_assert_eq!(message.interactions() as usize, length);
                    let largest = expected.iter().fold(0.0f32, |max, x| max.max(x.abs()));
                    for (sent, x) in message.numbers().zip(&expected) {
                        prop_assert!((sent - x).abs() <= largest / 253.0, "{} {}", sent, x);
                    }
                }
            }
            profile.clear();
        }
    }
}

/// Uses all the scratch memory that a kernel may count on.
struct Scribble;

impl Tokenwise for Scribble {}

impl Linear for Scribble {
    fn layer(
        &self,
        t: Tokens<'_>,
        layer: &LayerView<'_>,
        w: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        scratch[..scratch_words(t.scales.len(), layer.layer().inputs)].fill(u32::MAX);
        Scalar.layer(t, layer, w, scratch, out);
    }

    fn packed_layer(&self, _: Tokens<'_>, _: &Layer, _: &[u32], _: &mut [u32], _: &mut [f32]) {
        unreachable!("the profile is read in place");
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
    fn the_arena_is_tight(
        sizes in (1u16..120, 1u16..50, 1u16..50),
        shift in 0usize..4,
        seed: u64,
    ) {
        let (pooled, features, hidden) = sizes;
        let mut random = Random(seed);
        let shape = ProfileShape { pooled, features, hidden, norm_epsilon: 1e-5 };
        let manifest = Manifest { profile: Some(shape), ..manifest(&mut random) };
        let bytes = random_model::bundle(&manifest, &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let history = random_model::items(usize::from(pooled) + 2, &bundle, &mut random);
        let needed = ProfileRequirements::of(&bundle).unwrap().arena_bytes;
        // Bytes before the first aligned one.
        let least = needed - 3 + (4 - shift) % 4;
        let mut last = Vec::new();
        let after = [0x00u8, 0xA5].map(|pattern| {
            let mut memory = vec![u32::from_ne_bytes([pattern; 4]); 16 + needed / 4 + 1];
            let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut memory);
            let (start, end) = (32 + shift, 32 + shift + least);
            let mut profile = Profile::with_kernel(bundle, &mut memory[start..end], Scribble).unwrap();
            history.iter().for_each(|&item| profile.append(item).unwrap());
            last.push(bits(profile.embedding().unwrap()));
            assert!(memory[..start].iter().chain(&memory[end..]).all(|&byte| byte == pattern));
            memory[start..end].to_vec()
        });
        prop_assert_eq!(&last[0], &last[1]);
        let unused = after[0].iter().zip(&after[1]).filter(|&(&a, &b)| a == 0x00 && b == 0xA5).count();
        prop_assert!(needed < 1024 || 50 * unused <= needed, "{} of {} bytes unused", unused, needed);
        let mut memory = vec![0u32; needed / 4 + 2];
        let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut memory);
        for less in [least - 1, least / 2, 1, 0] {
            let error = Profile::new(bundle, &mut memory[shift..][..less]).err();
            prop_assert_eq!(error, Some(Error::ArenaTooSmall { needed, given: less }));
        }
    }
}

#[test]
fn what_is_wrong_is_told_and_changes_nothing() {
    let mut random = Random(9);
    let manifest = manifest(&mut random);
    let bytes = random_model::bundle(&manifest, &mut random);
    let bundle = Bundle::parse(&bytes).unwrap();
    let items = manifest.items();
    let mut arena = arena(&bundle);
    let mut profile = Profile::new(bundle, &mut arena).unwrap();
    profile.append(0).unwrap();
    let before = bits(profile.embedding().unwrap());
    let unknown = Error::UnknownItem { list: List::History, index: 0, item: items, items };
    assert_eq!(profile.append(items), Err(unknown));
    let needed = ProfileRequirements::of(&bundle).unwrap().embedding_bytes;
    assert_eq!(profile.message(&mut []).err(), Some(Error::OutputTooSmall { needed, given: 0 }));
    assert_eq!((profile.interactions(), bits(profile.embedding().unwrap())), (1, before));

    let without = Manifest { profile: None, ..manifest };
    let bytes = random_model::bundle(&without, &mut random);
    let bundle = Bundle::parse(&bytes).unwrap();
    assert_eq!(ProfileRequirements::of(&bundle), None);
    assert_eq!(Profile::new(bundle, &mut [0; 4000]).err(), Some(Error::NoProfile));
}

/// A model of ones, but for the biases of one layer.
fn with_biases(manifest: &Manifest, name: LayerName, bias: f32) -> Vec<u8> {
    let mut bytes = vec![0; manifest.bundle_len().unwrap()];
    let mut writer = BundleWriter::new(manifest, &mut bytes).unwrap();
    for (section, len) in random_model::section_lengths(manifest) {
        if section.holds_codes() {
            writer.codes(section, &vec![127; len]).unwrap();
        } else {
            let huge = section == Section::Layer(name, chord_plan::bundle::LayerPart::Biases);
            writer.floats(section, &vec![if huge { bias } else { 1.0 }; len]).unwrap();
        }
    }
    writer.finish().unwrap();
    bytes
}

#[test]
fn an_overflow_is_an_error() {
    let manifest = manifest(&mut Random(3));
    let append = |kind, bias| {
        let bytes = with_biases(&manifest, LayerName::Profile(kind), bias);
        let bundle = Bundle::parse(&bytes).unwrap();
        let mut arena = arena(&bundle);
        let mut profile = Profile::new(bundle, &mut arena).unwrap();
        let appended = profile.append(0);
        (appended, profile.interactions(), profile.embedding().map(|_| ()))
    };
    let refused = (Err(Error::ProfileOverflow { item: 0 }), 0);
    for bias in [1_048_576.0, -f32::MAX] {
        let (appended, interactions, embedding) = append(ProfileLayer::Input, bias);
        assert_eq!(((appended, interactions), embedding), (refused, Ok(())));
    }
    // Infinities of both signs meet in the candidate, or not.
    assert_eq!(append(ProfileLayer::InputGates, f32::MAX), (Ok(()), 1, Ok(())));
    let overflow = Err(Error::EmbeddingNotFinite);
    assert_eq!(append(ProfileLayer::Pooled, f32::MAX), (Ok(()), 1, overflow));
}

proptest! {
    /// A warm start takes a bundle's numbers on trust: whatever they are, there is a result or an error.
    #[test]
    fn damaged_models_never_panic(
        seed: u64,
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..60),
        history in proptest::collection::vec(0u32..30, 0..12),
    ) {
        let mut random = Random(seed);
        let mut bytes = random_model::bundle(&manifest(&mut random), &mut random);
        for (place, byte) in damage {
            // Behind header and manifest.
            let place = 88 + place % (bytes.len() - 88);
            bytes[place] = byte;
        }
        if let Ok(bundle) = Bundle::parse_trusted(&bytes) {
            let mut arena = arena(&bundle);
            let mut profile = Profile::new(bundle, &mut arena).unwrap();
            for item in history {
                let before = profile.embedding().map(bits);
                if profile.append(item).is_err() {
                    prop_assert_eq!(profile.embedding().map(bits), before);
                }
            }
        }
    }
}
