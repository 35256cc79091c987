use std::fmt::Write;

use chord_plan::manifest::{Activation, Architecture, Layer, PositionsFrom, ProfileLayer, ProfileShape};
use chord_plan::numerics::MASTER_BITS;
use chord_plan::{Bundle, Granularity, Manifest};

/// Describes a bundle; `bytes` is all of it.
pub(super) fn describe(bundle: &Bundle<'_>, bytes: &[u8]) -> String {
    let manifest = bundle.manifest();
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all");

    line(format!("CHORD bundle, format version {}, {} bytes", chord_plan::bundle::VERSION, bytes.len()));
    line(format!("fingerprint       {}", bundle.fingerprint()));
    line(format!("model             {}", bundle.model()));
    let (architecture, shape) = network(manifest);
    line(format!("architecture      {architecture}"));
    let items = match manifest.items() {
        0 => "no item table".to_owned(),
        items => format!("{items} items"),
    };
    line(format!("shape             {items}, {shape}"));
    let widths = manifest.palette.widths();
    let list = |numbers: Vec<String>| numbers.join(", ");
    let codes = list((0..widths.len()).map(|code| code.to_string()).collect());
    let bits = list(widths.iter().map(u8::to_string).collect());
    line(format!("palette           codes {codes} mean {bits} bits"));
    line(format!(
        "granularity       {}",
        match manifest.granularity {
            Granularity::PerChannel => "per channel: one range and one bias serve all widths",
            Granularity::PerWidth => "per width: a range and a bias for each width of a channel",
        }
    ));
    let (channels, layers, weights) =
        (manifest.channels(), manifest.layer_count(), manifest.quantised_weights());
    line(format!("channels          {channels} in {layers} layers, {weights} weights"));

    if let Some(ProfileShape { pooled, features, hidden, .. }) = manifest.profile {
        line(format!(
            "profile encoder   {features} features, {pooled} pooled items, user embedding of {hidden}"
        ));
    }

    line("\nbytes".to_owned());
    let (items, dim) = (manifest.items() as usize, manifest.dim());
    let manifest_len = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
    let [positions, norms] = match &manifest.architecture {
        Architecture::SasRec(shape) => [shape.positions.into(), 4 * usize::from(shape.blocks) + 2],
        Architecture::Caser(_) => [0; 2],
    };
    let of_profile = |layer: Layer| layer.outputs * (layer.inputs + 2 * 4);
    let layers_of_profile = ProfileLayer::ALL.into_iter().filter_map(|kind| manifest.profile_layer(kind));
    let hidden = manifest.profile.map_or(0, |profile| profile.hidden.into());
    let profile = layers_of_profile.map(of_profile).sum::<usize>() + 2 * 4 * hidden;
    let parts = [
        ("header", 48 + manifest_len),
        ("item codes", items * dim),
        ("item ranges", 4 * items),
        ("positions", 4 * positions * dim),
        ("norms", 4 * norms * dim),
        ("layer codes", weights as usize),
        ("layer ranges", 4 * channels * manifest.ranges_per_channel()),
        ("layer biases", 4 * channels * manifest.biases_per_channel()),
        ("profile encoder", profile),
    ];
    let gaps = bytes.len() - parts.iter().map(|(_, len)| len).sum::<usize>();
    for (name, len) in parts.into_iter().chain([("gaps", gaps), ("total", bytes.len())]) {
        line(format!("{name:<20}{len:>10}"));
    }

    line(format!(
        "\n{:<16}{:>14}{:>6}{:>12}{:>12}{:>12}",
        "ranges", "out x in", "bits", "min", "mean", "max"
    ));
    let item_ranges: Vec<f32> = (0..items).map(|row| bundle.item_range(row)).collect();
    if items > 0 {
        line(ranges("items", [items, dim], "8", &item_ranges));
    }
    for index in 0..layers {
        let view = bundle.layer(index);
        let layer = view.layer();
        let at = |bits| (0..layer.outputs).map(|channel| view.range(channel, bits)).collect::<Vec<_>>();
        let (name, size) = (layer.name.to_string(), [layer.outputs, layer.inputs]);
        let widths = manifest.palette.widths_above_zero();
        match manifest.granularity {
            Granularity::PerChannel => line(ranges(&name, size, "all", &at(MASTER_BITS))),
            Granularity::PerWidth => {
                widths.iter().for_each(|&bits| line(ranges(&name, size, &bits.to_string(), &at(bits))));
            }
        }
    }
    text
}

/// Name and sizes of a network.
fn network(manifest: &Manifest) -> (String, String) {
    let Manifest { architecture, positions_from, .. } = manifest;
    let many = |count: u16, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    match architecture {
        Architecture::SasRec(shape) => {
            let activation = match shape.activation {
                Activation::Relu => "ReLU",
                Activation::Gelu => "GELU",
            };
            let sizes = format!(
                "{} positions{}, dim {}, inner {}, {}, {}",
                shape.positions,
                if *positions_from == PositionsFrom::Left { " from the left" } else { "" },
                shape.dim,
                shape.inner,
                many(shape.blocks.into(), "block"),
                many(shape.heads.into(), "head")
            );
            (format!("SASRec, {activation}, norm epsilon {:e}", shape.norm_epsilon), sizes)
        }
        Architecture::Caser(shape) => {
            let sizes = format!(
                "window {}, dim {}, {} of each height, {}",
                shape.window,
                shape.dim,
                many(shape.horizontal, "horizontal filter"),
                many(shape.vertical, "vertical filter")
            );
            ("Caser".to_owned(), sizes)
        }
    }
}

fn ranges(name: &str, [outputs, inputs]: [usize; 2], bits: &str, ranges: &[f32]) -> String {
    let min = ranges.iter().copied().fold(f32::INFINITY, f32::min);
    let max = ranges.iter().copied().fold(0.0, f32::max);
    let mean = ranges.iter().copied().map(f64::from).sum::<f64>() / ranges.len() as f64;
    let size = format!("{outputs} x {inputs}");
    format!("{name:<16}{size:>14}{bits:>6}{min:>12.4e}{mean:>12.4e}{max:>12.4e}")
}
