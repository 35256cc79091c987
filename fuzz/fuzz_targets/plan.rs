//! Any bytes as a plan, and the same with a checksum that fits: an error, or a plan that is written back as it was.
#![no_main]

use chord_plan::plan::encode;
use chord_plan::{Bundle, Plan};
use libfuzzer_sys::fuzz_target;

static BUNDLE: &[u8] = include_bytes!("../../plan-format/tests/golden/bundle_v1.chord");

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut sealed = bytes.to_vec();
    if let Some((body, crc)) = sealed.split_last_chunk_mut::<4>() {
        *crc = crc32(body).to_le_bytes();
    }
    check(&sealed);
});

fn check(bytes: &[u8]) {
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
