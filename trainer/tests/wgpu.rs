//! Training steps on wgpu against the same steps on the CPU. Without a GPU, Mesa's lavapipe is the device.

use chord_trainer::config;
use chord_trainer::data::{HeldOut, Sequences};
use chord_trainer::device::{self, DeviceName};
use chord_trainer::hypernetwork::Channels;
use chord_trainer::model::chord::{Chord, Precision, allocator};
use chord_trainer::tensor::Device;
use chord_trainer::training::adam::Adam;
use chord_trainer::training::batches;
use chord_trainer::training::step::StepContext;

const STEPS: usize = 20;
const RATE: f64 = 5e-3;

const SMALL: [&str; 10] = [
    // Gradients well above the noise of f32: Adam's first steps are as long for noise as for signal.
    "model.embedding_std=0.3",
    "model.dim=16",
    "model.inner=16",
    "model.window=6",
    "model.blocks=1",
    "profile.recent=4",
    "profile.features=8",
    "profile.hidden=8",
    "train.batch=8",
    "train.loss.negatives=12",
];

/// The mean loss of each step, from weights and batches that are the same on every device.
fn losses(device: &Device, precision: Precision, more: &[&str], learning_rate: f64) -> Vec<f64> {
    let sets: Vec<String> = SMALL.iter().chain(more).map(|&set| set.to_owned()).collect();
    let config = config::load(None, &sets).unwrap();
    // Users who walk round a ring of 40 items, each at a pace of their own.
    let ring = |user: u32| (0..12).map(move |t| (user * 7 + t * (1 + user % 3)) % 40).collect::<Vec<_>>();
    let sequences: Sequences = (0..40).map(ring).collect();
    let data = HeldOut::new(&sequences);
    let model = Chord::new(&config, 40, device);
    let backbone = model.backbone.clone().map_layers(|layer| layer.initialise_ranges(2.4));
    let mut model = Chord { backbone, ..model }.learning(precision, &config.train);
    let allocator = allocator(&config, precision, &Channels::of(&model.backbone));
    let context = StepContext {
        config: &config,
        data: &data,
        precision,
        allocator: &allocator,
        device,
        teacher: None,
        sensitivities: None,
    };
    let mut adam = Adam::default();
    let mut losses = Vec::new();
    let epochs =
        (0..).flat_map(|epoch| batches::epoch(&data, config.training_window(), config.train.batch, epoch));
    for (number, batch) in epochs.take(STEPS).enumerate() {
        let (next, loss) = context.step(model, &mut adam, &batch, number as u64, learning_rate).unwrap();
        model = next;
        losses.push(loss.sum / loss.positions as f64);
    }
    losses
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max)
}

/// The losses agree to 1e-4 in the first two steps, so in a forward pass and in the gradients and the update behind the
/// second. From there on the devices' roundings (1e-7) grow: Adam moves a weight whose gradient is near zero by a whole
/// step in either direction, and with quantised layers a rounding may tip an int8 code or a plan's code. Measured over
/// all steps: up to 2e-4 in full precision and 5e-3 with plans. Without learning the losses differ by more.
fn agrees(precision: Precision, more: &[&str]) {
    let gpu = device::open(DeviceName::Wgpu).expect("`cargo xtask setup` installs a Vulkan driver");
    let cpu = device::open(DeviceName::Cpu).unwrap();
    let tolerance = if precision == Precision::Fp32 { 1e-3 } else { 2e-2 };
    let expected = losses(&cpu, precision, more, RATE);
    let found = losses(&gpu, precision, more, RATE);
    let unlearnt = losses(&cpu, precision, more, 0.0);
    let [first, all] = [2, STEPS].map(|steps| largest_difference(&found[..steps], &expected[..steps]));
    let learnt = largest_difference(&unlearnt, &expected);
    println!("{precision} {more:?}: {first:.1e}, {all:.1e}, without learning {learnt:.1e}");
    assert!(first < 1e-4 && all < tolerance, "wgpu {found:?}\nCPU {expected:?}");
    assert!(learnt > 1.5 * tolerance, "nothing to tell apart: {learnt:e}");
}

#[test]
fn sasrec_at_full_precision() {
    agrees(Precision::Fp32, &[]);
}

#[test]
fn caser_at_full_precision() {
    agrees(Precision::Fp32, &["model.backbone=caser", "train.loss.kind=sampled-softmax"]);
}

#[test]
fn sasrec_with_personal_plans() {
    agrees(Precision::Personal, &["quantisation.per_width=true", "train.personal.learns=widths"]);
}

#[test]
fn caser_with_personal_plans() {
    agrees(
        Precision::Personal,
        &["model.backbone=caser", "train.loss.kind=bce", "train.personal.learns=everything"],
    );
}
