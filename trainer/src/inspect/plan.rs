use std::fmt::Write;

use chord_plan::{Bundle, Manifest, Plan};

/// Describes a plan of `length` bytes, layer by layer if its bundle is given, which it was checked against.
pub(super) fn describe(plan: &Plan<'_>, length: usize, bundle: Option<&Bundle<'_>>) -> String {
    let header = plan.header();
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all");

    line(format!("CHORD plan, format version {}, {length} bytes", chord_plan::plan::VERSION));
    line(format!("model             {}", header.model));
    line(format!("sequence          {}", header.sequence));
    line(format!("budget            {:.3} bits per weight", f64::from(header.budget) / 1000.0));
    line(format!("channels          {}, in {} bytes", header.channels, plan.packed_codes().len()));

    let manifest = bundle.map(Bundle::manifest);
    line(format!("\n{:<6}{:>6}{:>10}", "code", "bits", "channels"));
    for (code, count) in (0..).zip(counts(plan.codes())) {
        let bits = match manifest.map(|manifest| manifest.palette.bits(code)) {
            Some(Some(bits)) => bits.to_string(),
            Some(None) if count == 0 => continue,
            _ => "?".to_owned(),
        };
        line(format!("{code:<6}{bits:>6}{count:>10}"));
    }
    if let Some(manifest) = manifest {
        layers(plan, manifest, line);
    }
    text
}

/// One line per layer: channels per width and average width; then the average over all weights.
fn layers(plan: &Plan<'_>, manifest: &Manifest, mut line: impl FnMut(String)) {
    let widths = manifest.palette.widths();
    let columns: String = widths.iter().map(|bits| format!("{:>9}", format!("{bits} bits"))).collect();
    line(format!("\n{:<20}{columns}{:>9}", "channels", "average"));
    for layer in manifest.layers() {
        let counts = counts(plan.codes().skip(layer.first_channel).take(layer.outputs));
        let columns: String = counts[..widths.len()].iter().map(|count| format!("{count:>9}")).collect();
        // The channels of a layer have equally many weights.
        let bits: usize = counts.iter().zip(widths).map(|(count, &bits)| count * usize::from(bits)).sum();
        line(format!("{:<20}{columns}{:>9.3}", layer.name.to_string(), bits as f64 / layer.outputs as f64));
    }
    let (kept, weights) = (plan.kept_bits(manifest), manifest.quantised_weights());
    line(format!(
        "\n{kept} bits over {weights} weights = {:.6} bits per weight",
        kept as f64 / weights as f64
    ));
}

/// How many channels have each code.
fn counts(codes: impl Iterator<Item = u8>) -> [usize; 4] {
    let mut counts = [0; 4];
    codes.for_each(|code| counts[usize::from(code)] += 1);
    counts
}
