//! Damaged and arbitrary bytes: errors, never panics; what is written reads back.

mod random_model;

use chord_plan::bundle::{BundleError, LayerPart, Norm, NormPart, Section, WriteError};
use chord_plan::embedding::{self, EmbeddingError};
use chord_plan::manifest::{
    Architecture, LayerKind, LayerName, ManifestError, PositionsFrom, ProfileLayer, ProfileShape,
};
use chord_plan::plan::{EncodeError, PlanError, PlanHeader};
use chord_plan::rows::{self, RowsError};
use chord_plan::{Bundle, BundleWriter, ItemRows, Manifest, Palette, Plan, UserEmbedding, plan};
use proptest::collection::vec;
use proptest::prelude::*;
use random_model::Random;

fn model(seed: u64) -> (Manifest, Vec<u8>) {
    let mut random = Random(seed);
    let manifest = random_model::manifest(&mut random);
    let bytes = random_model::bundle(&manifest, &mut random);
    (manifest, bytes)
}

fn sasrec_model(seed: u64) -> (Manifest, Vec<u8>) {
    let mut random = Random(seed);
    let manifest = random_model::small_sasrec(&mut random);
    let bytes = random_model::bundle(&manifest, &mut random);
    (manifest, bytes)
}

fn caser_model(seed: u64) -> (Manifest, Vec<u8>) {
    let mut random = Random(seed);
    let manifest = random_model::small_caser(&mut random);
    let bytes = random_model::bundle(&manifest, &mut random);
    (manifest, bytes)
}

/// Makes the fingerprint fit the rest again.
fn reseal(bytes: &mut [u8]) {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(&bytes[..16]).chain_update(&bytes[48..]).finalize();
    bytes[16..48].copy_from_slice(&digest);
}

/// Reads everything that a bundle gives access to.
fn touch(bundle: &Bundle<'_>) -> usize {
    let manifest = bundle.manifest();
    let items = (0..manifest.items() as usize).map(|i| {
        std::hint::black_box(bundle.item_range(i));
        bundle.item_codes(i).len()
    });
    let layers = (0..manifest.layer_count()).map(|i| {
        let view = bundle.layer(i);
        (0..view.layer().outputs)
            .map(|c| {
                for &bits in manifest.palette.widths() {
                    std::hint::black_box((bits == 0 || view.range(c, bits) > 0.0, view.bias(c, bits)));
                }
                view.codes(c).len()
            })
            .sum::<usize>()
    });
    let profile = ProfileLayer::ALL.map(|kind| {
        let view = bundle.profile_layer(kind);
        assert_eq!(view.codes(view.layer().outputs), []);
        std::hint::black_box((view.range(0, 8), view.bias(0, 8)));
        view.all_codes().len()
    });
    let profile = profile.iter().sum::<usize>() + bundle.norm(Norm::Profile).0.len();
    let shared = items.sum::<usize>() + layers.sum::<usize>() + profile;
    let Architecture::SasRec(shape) = manifest.architecture else { return shared };
    let positions = (0..shape.positions.into()).map(|p| bundle.position(p).iter().count());
    let norms = (0..shape.blocks)
        .flat_map(|b| [Norm::Attention(b), Norm::FeedForward(b)])
        .chain([Norm::Final])
        .map(|norm| bundle.norm(norm).0.len() + bundle.norm(norm).1.len());
    shared + positions.sum::<usize>() + norms.sum::<usize>()
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Bundle::parse(&bytes);
        let _ = Plan::parse(&bytes);
        let _ = UserEmbedding::parse(&bytes);
        let _ = ItemRows::parse(&bytes);
    }

    /// Past the checks that arbitrary bytes fail at once: a good start, a damaged middle, a fitting length.
    #[test]
    fn damaged_bundles_never_panic(
        seed: u64,
        damage in vec((0usize..200, any::<u8>()), 1..6),
        grow in -20isize..20,
        seal: bool,
    ) {
        let (_, mut bytes) = model(seed);
        for (place, byte) in damage {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        bytes.resize(bytes.len().saturating_add_signed(grow), 0);
        let len = bytes.len() as u32;
        if seal && bytes.len() >= 48 {
            bytes[8..12].copy_from_slice(&len.to_le_bytes());
            reseal(&mut bytes);
        }
        for bundle in [Bundle::parse(&bytes), Bundle::parse_trusted(&bytes)].into_iter().flatten() {
            touch(&bundle);
        }
    }

    #[test]
    fn what_is_written_reads_back(seed: u64) {
        let (manifest, bytes) = model(seed);
        let mut unaligned = vec![0; bytes.len() + 1];
        unaligned[1..].copy_from_slice(&bytes);
        let bundle = Bundle::parse(&unaligned[1..]).unwrap();
        prop_assert_eq!(bundle.manifest(), &manifest);
        touch(&bundle);
        // The same generator again gives the numbers that were written.
        let mut random = Random(seed);
        random_model::manifest(&mut random);
        prop_assert_eq!(&random_model::bundle(&manifest, &mut random), &bytes);
        let channels: usize = manifest.layers().map(|layer| layer.outputs).sum();
        prop_assert_eq!(channels, manifest.channels());
        let mut next = 0;
        for (i, layer) in manifest.layers().enumerate() {
            prop_assert_eq!(layer.first_channel, next);
            prop_assert_eq!(manifest.layer(i), Some(layer));
            prop_assert_eq!(manifest.layer_index(layer.name), Some(i));
            prop_assert_eq!(bundle.layer(i).all_codes().len(), layer.inputs * layer.outputs);
            next += layer.outputs;
        }
        prop_assert_eq!(manifest.layer(manifest.layer_count()), None);
        for kind in ProfileLayer::ALL {
            let (view, layer) = (bundle.profile_layer(kind), manifest.profile_layer(kind));
            prop_assert_eq!(layer.is_some(), manifest.profile.is_some());
            prop_assert_eq!(view.all_codes().len(), layer.map_or(0, |layer| layer.inputs * layer.outputs));
        }
    }

    #[test]
    fn plans_read_back(
        model: [u8; 8],
        sequence: u32,
        budget: u16,
        codes in vec(0u8..4, 0..50),
    ) {
        let channels = codes.len() as u32;
        let header = PlanHeader { model: chord_plan::bundle::ModelId(model), sequence, budget, channels };
        let bytes = random_model::encode(&header, &codes);
        let plan = Plan::parse(&bytes).unwrap();
        prop_assert_eq!(plan.header(), &header);
        prop_assert_eq!(plan.codes().collect::<Vec<_>>(), codes.clone());
        for (i, &code) in codes.iter().enumerate() {
            prop_assert_eq!(plan.code(i), Some(code));
        }
        prop_assert_eq!(plan.code(codes.len()), None);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn every_truncation_and_every_flipped_bit_of_a_bundle_is_an_error() {
    for (_, bytes) in [sasrec_model(3), caser_model(3)] {
        for len in 0..bytes.len() {
            assert!(Bundle::parse(&bytes[..len]).is_err(), "{len}");
            assert!(Bundle::parse_trusted(&bytes[..len]).is_err(), "{len}");
        }
        let mut damaged = bytes.clone();
        for bit in 0..8 * bytes.len() {
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Bundle::parse(&damaged).is_err(), "bit {bit}");
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn every_truncation_and_every_flipped_bit_of_a_plan_is_an_error() {
    let (_, bundle) = sasrec_model(3);
    let bytes = random_model::plan(&Bundle::parse(&bundle).unwrap(), 70_000, &mut Random(4));
    for len in 0..bytes.len() {
        assert!(Plan::parse(&bytes[..len]).is_err(), "{len}");
    }
    let mut damaged = bytes.clone();
    for bit in 0..8 * bytes.len() {
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Plan::parse(&damaged).is_err(), "bit {bit}");
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
    damaged.push(0);
    assert!(Plan::parse(&damaged).is_err());
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn a_user_embedding_reads_back_and_every_damage_is_an_error() {
    let (manifest, _) = sasrec_model(3);
    let profile = ProfileShape { hidden: 5, ..random_model::small_profile(&mut Random(1)) };
    let bundle = random_model::bundle(&Manifest { profile: Some(profile), ..manifest }, &mut Random(2));
    let bundle = Bundle::parse(&bundle).unwrap();
    let numbers = [2.54, -0.02, 0.0, 1.27, -2.54];
    let mut bytes = [0; 64];
    assert_eq!(embedding::longest(5), 32);
    assert_eq!(embedding::encode(bundle.model(), 300, &numbers, &mut bytes[..27]), None);
    assert_eq!(embedding::encode(bundle.model(), 300, &[f32::NAN; 5], &mut bytes), None);
    let len = embedding::encode(bundle.model(), 300, &numbers, &mut bytes[..32]).unwrap();
    let bytes = &mut bytes[..len];
    let parsed = UserEmbedding::parse(bytes).unwrap();
    assert_eq!((len, parsed.model(), parsed.interactions()), (27, bundle.model(), 300));
    assert_eq!(parsed.check_against(&bundle), Ok(()));
    let close = |(a, b): (f32, f32)| (a - b).abs() < 1e-6;
    assert!(parsed.numbers().zip([2.54, -0.02, 0.0, 1.28, -2.54]).all(close));
    let (_, other) = sasrec_model(4);
    let other = Bundle::parse(&other).unwrap();
    let error = EmbeddingError::Model { embedding: bundle.model(), bundle: other.model() };
    assert_eq!(parsed.check_against(&other), Err(error));
    let mut short = [0; 40];
    let short_len = embedding::encode(bundle.model(), 1, &numbers[..4], &mut short).unwrap();
    let error = EmbeddingError::Length { needed: 5, found: 4 };
    assert_eq!(UserEmbedding::parse(&short[..short_len]).unwrap().check_against(&bundle), Err(error));

    for len in 0..len {
        assert!(UserEmbedding::parse(&bytes[..len]).is_err(), "{len}");
    }
    for bit in 0..8 * len {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(UserEmbedding::parse(bytes).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // Past the checksum.
    for scale in [0.0, -1.0, f32::INFINITY, f32::NAN] {
        bytes[14..18].copy_from_slice(&f32::to_le_bytes(scale));
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[..len - 4]);
        bytes[len - 4..].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(UserEmbedding::parse(bytes), Err(EmbeddingError::Scale(_))), "{scale}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn item_rows_read_back_and_every_damage_is_an_error() {
    let (manifest, bundle) = sasrec_model(3);
    let bundle = Bundle::parse(&bundle).unwrap();
    let (model, dim) = (bundle.model(), manifest.dim());
    let mut bytes = random_model::rows(&bundle, &[0, 0], model);
    let parsed = ItemRows::parse(&bytes).unwrap();
    assert_eq!(parsed.check_against(&bundle), Ok(()));
    assert_eq!((parsed.items(), parsed.codes().len()), (2, 2 * dim));
    assert_eq!(&parsed.codes()[dim..], bundle.item_codes(0));
    assert!(parsed.ranges().iter().eq([bundle.item_range(0); 2]));
    let (_, other) = sasrec_model(4);
    let other = Bundle::parse(&other).unwrap();
    let error = RowsError::Model { rows: model, bundle: other.model() };
    assert_eq!(parsed.check_against(&other), Err(error));
    let mut room = [0; 64];
    let len = rows::encode(model, 1, &[7], &[1.0], &mut room).unwrap();
    let error = RowsError::Dim { needed: dim, found: 1 };
    assert_eq!(ItemRows::parse(&room[..len]).unwrap().check_against(&bundle), Err(error));
    assert_eq!(rows::encode(model, 2, &[7], &[1.0], &mut room), None);
    assert_eq!(rows::encode(model, 1, &[7], &[1.0], &mut room[..len - 1]), None);
    assert!(len <= rows::longest(1, 1) && rows::longest(usize::MAX, 1) == usize::MAX);
    let none = rows::encode(model, 1, &[], &[], &mut room).unwrap();
    assert_eq!(ItemRows::parse(&room[..none]).unwrap().items(), 0);

    for len in 0..bytes.len() {
        assert!(ItemRows::parse(&bytes[..len]).is_err(), "{len}");
    }
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(ItemRows::parse(&bytes).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // Past the checksum: more items than there are rows.
    let (needed, found) = (3 * (4 + dim as u64), 2 * (4 + dim));
    let end = bytes.len() - 4;
    bytes[11] = 3;
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(ItemRows::parse(&bytes), Err(RowsError::Length { needed, found }));
}

#[test]
fn errors_say_where() {
    let (manifest, bytes) = sasrec_model(3);
    let (first, len) = random_model::section_lengths(&manifest)[0];
    assert_eq!((first, (64 + len) % 16 != 0), (Section::ItemCodes, true));
    // Behind the manifest of 16 bytes come the item codes, then a gap.
    let broken = |place: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[place..][..with.len()].copy_from_slice(with);
        reseal(&mut bytes);
        Bundle::parse(&bytes).unwrap_err()
    };
    assert_eq!(broken(0, b"CHRX"), BundleError::Magic(*b"CHRX"));
    assert_eq!(broken(4, &[2, 0]), BundleError::Version(2));
    assert_eq!(broken(6, &[129, 0]), BundleError::ManifestLength(129));
    assert_eq!(broken(12, &[2]), BundleError::Granularity(2));
    assert_eq!(broken(13, &[2]), BundleError::Reserved);
    assert_eq!(broken(13, &[1]), BundleError::ManifestEncoding, "a profile encoder has sizes");
    assert_eq!(broken(14, &[2]), BundleError::Reserved);
    assert_eq!(broken(15, &[1]), BundleError::Reserved);
    assert!(matches!(broken(12, &[bytes[12] ^ 1]), BundleError::Sections { .. }));
    assert_eq!(broken(48, &[2]), BundleError::ManifestEncoding);
    assert_eq!(broken(79, &[1]), BundleError::Gap { offset: 79 });
    assert!(matches!(broken(50, &[0]), BundleError::Manifest(_)));
    assert!(matches!(broken(49, &[0]), BundleError::Sections { .. }), "no item table");
    assert!(matches!(broken(49, &[bytes[49] + 16]), BundleError::Sections { .. }));
    let ranges = (64 + len).next_multiple_of(16);
    let section = Section::ItemRanges;
    assert_eq!(broken(ranges, &[0; 4]), BundleError::Number { section, index: 0 });
    let last = bytes.len() - 4;
    let section = Section::Norm(Norm::Final, NormPart::Beta);
    let index = manifest.dim() - 1;
    assert_eq!(broken(last, &f32::NAN.to_le_bytes()), BundleError::Number { section, index });
}

#[test]
fn sizes_of_a_profile_encoder_are_limited() {
    let (manifest, _) = sasrec_model(3);
    let shape = random_model::small_profile(&mut Random(1));
    let error = |change: &dyn Fn(&mut ProfileShape)| {
        let mut shape = shape;
        change(&mut shape);
        Manifest { profile: Some(shape), ..manifest }.validate().unwrap_err()
    };
    let field = |field, value| ManifestError::Field { field, value, max: 4096 };
    assert_eq!(error(&|shape| shape.pooled = 0), field("pooled", 0));
    assert_eq!(error(&|shape| shape.features = 4097), field("features", 4097));
    assert_eq!(error(&|shape| shape.hidden = 5000), field("hidden", 5000));
    assert_eq!(error(&|shape| shape.norm_epsilon = 0.0), ManifestError::NormEpsilon(0.0));
    let (caser, _) = caser_model(3);
    let caser = Manifest { positions_from: PositionsFrom::Left, ..caser };
    assert_eq!(caser.validate(), Err(ManifestError::Positions));
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let (manifest, bytes) = sasrec_model(3);
    let mut buffer = vec![0; bytes.len()];
    let mut short = vec![0; bytes.len() - 1];
    assert!(matches!(BundleWriter::new(&manifest, &mut short), Err(WriteError::BufferLength { .. })));
    let mut writer = BundleWriter::new(&manifest, &mut buffer).unwrap();
    let section = Section::ItemRanges;
    let items = manifest.items() as usize;
    let mut ranges = vec![1.0; items];
    ranges[items - 1] = 0.0;
    assert_eq!(writer.floats(section, &ranges), Err(WriteError::Number { section, index: items - 1 }));
    assert_eq!(
        writer.floats(section, &[1.0; 99]),
        Err(WriteError::SectionLength { section, expected: items, found: 99 })
    );
    assert_eq!(writer.codes(section, &[1]), Err(WriteError::ElementType { section }));
    ranges[items - 1] = 1.0;
    writer.floats(section, &ranges).unwrap();
    assert_eq!(writer.floats(section, &ranges), Err(WriteError::Repeated { section }));
    let name = LayerName::Block(16, LayerKind::Key);
    let section = Section::Layer(name, LayerPart::Codes);
    assert_eq!(writer.codes(section, &[]), Err(WriteError::NoSuchSection { section }));
    assert_eq!(section.to_string(), "block16.key codes");
    let section = Section::Layer(LayerName::Horizontal(1), LayerPart::Ranges);
    assert_eq!(writer.floats(section, &[]), Err(WriteError::NoSuchSection { section }));
    assert_eq!(section.to_string(), "horizontal1 ranges");
    let missing = WriteError::Missing { section: Section::ItemCodes };
    assert_eq!(writer.finish(), Err(missing));
}

#[test]
fn a_plan_is_checked_against_its_bundle() {
    let (mut manifest, _) = sasrec_model(3);
    manifest.palette = Palette::new([2, 4, 255, 255]).unwrap();
    let bytes = random_model::bundle(&manifest, &mut Random(1));
    let bundle = Bundle::parse(&bytes).unwrap();
    let n = manifest.channels();
    let header = PlanHeader { model: bundle.model(), sequence: 1, budget: 2000, channels: n as u32 };
    let check = |header, codes: &[u8]| {
        let bytes = random_model::encode(&header, codes);
        Plan::parse(&bytes).unwrap().check_against(&bundle)
    };
    let mut codes = vec![0; n];
    assert_eq!(check(header, &codes), Ok(()));
    codes[n - 1] = 2;
    assert_eq!(check(header, &codes), Err(PlanError::Code { channel: n - 1, code: 2 }));
    codes[n - 1] = 1;
    let other = chord_plan::bundle::ModelId([0; 8]);
    let error = PlanError::Model { plan: other, bundle: bundle.model() };
    assert_eq!(check(PlanHeader { model: other, ..header }, &codes), Err(error));
    let error = PlanError::Channels { plan: n as u32 - 1, bundle: n };
    assert_eq!(check(PlanHeader { channels: n as u32 - 1, ..header }, &codes[1..]), Err(error));

    let all_wide = random_model::encode(&header, &vec![1; n]);
    assert_eq!(Plan::parse(&all_wide).unwrap().kept_bits(&manifest), 4 * manifest.quantised_weights());

    let mut out = [0; 8];
    assert_eq!(
        plan::encode(&header, &codes[1..], &mut out),
        Err(EncodeError::Channels { header: n as u32, codes: n - 1 })
    );
    assert!(matches!(
        plan::encode(&header, &codes, &mut out),
        Err(EncodeError::BufferTooSmall { found: 8, .. })
    ));
    codes[0] = 4;
    assert_eq!(plan::encode(&header, &codes, &mut out), Err(EncodeError::Code { channel: 0, code: 4 }));
}
