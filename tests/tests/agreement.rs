//! The runtime's logits are the simulation's, bit for bit: two implementations of docs/numerics.md that share only
//! its scalar arithmetic, one from bundle and plan bytes, one from the f32 weights.

use std::collections::HashSet;

use chord_plan::manifest::{
    Activation, Architecture, CaserShape, LayerKind, PositionsFrom, ProfileLayer, ProfileShape, SasRecShape,
};
use chord_plan::{Bundle, Granularity, ItemRows, Manifest, Palette, Plan};
use chord_runtime::{Embeddings, Engine, Error, Options, Profile, ProfileRequirements, Ranked, Requirements};
use chord_tests::random_model::Random;
use chord_tests::trained;
use chord_trainer::config::BackboneName;
use chord_trainer::evaluation::trainer_engine::TrainerEngine;
use chord_trainer::freeze::freeze_with_profile;
use chord_trainer::frozen::{
    FrozenBlock, FrozenCaser, FrozenLayer, FrozenModel, FrozenNetwork, FrozenProfile, FrozenSasRec, Norm,
    encode_plan, range_of_row,
};
use chord_trainer::model::chord::Precision;
use chord_trainer::simulation::{Simulation, SimulationError};
use proptest::prelude::*;

const GRANULARITIES: [Granularity; 2] = [Granularity::PerChannel, Granularity::PerWidth];

/// How far apart the magnitudes of ranges, weights and biases are, as powers of two.
#[derive(Clone, Copy, Debug)]
enum Scale {
    Ordinary,
    Wide,
    /// To the ends of what the format allows, also in the norms; some logits overflow.
    Extreme,
}

fn sasrecs() -> impl Strategy<Value = Architecture> {
    let sizes = (1u32..40, 1u16..12, 1u8..=4, 1u16..10, 1u16..40, 1u8..=3);
    (sizes, any::<bool>()).prop_map(|((items, positions, heads, head_dim, inner, blocks), gelu)| {
        Architecture::SasRec(SasRecShape {
            items,
            positions,
            dim: u16::from(heads) * head_dim,
            inner,
            blocks,
            heads,
            activation: if gelu { Activation::Gelu } else { Activation::Relu },
            norm_epsilon: 1e-12,
        })
    })
}

fn casers() -> impl Strategy<Value = Architecture> {
    let sizes = (1u32..40, 1u16..12, 1u16..40, 1u16..8, 1u16..6);
    sizes.prop_map(|(items, window, dim, horizontal, vertical)| {
        Architecture::Caser(CaserShape { items, window, dim, horizontal, vertical })
    })
}

fn palettes() -> impl Strategy<Value = Palette> {
    let entries = [[0, 2, 4, 8], [2, 4, 8, 255], [0, 4, 8, 255], [8, 255, 255, 255], [0, 2, 255, 255]];
    proptest::sample::select(entries.map(|entries| Palette::new(entries).unwrap()).to_vec())
}

fn scales() -> impl Strategy<Value = Scale> {
    prop_oneof![3 => Just(Scale::Ordinary), 2 => Just(Scale::Wide), 1 => Just(Scale::Extreme)]
}

/// Random numbers of a model.
struct Numbers {
    random: Random,
    scale: Scale,
}

impl Numbers {
    fn magnitude(&mut self) -> f32 {
        let reach: i32 = match self.scale {
            Scale::Ordinary => 2,
            Scale::Wide => 12,
            Scale::Extreme => 64,
        };
        let exponent = self.random.below(2 * reach as usize + 1) as i32 - reach;
        2f32.powi(exponent)
    }

    fn vector(&mut self, len: usize, centre: f32, spread: f32) -> Vec<f32> {
        (0..len).map(|_| centre + spread * self.random.signed()).collect()
    }

    /// A channel's range and its weights, some of them beyond the range, at its ends, or 0; with `widths`, ranges and
    /// biases for each of them.
    fn layer(&mut self, outputs: usize, inputs: usize, widths: Option<&[u8]>) -> FrozenLayer {
        let width_ranges = widths.map(|_| vec![]);
        let mut layer = FrozenLayer { weights: vec![], ranges: vec![], width_ranges, biases: vec![] };
        for _ in 0..outputs {
            let range = self.magnitude();
            layer.ranges.push(range);
            for &bits in widths.unwrap_or(&[0]) {
                layer.biases.push(self.random.signed() * self.magnitude());
                if let Some(ranges) = layer.width_ranges.as_mut().filter(|_| bits > 0) {
                    ranges.push(self.magnitude());
                }
            }
            for _ in 0..inputs {
                let w = match self.random.below(16) {
                    0 => range,
                    1 => -range,
                    2 => 0.0,
                    _ => 1.25 * range * self.random.signed(),
                };
                layer.weights.push(w);
            }
        }
        layer
    }

    fn norm(&mut self, dim: usize) -> Norm {
        let mut gamma = self.vector(dim, 1.0, 0.9);
        if let Scale::Extreme = self.scale {
            gamma.iter_mut().for_each(|gamma| *gamma *= self.magnitude());
        }
        Norm { gamma, beta: self.vector(dim, 0.0, 0.5) }
    }

    fn model(&mut self, manifest: &Manifest) -> FrozenModel {
        let palette = manifest.palette;
        let widths = (manifest.granularity == Granularity::PerWidth).then_some(palette.widths());
        let dim = manifest.dim();
        let item_weights: Vec<f32> = (0..manifest.items())
            .flat_map(|_| {
                // Half, as a row's range is a little above its largest weight.
                let magnitude = 0.5 * self.magnitude();
                self.vector(dim, 0.0, magnitude)
            })
            .collect();
        let item_ranges = item_weights.chunks(dim).map(range_of_row).collect();
        let network = match manifest.architecture {
            Architecture::SasRec(shape) => {
                FrozenNetwork::SasRec(self.sasrec(shape, manifest.positions_from, widths))
            }
            Architecture::Caser(shape) => {
                let layers = manifest.layers().map(|layer| self.layer(layer.outputs, layer.inputs, widths));
                FrozenNetwork::Caser(FrozenCaser { shape, layers: layers.collect() })
            }
        };
        let profile = manifest.profile.map(|shape| FrozenProfile {
            shape,
            layers: ProfileLayer::ALL.map(|kind| {
                let layer = manifest.profile_layer(kind).unwrap();
                self.layer(layer.outputs, layer.inputs, None)
            }),
            norm: self.norm(shape.hidden.into()),
        });
        FrozenModel { palette, item_weights, item_ranges, network, profile }
    }

    fn sasrec(
        &mut self,
        shape: SasRecShape,
        positions_from: PositionsFrom,
        widths: Option<&[u8]>,
    ) -> FrozenSasRec {
        let (dim, inner) = (usize::from(shape.dim), usize::from(shape.inner));
        let blocks = (0..shape.blocks).map(|_| FrozenBlock {
            norm1: self.norm(dim),
            norm2: self.norm(dim),
            layers: LayerKind::ALL.map(|kind| match kind {
                LayerKind::Expand => self.layer(inner, dim, widths),
                LayerKind::Contract => self.layer(dim, inner, widths),
                _ => self.layer(dim, dim, widths),
            }),
        });
        FrozenSasRec {
            shape,
            positions_from,
            blocks: blocks.collect(),
            positions: self.vector(usize::from(shape.positions) * dim, 0.0, 0.5),
            final_norm: self.norm(dim),
        }
    }
}

/// A finite vector's bits, or the item whose logit is not finite.
type Bits = Result<Vec<u32>, u32>;

fn simulated(simulation: &Simulation, codes: &[u8], history: &[u32]) -> Bits {
    match simulation.logits(codes, history) {
        Ok(logits) => Ok(logits.into_iter().map(f32::to_bits).collect()),
        Err(SimulationError::NotFinite { item }) => Err(item),
        Err(error) => panic!("{error}"),
    }
}

fn on_device(engine: &mut Engine<'_>, history: &[u32]) -> Bits {
    let candidates: Vec<u32> = (0..engine.bundle().manifest().items()).collect();
    match engine.score(history, &candidates, &mut vec![0.0; candidates.len()]) {
        Ok(logits) => Ok(logits.iter().copied().map(f32::to_bits).collect()),
        Err(Error::NotFinite { item }) => Err(item),
        Err(error) => panic!("{error}"),
    }
}

fn on_devices_profile(profile: &mut Profile<'_>) -> Bits {
    match profile.embedding() {
        Ok(embedding) => Ok(embedding.iter().copied().map(f32::to_bits).collect()),
        Err(Error::EmbeddingNotFinite) => Err(u32::MAX),
        Err(error) => panic!("{error}"),
    }
}

/// A history through both profile encoders: the device's takes it item by item. How often the embedding is finite.
fn check_profile(manifest: &Manifest, scale: Scale, seed: u64) -> usize {
    let mut numbers = Numbers { random: Random(seed), scale };
    let model = numbers.model(manifest);
    let simulation = Simulation::new(&model).unwrap();
    let bytes = model.to_bundle().unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut arena = vec![0; ProfileRequirements::of(&bundle).unwrap().arena_bytes];
    let mut profile = Profile::new(bundle, &mut arena).unwrap();
    let (mut history, mut finite) = (vec![], 0);
    for _ in 0..20 {
        let item = numbers.random.below(manifest.items() as usize) as u32;
        history.push(item);
        match (simulation.embedding(&history), profile.append(item)) {
            (Ok(embedding), Ok(())) => {
                let expected = embedding.into_iter().map(f32::to_bits).collect();
                assert_eq!(on_devices_profile(&mut profile), Ok(expected), "{history:?}");
                finite += 1;
            }
            (Err(SimulationError::EmbeddingNotFinite), Ok(())) => {
                assert_eq!(on_devices_profile(&mut profile), Err(u32::MAX));
            }
            (Err(SimulationError::ProfileOverflow { item }), found) => {
                assert_eq!(found, Err(Error::ProfileOverflow { item }));
                // What cannot be taken in is left out, by both.
                history.pop();
            }
            (expected, found) => panic!("{expected:?}, {found:?}"),
        }
    }
    finite
}

/// Two plans for one model, each with several histories; the second plan through [`Engine::apply`].
fn check(manifest: Manifest, scale: Scale, rows_at_once: usize, seed: u64) -> usize {
    let palette = manifest.palette;
    let mut numbers = Numbers { random: Random(seed), scale };
    let model = numbers.model(&manifest);
    assert_eq!(model.manifest(), manifest);
    let simulation = Simulation::new(&model).unwrap();
    let bytes = model.to_bundle().unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let random = &mut numbers.random;
    let plans = [0, 1].map(|sequence| {
        let used = palette.widths().len();
        let codes: Vec<u8> = (0..model.channels()).map(|_| random.below(used) as u8).collect();
        let plan = encode_plan(&codes, bundle.model(), sequence, 4.0).unwrap();
        (codes, plan)
    });
    let options = Options { rows_at_once, ..Options::default() };
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, &Plan::parse(&plans[0].1).unwrap(), &mut arena, options).unwrap();
    let mut finite = 0;
    for (index, (codes, plan)) in plans.iter().enumerate() {
        if index > 0 {
            engine.apply(&Plan::parse(plan).unwrap()).unwrap();
        }
        for _ in 0..3 {
            let len = 1 + random.below(2 * manifest.window());
            let history: Vec<u32> =
                (0..len).map(|_| random.below(manifest.items() as usize) as u32).collect();
            let expected = simulated(&simulation, codes, &history);
            assert_eq!(on_device(&mut engine, &history), expected, "plan {index}, history {history:?}");
            finite += usize::from(expected.is_ok());
            if index == 0 {
                assert_eq!(ranked_without_items(&model, codes, &history), ranked(&mut engine, &history));
            }
        }
    }
    finite
}

/// A ranking of the whole catalogue, as items and bits.
type Ranking = Result<Vec<(u32, u32)>, Error>;

fn as_bits(ranked: &[Ranked]) -> Vec<(u32, u32)> {
    ranked.iter().map(|ranked| (ranked.item, ranked.logit.to_bits())).collect()
}

fn ranked(engine: &mut Engine<'_>, history: &[u32]) -> Ranking {
    let candidates: Vec<u32> = (0..engine.bundle().manifest().items()).collect();
    engine.rank(history, &candidates, &mut vec![Ranked::default(); candidates.len()]).map(as_bits)
}

/// The same from the bundle without item table, of which all rows come as messages; a candidate's place is its row.
fn ranked_without_items(model: &FrozenModel, codes: &[u8], history: &[u32]) -> Ranking {
    let bytes = model.clone().without_items().to_bundle().unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let catalogue: Vec<u32> = (0..model.manifest().items()).collect();
    let messages = [history, &catalogue].map(|items| model.item_rows(bundle.model(), items).unwrap());
    let [history, candidates] = messages.each_ref().map(|message| {
        let rows = ItemRows::parse(message).unwrap();
        rows.check_against(&bundle).unwrap();
        Embeddings::from(rows)
    });
    let plan = encode_plan(codes, bundle.model(), 0, 4.0).unwrap();
    let options = Options::default();
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
    engine.rank_items(history, candidates, &mut vec![Ranked::default(); catalogue.len()]).map(as_bits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn runtime_and_simulation_agree(
        architecture in prop_oneof![sasrecs(), casers()],
        palette in palettes(),
        granularity in proptest::sample::select(&GRANULARITIES),
        left: bool,
        profile in (1u16..12, 1u16..10, 1u16..10),
        scale in scales(),
        rows_at_once in 1usize..6,
        seed: u64,
    ) {
        let positions_from = match architecture {
            Architecture::SasRec(_) if left => PositionsFrom::Left,
            _ => PositionsFrom::Right,
        };
        let (pooled, features, hidden) = profile;
        let profile = Some(ProfileShape { pooled, features, hidden, norm_epsilon: 1e-5 });
        let manifest = Manifest { architecture, palette, granularity, positions_from, profile };
        let finite = check(manifest, scale, rows_at_once, seed);
        let embeddings = check_profile(&manifest, scale, seed);
        if matches!(scale, Scale::Ordinary) {
            prop_assert_eq!((finite, embeddings), (6, 20), "ordinary models have finite results");
        }
    }
}

/// The sizes of the reference models on MovieLens 100K; also a bound on the simulation's time.
#[test]
fn models_of_ordinary_size() {
    let sasrec = SasRecShape {
        items: 1682,
        positions: 50,
        dim: 64,
        inner: 256,
        blocks: 2,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-12,
    };
    let caser = CaserShape { items: 1682, window: 5, dim: 64, horizontal: 16, vertical: 4 };
    for architecture in [Architecture::SasRec(sasrec), Architecture::Caser(caser)] {
        for granularity in GRANULARITIES {
            let profile = ProfileShape { pooled: 100, features: 32, hidden: 48, norm_epsilon: 1e-5 };
            let manifest = Manifest {
                architecture,
                palette: Palette::DEFAULT,
                granularity,
                positions_from: PositionsFrom::Right,
                profile: Some(profile),
            };
            assert_eq!(check(manifest, Scale::Ordinary, 4, 20_251_003), 6);
            assert_eq!(check_profile(&manifest, Scale::Ordinary, 20_251_003), 20);
        }
    }
}

/// Trained, frozen, planned for: simulation and engine agree to the last bit on every user's own plan. SASRec's is in
/// `qemu.rs`.
#[test]
fn a_trained_caser_ranks_alike_in_both_engines() {
    let run = tempfile::tempdir().unwrap();
    let mut config = trained::config();
    config.model.backbone = BackboneName::Caser;
    config.model.window = 5;
    // Stretches of several windows would make few steps of an epoch.
    config.train.stretch = 5;
    config.train.personal.epochs = 5;
    config.train.personal.learning_rate = 3e-3;
    config.quantisation.per_width = true;
    let model = trained::train(&config, run.path());
    let frozen = freeze_with_profile(&model, &config).unwrap();
    let simulation = Simulation::new(&frozen).unwrap();
    let bytes = frozen.to_bundle().unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();

    let sequences = trained::sequences();
    let histories: Vec<&[u32]> = sequences.iter().collect();
    let plans = TrainerEngine::new(&model, &config, Precision::Personal, 3.0).plans(&histories).unwrap();
    let distinct: HashSet<&[u8]> = plans.iter().map(|plan| &plan.codes[..]).collect();
    assert!(distinct.len() > 1, "the plans are not personal");
    let options = Options::default();
    for (plan, history) in plans.iter().zip(histories) {
        let bytes = encode_plan(&plan.codes, bundle.model(), 1, 3.0).unwrap();
        let mut arena = vec![0; ProfileRequirements::of(&bundle).unwrap().arena_bytes];
        let mut profile = Profile::new(bundle, &mut arena).unwrap();
        history.iter().for_each(|&item| profile.append(item).unwrap());
        let embedding = simulation.embedding(history).unwrap().into_iter().map(f32::to_bits).collect();
        assert_eq!(on_devices_profile(&mut profile), Ok(embedding));

        let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
        let mut engine = Engine::new(bundle, &Plan::parse(&bytes).unwrap(), &mut arena, options).unwrap();
        for len in [1, 3, history.len()] {
            let expected = simulated(&simulation, &plan.codes, &history[..len]);
            assert!(expected.is_ok());
            assert_eq!(on_device(&mut engine, &history[..len]), expected);
        }
    }
}
