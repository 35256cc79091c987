//! Random models, plans and histories from a seed: the same bytes on every machine.
//!
//! The tests of the other crates include this file by its path.
#![allow(dead_code, unreachable_pub)] // Each test uses its part, at its own visibility.

use chord_plan::bundle::{LayerPart, ModelId, Norm, NormPart, Section};
use chord_plan::manifest::{
    Activation, Architecture, CaserShape, LayerName, PositionsFrom, ProfileShape, SasRecShape,
};
use chord_plan::plan::{self, PlanHeader};
use chord_plan::{Bundle, BundleWriter, Granularity, Manifest, Palette, rows};

/// Cases of a property test: as many as `PROPTEST_CASES` says, `default` without it.
pub fn cases(default: u32) -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

/// SplitMix64.
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

    /// A size in `1..=most`; half of it for Miri, which takes seconds for a ranking of the largest sizes.
    fn size(&mut self, most: usize) -> usize {
        1 + self.below(if cfg!(miri) { most.div_ceil(2) } else { most })
    }

    /// In `-1.0..1.0`, a multiple of 2^-23.
    pub fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A manifest of either network with small random sizes, with a profile encoder or without.
pub fn manifest(random: &mut Random) -> Manifest {
    let positions = [PositionsFrom::Right, PositionsFrom::Left][random.below(2)];
    let profile = [None, Some(small_profile(random))][random.below(2)];
    match random.below(2) {
        0 => Manifest { profile, positions_from: positions, ..small_sasrec(random) },
        _ => Manifest { profile, ..small_caser(random) },
    }
}

/// A profile encoder with small random sizes.
pub fn small_profile(random: &mut Random) -> ProfileShape {
    ProfileShape {
        pooled: random.size(6) as u16,
        features: random.size(9) as u16,
        hidden: random.size(9) as u16,
        norm_epsilon: 1e-5,
    }
}

/// A SASRec manifest with small random sizes.
pub fn small_sasrec(random: &mut Random) -> Manifest {
    let heads = random.size(3);
    let shape = SasRecShape {
        items: random.size(20) as u32,
        positions: random.size(6) as u16,
        dim: (heads * random.size(5)) as u16,
        inner: random.size(17) as u16,
        blocks: random.size(3) as u8,
        heads: heads as u8,
        activation: [Activation::Relu, Activation::Gelu][random.below(2)],
        norm_epsilon: 1e-5,
    };
    quantised(Architecture::SasRec(shape), random)
}

/// A Caser manifest with small random sizes.
pub fn small_caser(random: &mut Random) -> Manifest {
    let shape = CaserShape {
        items: random.size(20) as u32,
        window: random.size(6) as u16,
        dim: random.size(13) as u16,
        horizontal: random.size(5) as u16,
        vertical: random.size(4) as u16,
    };
    quantised(Architecture::Caser(shape), random)
}

/// With a random palette and granularity.
fn quantised(architecture: Architecture, random: &mut Random) -> Manifest {
    let palettes = [[0, 2, 4, 8], [2, 4, 8, 255], [0, 4, 255, 255], [8, 255, 255, 255]];
    let palette = palettes[random.below(palettes.len())];
    let granularity = [Granularity::PerChannel, Granularity::PerWidth][random.below(2)];
    Manifest { granularity, ..per_channel(architecture, palette) }
}

/// A SASRec manifest with one range and one bias per channel.
pub fn sasrec(shape: SasRecShape, palette: [u8; 4]) -> Manifest {
    per_channel(Architecture::SasRec(shape), palette)
}

/// A Caser manifest with one range and one bias per channel.
pub fn caser(shape: CaserShape, palette: [u8; 4]) -> Manifest {
    per_channel(Architecture::Caser(shape), palette)
}

fn per_channel(architecture: Architecture, palette: [u8; 4]) -> Manifest {
    let palette = Palette::new(palette).expect("a palette of the tests is valid");
    Manifest {
        architecture,
        palette,
        granularity: Granularity::PerChannel,
        positions_from: PositionsFrom::Right,
        profile: None,
    }
}

/// What a section holds.
enum Content {
    Codes(Vec<i8>),
    Floats(Vec<f32>),
}

/// A bundle with random weights.
pub fn bundle(manifest: &Manifest, random: &mut Random) -> Vec<u8> {
    write(manifest, &contents(manifest, random))
}

/// A bundle with random weights, and the same without item table.
pub fn with_and_without_items(manifest: &Manifest, random: &mut Random) -> [Vec<u8>; 2] {
    let mut contents = contents(manifest, random);
    let with = write(manifest, &contents);
    contents[0].1 = Content::Codes(vec![]);
    contents[1].1 = Content::Floats(vec![]);
    [with, write(&manifest.without_items(), &contents)]
}

fn contents(manifest: &Manifest, random: &mut Random) -> Vec<(Section, Content)> {
    let content = |(section, len)| {
        let mut numbers = |centre: f32, spread: f32| -> Vec<f32> {
            (0..len).map(|_| centre + spread * random.signed()).collect()
        };
        let numbers = match section {
            Section::ItemCodes | Section::Layer(_, LayerPart::Codes) => {
                return (section, Content::Codes((0..len).map(|_| random.bits() as i8).collect()));
            }
            Section::ItemRanges | Section::Layer(_, LayerPart::Ranges) => numbers(0.5, 0.4),
            Section::Norm(_, NormPart::Gamma) => numbers(1.0, 0.5),
            Section::Positions | Section::Norm(..) | Section::Layer(..) => numbers(0.0, 0.2),
        };
        (section, Content::Floats(numbers))
    };
    section_lengths(manifest).into_iter().map(content).collect()
}

fn write(manifest: &Manifest, contents: &[(Section, Content)]) -> Vec<u8> {
    let mut bytes = vec![0; manifest.bundle_len().expect("the manifest is valid")];
    let mut writer = BundleWriter::new(manifest, &mut bytes).expect("the buffer fits");
    for (section, content) in contents {
        let written = match content {
            Content::Codes(codes) => writer.codes(*section, codes),
            Content::Floats(numbers) => writer.floats(*section, numbers),
        };
        written.expect("the section fits");
    }
    writer.finish().expect("all sections are written");
    bytes
}

/// Rows of a bundle's item table as a message for a model.
pub fn rows(bundle: &Bundle<'_>, items: &[u32], model: ModelId) -> Vec<u8> {
    let codes: Vec<i8> = items.iter().flat_map(|&item| bundle.item_codes(item as usize).to_vec()).collect();
    let ranges: Vec<f32> = items.iter().map(|&item| bundle.item_range(item as usize)).collect();
    let dim = bundle.manifest().dim();
    let mut bytes = vec![0; rows::longest(items.len(), dim)];
    let len = rows::encode(model, dim as u16, &codes, &ranges, &mut bytes).expect("the rows fit");
    bytes.truncate(len);
    bytes
}

/// Sections and their numbers of elements.
pub fn section_lengths(manifest: &Manifest) -> Vec<(Section, usize)> {
    let (items, dim) = (manifest.items() as usize, manifest.dim());
    let len = |section| match section {
        Section::ItemCodes => items * dim,
        Section::ItemRanges => items,
        Section::Positions => manifest.window() * dim,
        Section::Norm(Norm::Profile, _) => manifest.profile.expect("a profile encoder").hidden.into(),
        Section::Norm(..) => dim,
        Section::Layer(LayerName::Profile(kind), part) => {
            let layer = manifest.profile_layer(kind).expect("a profile encoder");
            layer.outputs * if part == LayerPart::Codes { layer.inputs } else { 1 }
        }
        Section::Layer(name, part) => {
            let layer = manifest.layers().find(|layer| layer.name == name).expect("a layer");
            let of_widths = |from: u8| match manifest.granularity {
                Granularity::PerChannel => 1,
                Granularity::PerWidth => manifest.palette.widths().iter().filter(|&&b| b >= from).count(),
            };
            let per_channel = match part {
                LayerPart::Codes => layer.inputs,
                LayerPart::Ranges => of_widths(2),
                LayerPart::Biases => of_widths(0),
            };
            layer.outputs * per_channel
        }
    };
    Section::all(manifest).map(|section| (section, len(section))).collect()
}

/// A plan for `bundle` with random codes of its palette.
pub fn plan(bundle: &Bundle<'_>, sequence: u32, random: &mut Random) -> Vec<u8> {
    let manifest = bundle.manifest();
    let used = manifest.palette.widths().len();
    let codes: Vec<u8> = (0..manifest.channels()).map(|_| random.below(used) as u8).collect();
    let kept: u64 = manifest.layers().fold(0, |kept, layer| {
        let codes = &codes[layer.first_channel..][..layer.outputs];
        let bits = codes.iter().map(|&code| u64::from(manifest.palette.bits(code).unwrap()));
        kept + bits.sum::<u64>() * layer.inputs as u64
    });
    let budget = (kept * 1000).div_ceil(manifest.quantised_weights()) as u16;
    let channels = codes.len() as u32;
    encode(&PlanHeader { model: bundle.model(), sequence, budget, channels }, &codes)
}

/// A plan's bytes.
pub fn encode(header: &PlanHeader, codes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; plan::encoded_len(header).expect("the plan fits in memory")];
    let len = plan::encode(header, codes, &mut bytes).expect("the codes are valid");
    assert_eq!(len, bytes.len());
    bytes
}

/// Codes of a plan of 3.0 bits per weight for palette 0, 2, 4, 8.
const THREE_BITS: [u8; 8] = [3, 2, 2, 1, 1, 1, 1, 0];

/// A plan of 3.0 bits per weight in palette 0, 2, 4, 8, each layer's widths in random order.
pub fn three_bit_plan(bundle: &Bundle<'_>, random: &mut Random) -> Vec<u8> {
    let mut codes = Vec::new();
    for layer in bundle.manifest().layers() {
        let mut of_layer: Vec<u8> = THREE_BITS.into_iter().cycle().take(layer.outputs).collect();
        for i in (1..of_layer.len()).rev() {
            of_layer.swap(i, random.below(i + 1));
        }
        codes.extend(of_layer);
    }
    let channels = codes.len() as u32;
    encode(&PlanHeader { model: bundle.model(), sequence: 1, budget: 3000, channels }, &codes)
}

/// Random item rows.
pub fn items(len: usize, bundle: &Bundle<'_>, random: &mut Random) -> Vec<u32> {
    let items = bundle.manifest().items() as usize;
    (0..len).map(|_| random.below(items) as u32).collect()
}
