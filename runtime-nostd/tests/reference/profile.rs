//! Section 11: the whole history from its start, every window summed anew, in floating point where nothing rounds.

use chord_plan::Bundle;
use chord_plan::bundle::Norm;
use chord_plan::manifest::ProfileLayer;
use chord_plan::numerics as n;

use super::item_value;

/// The user embedding.
pub(crate) fn embedding(bundle: &Bundle<'_>, history: &[u32]) -> Vec<f32> {
    let shape = bundle.manifest().profile.unwrap();
    let hidden = usize::from(shape.hidden);
    let features: Vec<Vec<f32>> =
        history.iter().map(|&item| linear(bundle, ProfileLayer::Input, &item_value(bundle, item))).collect();
    let mut state = vec![0.0; hidden];
    for features in &features {
        let (i, s) = (
            linear(bundle, ProfileLayer::InputGates, features),
            linear(bundle, ProfileLayer::StateGates, &state),
        );
        state = (0..hidden)
            .map(|h| {
                let sigmoid = |x: f32| 1.0 / (1.0 + libm::expf(-x));
                let reset = sigmoid(i[h] + s[h]);
                let update = sigmoid(i[hidden + h] + s[hidden + h]);
                let candidate = libm::tanhf(i[2 * hidden + h] + reset * s[2 * hidden + h]);
                candidate + update * (state[h] - candidate)
            })
            .collect();
    }
    let newest = &features[features.len().saturating_sub(shape.pooled.into())..];
    let sums: Vec<i64> = (0..usize::from(shape.features))
        // Exact in f64: multiples of 2^-24 below 2^20.
        .map(|f| newest.iter().map(|x| libm::rint(f64::from(x[f]) * 16_777_216.0) as i64).sum())
        .collect();
    from_state(bundle, &sums, newest.len(), &state)
}

/// The user embedding of a state and the sums of the newest items' features in units of 2^-24.
pub(super) fn from_state(bundle: &Bundle<'_>, sums: &[i64], items: usize, state: &[f32]) -> Vec<f32> {
    let scale = 1.0 / libm::sqrtf(items.max(1) as f32);
    let pooled: Vec<f32> = sums.iter().map(|&sum| sum as f32 / 16_777_216.0 * scale).collect();
    let pooled = linear(bundle, ProfileLayer::Pooled, &pooled);
    let sum: Vec<f32> = pooled.iter().zip(state).map(|(y, state)| y + state).collect();
    let (gamma, beta) = bundle.norm(Norm::Profile);
    let mut embedding = vec![0.0; state.len()];
    n::layer_norm(&sum, gamma, beta, bundle.manifest().profile.unwrap().norm_epsilon, &mut embedding);
    embedding
}

fn linear(bundle: &Bundle<'_>, kind: ProfileLayer, x: &[f32]) -> Vec<f32> {
    let view = bundle.profile_layer(kind);
    let mut a = vec![0; x.len()];
    let scale = n::quantise_token(x, &mut a);
    let channel = |c| {
        let t = n::dot_levels(&a, view.codes(c), 8);
        n::channel_output(t, n::step(view.range(c, 8), 8), scale, view.bias(c, 8))
    };
    (0..view.layer().outputs).map(channel).collect()
}
