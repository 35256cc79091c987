//! Models, plans and kernels that the programs here run.

#[path = "../../../plan-format/tests/random_model/mod.rs"]
#[allow(missing_docs)]
pub mod random_model;

use chord_plan::Bundle;
use chord_plan::manifest::{Activation, LayerKind, SasRecShape};
use chord_plan::plan::PlanHeader;
use chord_runtime::kernels::{Linear, Scalar};
use random_model::Random;

/// The network of a ranking.
pub const SASREC: SasRecShape = SasRecShape {
    items: 1000,
    positions: 50,
    dim: 64,
    inner: 64,
    blocks: 2,
    heads: 2,
    activation: Activation::Gelu,
    norm_epsilon: 1e-5,
};

/// The layer of [`layer_model`] that has its inputs and outputs.
pub const LAYER: usize = LayerKind::Expand as usize;

/// Plans of a layer by name: one width for all channels, or a quarter of them at 8 bits, a quarter at 4 and the rest at 2, in
/// runs or by turns.
pub const PLANS: [&str; 6] = ["8", "4", "2", "mix", "alternating", "0"];

/// The scalar kernel and those that this processor runs, with their names.
pub fn kernels() -> Vec<(&'static str, Box<dyn Linear>)> {
    #[cfg(target_arch = "aarch64")]
    use chord_runtime::kernels::Neon as Family;
    #[cfg(target_arch = "x86_64")]
    use chord_runtime::kernels::X86 as Family;
    let family = Family::all().map(|kernel| (kernel.name(), Box::new(kernel) as Box<dyn Linear>));
    let scalar: (_, Box<dyn Linear>) = ("scalar", Box::new(Scalar));
    [scalar].into_iter().chain(family).collect()
}

/// A bundle with one layer of these sizes.
pub fn layer_model(inputs: usize, outputs: usize, random: &mut Random) -> Vec<u8> {
    let shape = SasRecShape {
        items: 1,
        positions: 1,
        dim: inputs as u16,
        inner: outputs as u16,
        blocks: 1,
        heads: 1,
        activation: Activation::Relu,
        norm_epsilon: 1e-5,
    };
    random_model::bundle(&random_model::sasrec(shape, [0, 2, 4, 8]), random)
}

/// Packed codes of the plan with a name in [`PLANS`], for the layer of a [`layer_model`].
pub fn layer_plan(bundle: &Bundle<'_>, name: &str) -> Vec<u8> {
    let layer = bundle.layer(LAYER);
    let (first, outputs) = (layer.layer().first_channel, layer.layer().outputs);
    let mix = |quarter: usize| [3, 2, 1, 1][quarter];
    let mut codes = vec![0u8; bundle.manifest().channels().div_ceil(4)];
    for channel in 0..outputs {
        let code = match name {
            "8" => 3,
            "4" => 2,
            "2" => 1,
            "0" => 0,
            "mix" => mix(4 * channel / outputs),
            _ => mix(channel % 4),
        };
        codes[(first + channel) / 4] |= code << (2 * ((first + channel) % 4));
    }
    codes
}

/// Codes of a random plan of about 3.0 bits per weight for palette 0, 2, 4, 8.
pub fn three_bits(bundle: &Bundle<'_>, random: &mut Random) -> Vec<u8> {
    (0..bundle.manifest().channels()).map(|_| [3, 2, 2, 1, 1, 1, 1, 0][random.below(8)]).collect()
}

/// The plan of these codes.
pub fn plan_of(bundle: &Bundle<'_>, codes: &[u8]) -> Vec<u8> {
    let header =
        PlanHeader { model: bundle.model(), sequence: 1, budget: 3000, channels: codes.len() as u32 };
    random_model::encode(&header, codes)
}
