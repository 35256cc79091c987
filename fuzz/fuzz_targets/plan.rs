//! Any bytes as a plan, as item rows and as a user embedding, and the same with a checksum that fits: an error, or what is
//! written back as it was; a user embedding, whose codes are rounded anew, with all but its numbers.
#![no_main]

use chord_plan::plan::encode;
use chord_plan::{Bundle, ItemRows, Plan, UserEmbedding, embedding, rows};
use libfuzzer_sys::fuzz_target;

static BUNDLE: &[u8] = include_bytes!("../../plan-format/tests/golden/bundle_v1.chord");
static WITH_PROFILE: &[u8] = include_bytes!("../../plan-format/tests/golden/bundle_v1_profile.chord");

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut sealed = bytes.to_vec();
    if let Some((body, crc)) = sealed.split_last_chunk_mut::<4>() {
        *crc = crc32(body).to_le_bytes();
    }
    check(&sealed);
});

fn check(bytes: &[u8]) {
    check_rows(bytes);
    check_embedding(bytes);
    let Ok(plan) = Plan::parse(bytes) else { return };
    let codes: Vec<u8> = plan.codes().collect();
    for (channel, &code) in codes.iter().enumerate() {
        assert_eq!(plan.code(channel), Some(code));
    }
    assert_eq!(plan.code(codes.len()), None);
    let mut again = vec![0; bytes.len()];
    assert_eq!(encode(plan.header(), &codes, &mut again), Ok(bytes.len()));
    assert_eq!(again, bytes);

    let bundle = Bundle::parse(BUNDLE).expect("the golden bundle is valid");
    if plan.check_against(&bundle).is_ok() {
        assert!(plan.kept_bits(bundle.manifest()) <= 8 * bundle.manifest().quantised_weights());
    }
}

/// CRC-32 as in zlib, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

fn check_rows(bytes: &[u8]) {
    let Ok(rows) = ItemRows::parse(bytes) else { return };
    assert_eq!(rows.codes().len().checked_rem(rows.items()).unwrap_or(0), 0);
    let dim = rows.codes().len().checked_div(rows.items()).unwrap_or(0);
    let ranges: Vec<f32> = rows.ranges().iter().collect();
    let mut written = vec![0; rows::longest(ranges.len(), dim)];
    let dim = u16::try_from(dim).expect("a dim of 16 bits");
    let len = rows::encode(rows.model(), dim, rows.codes(), &ranges, &mut written).expect("the rows fit");
    // No rows may have any dim.
    assert!(ranges.is_empty() || written[..len] == *bytes);
}

fn check_embedding(bytes: &[u8]) {
    let Ok(found) = UserEmbedding::parse(bytes) else { return };
    let numbers: Vec<f32> = found.numbers().collect();
    let mut written = vec![0; embedding::longest(numbers.len())];
    assert!(written.len() >= bytes.len());
    let len = embedding::encode(found.model(), found.interactions(), &numbers, &mut written);
    // A scale near the largest number has products that are not finite.
    assert_eq!(len.is_some(), numbers.iter().all(|x| x.is_finite()));
    let Some(len) = len else { return };
    let again = UserEmbedding::parse(&written[..len]).expect("an encoded embedding is valid");
    assert_eq!(
        (again.model(), again.interactions(), again.numbers().len()),
        (found.model(), found.interactions(), numbers.len())
    );

    let bundle = Bundle::parse(WITH_PROFILE).expect("the golden bundle is valid");
    let is_of_it = found.model() == bundle.model()
        && bundle.manifest().profile.is_some_and(|profile| usize::from(profile.hidden) == numbers.len());
    assert_eq!(found.check_against(&bundle).is_ok(), is_of_it);
}
