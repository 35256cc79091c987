//! Layers of any size with random weights, for the programs of this crate.
#![no_std]

use core::arch::asm;

// Brings the critical section and the start-up code in.
use cortex_m as _;
use panic_semihosting as _;

use chord_plan::bundle::{BundleWriter, LayerPart, NormPart, Section};
use chord_plan::manifest::{Activation, Architecture, LayerKind, PositionsFrom, SasRecShape};
use chord_plan::{Bundle, Granularity, Manifest, Palette};

/// Calls `region` between the marks that the counting plugin knows.
#[inline(always)]
pub fn counted(region: impl FnOnce()) {
    // SAFETY: a hint without a meaning, which cores execute as a nop.
    unsafe { asm!("hint #0x40", options(nomem, nostack, preserves_flags)) };
    region();
    // SAFETY: as above.
    unsafe { asm!("hint #0x41", options(nomem, nostack, preserves_flags)) };
}

/// SplitMix64.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// In `-1.0..1.0`.
    pub fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Palette of [`bundle`]: code 3 is 8 bits.
pub const PALETTE: [u8; 4] = [0, 2, 4, 8];

/// The layer of [`bundle`] that has the wanted size.
pub const LAYER: usize = LayerKind::Expand as usize;

/// Writes a model to `memory` whose layer [`LAYER`] has `inputs` inputs and `outputs` outputs.
///
/// Its codes come from `code`. Panics if the memory does not hold it.
pub fn bundle<'m>(
    memory: &'m mut [u8],
    inputs: usize,
    outputs: usize,
    random: &mut Random,
    mut code: impl FnMut(&mut Random) -> i8,
) -> Bundle<'m> {
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
    let palette = Palette::new(PALETTE).unwrap();
    let manifest = Manifest {
        architecture: Architecture::SasRec(shape),
        palette,
        granularity: Granularity::PerChannel,
        positions_from: PositionsFrom::Right,
        profile: None,
    };
    let memory = &mut memory[..manifest.bundle_len().unwrap()];
    let mut writer = BundleWriter::new(&manifest, memory).unwrap();
    let mut codes = [0; CODES];
    let mut floats = [0.0; 520];
    for section in Section::all(&manifest) {
        let layer = |name| manifest.layers().find(|layer| layer.name == name).unwrap();
        let len = match section {
            Section::ItemCodes | Section::Positions | Section::Norm(..) => inputs,
            Section::ItemRanges => 1,
            Section::Layer(name, LayerPart::Codes) => layer(name).inputs * layer(name).outputs,
            Section::Layer(name, _) => layer(name).outputs,
        };
        if section.holds_codes() {
            codes[..len].fill_with(|| code(random));
            writer.codes(section, &codes[..len]).unwrap();
        } else {
            let (centre, spread) = match section {
                Section::ItemRanges | Section::Layer(_, LayerPart::Ranges) => (0.5, 0.4),
                Section::Norm(_, NormPart::Gamma) => (1.0, 0.5),
                _ => (0.0, 0.2),
            };
            floats[..len].fill_with(|| centre + spread * random.signed());
            writer.floats(section, &floats[..len]).unwrap();
        }
    }
    writer.finish().unwrap();
    Bundle::parse(memory).unwrap()
}

/// Codes of the largest layer.
const CODES: usize = 520 * 520;

/// Plan codes of the layer's channels in `bits`, packed as in a plan, to `packed`.
pub fn pack_plan(bundle: &Bundle<'_>, bits: impl Fn(usize) -> u8, packed: &mut [u8]) {
    packed.fill(0);
    let layer = *bundle.layer(LAYER).layer();
    for channel in 0..layer.outputs {
        let code = PALETTE.iter().position(|&width| width == bits(channel)).unwrap() as u8;
        let place = layer.first_channel + channel;
        packed[place / 4] |= code << (2 * (place % 4));
    }
}
