//! Committed files of both formats. `CHORD_BLESS=1 cargo test -p chord-plan --test golden` writes them anew; that is
//! a new format version, unless no file was ever handed out.

mod random_model;

use std::path::PathBuf;
use std::sync::OnceLock;

use chord_plan::bundle::Norm;
use chord_plan::manifest::{
    Activation, Architecture, CaserShape, PositionsFrom, ProfileLayer, ProfileShape, SasRecShape,
};
use chord_plan::plan::PlanHeader;
use chord_plan::{Bundle, Granularity, ItemRows, Manifest, Plan, UserEmbedding, embedding};
use random_model::Random;

/// This package's folder, as cargo names it when it runs this program: a kept build folder may hold one that was built in
/// another clone.
fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// The committed file, after a check that `encoded` is what it holds.
fn golden(name: &str, encoded: &[u8]) -> Vec<u8> {
    let path = package().join("tests/golden").join(name);
    if std::env::var_os("CHORD_BLESS").is_some() {
        std::fs::write(&path, encoded).unwrap();
    }
    let committed = std::fs::read(&path).unwrap();
    assert!(committed == encoded, "the encoder no longer writes {name}");
    committed
}

fn shape() -> SasRecShape {
    SasRecShape {
        items: 12,
        positions: 6,
        dim: 8,
        inner: 12,
        blocks: 2,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    }
}

fn bundle() -> &'static [u8] {
    static BUNDLE: OnceLock<Vec<u8>> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let manifest = random_model::sasrec(shape(), [0, 2, 4, 8]);
        golden("bundle_v1.chord", &random_model::bundle(&manifest, &mut Random(1)))
    })
}

#[test]
fn bundle_v1() {
    let bytes = bundle();
    assert_eq!(bytes.len(), 2448);
    // Magic, version 1, manifest of 16 bytes, length, granularity per channel, reserved.
    assert_eq!(&bytes[..16], b"CHRD\x01\x00\x10\x00\x90\x09\x00\x00\x00\x00\x00\x00");
    // SASRec, items, positions, dim, inner, blocks, heads, GELU, epsilon, palette; no gap.
    assert_eq!(&bytes[48..56], [0, 12, 6, 8, 12, 2, 2, 1]);
    assert_eq!(&bytes[56..60], 1e-5f32.to_le_bytes());
    assert_eq!(&bytes[60..64], [0, 2, 4, 8]);

    let bundle = Bundle::parse(bytes).unwrap();
    assert_eq!(bundle.manifest().architecture, Architecture::SasRec(shape()));
    assert_eq!(bundle.manifest().palette.widths(), [0, 2, 4, 8]);
    assert_eq!(bundle.manifest().channels(), 104);
    assert_eq!(bundle.manifest().quantised_weights(), 896);
    assert_eq!(
        bundle.fingerprint().to_string(),
        "18489f932bd1d56530886a3ea9231b479e70bf1bbce22e632a92685167222a98"
    );
    assert_eq!(bundle.item_codes(11), [92, 64, -88, 62, -62, 75, -82, -8]);
    assert_eq!(bundle.item_range(11), 0.123_453_856);
    assert_eq!(bundle.position(5).get(7), Some(-0.084_514_335));
    let (gamma, beta) = bundle.norm(Norm::FeedForward(1));
    assert_eq!((gamma.get(0), beta.get(7)), (Some(1.180_719_9), Some(-0.134_195_8)));
    let contract = bundle.layer(11);
    assert_eq!(contract.layer().name.to_string(), "block1.contract");
    assert_eq!(contract.layer().first_channel, 96);
    assert_eq!(contract.codes(7), [107, 17, 79, 113, 35, -93, 5, 45, -23, -128, -39, 78]);
    // The same at every width.
    for bits in [2, 4, 8] {
        assert_eq!((contract.range(7, bits), contract.bias(7, bits)), (0.154_590_28, 0.146_466_26));
    }
    assert_eq!(contract.bias(7, 0), 0.146_466_26);
}

#[test]
fn bundle_v1_per_width() {
    let manifest = Manifest {
        granularity: Granularity::PerWidth,
        ..random_model::sasrec(SasRecShape { blocks: 1, ..shape() }, [0, 4, 8, 255])
    };
    let bytes = golden("bundle_v1_per_width.chord", &random_model::bundle(&manifest, &mut Random(3)));
    assert_eq!(&bytes[12..16], [1, 0, 0, 0]);
    let bundle = Bundle::parse(&bytes).unwrap();
    assert_eq!(bundle.manifest(), &manifest);
    // The last layer: 8 channels with ranges at 4 and 8 bits and biases at 0, 4 and 8; before the final norm.
    let number = |place: usize| f32::from_le_bytes(bytes[place..][..4].try_into().unwrap());
    let biases = bytes.len() - 2 * 4 * 8 - 4 * 8 * 3;
    let ranges = biases - 4 * 8 * 2;
    let contract = bundle.layer(5);
    for channel in 0..8 {
        let place = |table: usize, columns: usize, column: usize| table + 4 * (channel * columns + column);
        assert_eq!(contract.range(channel, 4), number(place(ranges, 2, 0)));
        assert_eq!(contract.range(channel, 8), number(place(ranges, 2, 1)));
        assert_eq!(contract.bias(channel, 0), number(place(biases, 3, 0)));
        assert_eq!(contract.bias(channel, 4), number(place(biases, 3, 1)));
        assert_eq!(contract.bias(channel, 8), number(place(biases, 3, 2)));
    }
    assert_eq!((contract.range(7, 8), contract.bias(7, 0)), (0.748_869_7, 0.163_856_66));
}

#[test]
fn bundle_v1_caser() {
    let shape = CaserShape { items: 12, window: 3, dim: 6, horizontal: 4, vertical: 2 };
    let manifest = random_model::caser(shape, [0, 2, 4, 8]);
    let bytes = golden("bundle_v1_caser.chord", &random_model::bundle(&manifest, &mut Random(5)));
    // Manifest of 10 bytes: Caser, items, window, dim, horizontal, vertical, palette.
    assert_eq!(&bytes[6..8], [10, 0]);
    assert_eq!(&bytes[48..58], [1, 12, 3, 6, 4, 2, 0, 2, 4, 8]);
    let bundle = Bundle::parse(&bytes).unwrap();
    assert_eq!(bundle.manifest(), &manifest);
    let names: Vec<String> = manifest.layers().map(|layer| layer.name.to_string()).collect();
    assert_eq!(names, ["horizontal1", "horizontal2", "horizontal3", "vertical", "dense", "output"]);
    let sizes: Vec<_> = manifest.layers().map(|l| (l.inputs, l.outputs, l.first_channel)).collect();
    assert_eq!(sizes, [(6, 4, 0), (12, 4, 4), (18, 4, 8), (3, 2, 12), (24, 6, 14), (6, 6, 20)]);
    assert_eq!((manifest.channels(), manifest.quantised_weights()), (26, 330));
    // Items 72 codes at 64 and 12 ranges at 144; then codes, ranges and biases of each layer at multiples of 16.
    let places = [(192, 24, 4), (256, 48, 4), (336, 72, 4), (448, 6, 2), (496, 144, 6), (704, 36, 6)];
    for (index, (codes, len, outputs)) in places.into_iter().enumerate() {
        let layer = bundle.layer(index);
        assert!(
            layer.all_codes().iter().map(|&code| code as u8).eq(bytes[codes..codes + len].iter().copied())
        );
        let ranges = (codes + len).next_multiple_of(16);
        let biases = (ranges + 4 * outputs).next_multiple_of(16);
        let number = |place: usize| f32::from_le_bytes(bytes[place..][..4].try_into().unwrap());
        for channel in 0..outputs {
            assert_eq!(layer.range(channel, 4), number(ranges + 4 * channel));
            assert_eq!(layer.bias(channel, 0), number(biases + 4 * channel));
        }
    }
    assert_eq!(bytes.len(), 704 + 48 + 32 + 24);
}

#[test]
fn bundle_v1_profile() {
    let profile = ProfileShape { pooled: 300, features: 5, hidden: 3, norm_epsilon: 1e-5 };
    let manifest = Manifest {
        profile: Some(profile),
        positions_from: PositionsFrom::Left,
        ..random_model::sasrec(SasRecShape { blocks: 1, ..shape() }, [0, 2, 4, 8])
    };
    let bytes = golden("bundle_v1_profile.chord", &random_model::bundle(&manifest, &mut Random(6)));
    // Per channel, a profile encoder, positions from the left; 8 bytes follow the 16 of the network.
    assert_eq!((&bytes[6..8], &bytes[12..16]), (&[24, 0][..], &[0, 1, 1, 0][..]));
    assert_eq!(&bytes[64..68], [0xac, 0x02, 5, 3]);
    assert_eq!(&bytes[68..72], 1e-5f32.to_le_bytes());
    let bundle = Bundle::parse(&bytes).unwrap();
    assert_eq!(bundle.manifest(), &manifest);
    // The last sections, each at a multiple of 16: codes, ranges and biases of four layers, gamma, beta.
    let layers = [(8, 5), (5, 9), (3, 9), (5, 3)];
    let lengths = layers.iter().flat_map(|&(inputs, outputs)| [inputs * outputs, 4 * outputs, 4 * outputs]);
    let lengths: Vec<usize> = lengths.chain([12, 12]).collect();
    let padded: usize = lengths.iter().map(|len| len.next_multiple_of(16)).sum();
    let mut start = (bytes.len() + 4) - padded;
    let mut place = |len: usize| {
        let place = start;
        start += len.next_multiple_of(16);
        &bytes[place..place + len]
    };
    let number = |table: &[u8], i: usize| f32::from_le_bytes(table[4 * i..][..4].try_into().unwrap());
    for (kind, (inputs, outputs)) in ProfileLayer::ALL.into_iter().zip(layers) {
        let view = bundle.profile_layer(kind);
        let (codes, ranges, biases) = (place(inputs * outputs), place(4 * outputs), place(4 * outputs));
        assert!(view.all_codes().iter().map(|&code| code as u8).eq(codes.iter().copied()), "{kind:?}");
        for channel in 0..outputs {
            assert_eq!(view.range(channel, 8), number(ranges, channel));
            assert_eq!(view.bias(channel, 8), number(biases, channel));
        }
    }
    let (gamma, beta) = bundle.norm(Norm::Profile);
    assert_eq!((gamma.get(2), beta.get(0)), (Some(number(place(12), 2)), Some(number(place(12), 0))));
    let pooled = bundle.profile_layer(ProfileLayer::Pooled);
    assert_eq!(pooled.layer().name.to_string(), "profile.pooled");
}

#[test]
fn bundle_v1_without_items() {
    let manifest = random_model::sasrec(SasRecShape { blocks: 1, ..shape() }, [0, 2, 4, 8]);
    let [with, without] = random_model::with_and_without_items(&manifest, &mut Random(8));
    let bytes = golden("bundle_v1_without_items.chord", &without);
    // No items: nothing of the header changes, and two sections are empty.
    assert_eq!((&bytes[12..16], &bytes[48..52]), (&[0; 4][..], &[0, 0, 6, 8][..]));
    // 12 items of 8 codes and a range, both multiples of 16.
    assert_eq!(with.len() - bytes.len(), 12 * (8 + 4));
    assert_eq!(&with[64 + 12 * (8 + 4)..], &bytes[64..]);
    let bundle = Bundle::parse(&bytes).unwrap();
    assert_eq!(bundle.manifest(), &manifest.without_items());
    assert_eq!((bundle.item_codes(0), bundle.item_range(0).is_nan()), (&[][..], true));
}

#[test]
fn rows_v1() {
    let bundle = Bundle::parse(bundle()).unwrap();
    let bytes = golden("rows_v1.rows", &random_model::rows(&bundle, &[11, 0, 11], bundle.model()));
    // Magic, version 1, model, 3 items of 8 codes.
    assert_eq!(&bytes[..13], b"CI\x01\x18\x48\x9f\x93\x2b\xd1\xd5\x65\x03\x08");
    // Ranges, codes, checksum.
    assert_eq!(&bytes[13..17], &0.123_453_856f32.to_le_bytes());
    assert_eq!(bytes.len(), 13 + 3 * (4 + 8) + 4);
    assert_eq!((&bytes[13..17], &bytes[25..33]), (&bytes[21..25], &bytes[41..49]));
    let rows = ItemRows::parse(&bytes).unwrap();
    rows.check_against(&bundle).unwrap();
    assert_eq!((rows.items(), rows.model()), (3, bundle.model()));
    assert_eq!(
        (&rows.codes()[8..16], rows.ranges().get(1)),
        (bundle.item_codes(0), Some(bundle.item_range(0)))
    );
}

#[test]
fn embedding_v1() {
    let mut random = Random(7);
    let numbers: Vec<f32> = (0..6).map(|_| 3.0 * random.signed()).collect();
    let mut bytes = [0; 33];
    let model = Bundle::parse(bundle()).unwrap().model();
    let len = embedding::encode(model, 271, &numbers, &mut bytes).unwrap();
    let bytes = golden("embedding_v1.embedding", &bytes[..len]);
    // Magic, version 1, model, 271 interactions, 6 numbers; scale; codes; checksum.
    assert_eq!(&bytes[..14], b"CE\x01\x18\x48\x9f\x93\x2b\xd1\xd5\x65\x8f\x02\x06");
    let largest = numbers.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    assert_eq!((&bytes[14..18], bytes.len()), (&(largest / 127.0).to_le_bytes()[..], 14 + 4 + 6 + 4));
    let numbers = UserEmbedding::parse(&bytes).unwrap().numbers();
    assert!(numbers.eq(bytes[18..24].iter().map(|&code| f32::from(code as i8) * (largest / 127.0))));
}

#[test]
fn plan_v1() {
    let bundle = bundle();
    let bundle = Bundle::parse(bundle).unwrap();
    let bytes = golden("plan_v1.plan", &random_model::plan(&bundle, 300, &mut Random(2)));
    // Magic, version 1, model, sequence 300, budget 3456, 104 channels.
    assert_eq!(&bytes[..11], b"CP\x01\x18\x48\x9f\x93\x2b\xd1\xd5\x65");
    assert_eq!(&bytes[11..16], [0xac, 0x02, 0x80, 0x1b, 0x68]);
    // Codes, checksum.
    assert_eq!((&bytes[16..18], bytes.len()), (&[0x3a, 0xed][..], 16 + 26 + 4));
    assert_eq!(&bytes[42..], [0x1b, 0x58, 0x62, 0xb9]);
    let plan = Plan::parse(&bytes).unwrap();
    let header = PlanHeader { model: bundle.model(), sequence: 300, budget: 3456, channels: 104 };
    assert_eq!(plan.header(), &header);
    assert_eq!(plan.codes().take(8).collect::<Vec<_>>(), [2, 2, 3, 0, 1, 3, 2, 3]);
    plan.check_against(&bundle).unwrap();
    assert_eq!((plan.kept_bits(bundle.manifest()) * 1000).div_ceil(896), 3456);
}
