//! Any bytes as a bundle, and the same with a fingerprint that fits: an error, or a bundle that can be read as a whole.
#![no_main]

use std::hint::black_box;

use chord_fuzz::seal;
use chord_plan::Bundle;
use chord_plan::bundle::Norm;
use chord_plan::manifest::ProfileLayer;
use chord_runtime::{Arithmetic, Holding, Options, ProfileRequirements, Requirements, Session};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let trusted = Bundle::parse_trusted(bytes);
    if let Ok(bundle) = Bundle::parse(bytes) {
        assert_eq!(trusted.map(|trusted| trusted.fingerprint()), Ok(bundle.fingerprint()));
    }
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    for bundle in [trusted, Bundle::parse_trusted(&sealed), Bundle::parse(&sealed)].iter().flatten() {
        read(bundle);
    }
});

/// Everything that a bundle gives access to, and one past it.
fn read(bundle: &Bundle<'_>) {
    let manifest = bundle.manifest();
    for (holding, arithmetic) in [
        (Holding::InPlace, Arithmetic::Float),
        (Holding::Packed, Arithmetic::Float),
        (Holding::InPlace, Arithmetic::Fixed),
    ] {
        let options = Options { holding, arithmetic, ..Options::default() };
        black_box((Requirements::of(bundle, &options), Session::arena_bytes(bundle, &options)));
    }
    black_box(ProfileRequirements::of(bundle));
    for row in 0..=manifest.items() as usize {
        black_box((bundle.item_codes(row), bundle.item_range(row)));
    }
    let layers = (0..=manifest.layer_count()).map(|index| bundle.layer(index));
    for layer in layers.chain(ProfileLayer::ALL.map(|kind| bundle.profile_layer(kind))) {
        for channel in 0..=layer.layer().outputs {
            black_box(layer.codes(channel));
            for bits in [0, 2, 4, 8, 3] {
                black_box((layer.range(channel, bits), layer.bias(channel, bits)));
            }
        }
    }
    for position in 0..=manifest.window() {
        black_box(bundle.position(position).iter().count());
    }
    for norm in [Norm::Attention(0), Norm::FeedForward(15), Norm::Final, Norm::Profile] {
        let (gamma, beta) = bundle.norm(norm);
        black_box((gamma.iter().count(), beta.iter().count()));
    }
}
