//! The networks in f64 with the plan's weights and nothing else rounded: what both arithmetics approach.

use chord_plan::bundle::Norm;
use chord_plan::manifest::{
    Activation, Architecture, CaserShape, LayerKind, LayerName, PositionsFrom, ProfileLayer, SasRecShape,
};
use chord_plan::numerics as n;
use chord_plan::{Bundle, Plan};

use super::layer;

type Rows = Vec<Vec<f64>>;

/// Logits of all items, for a history that fits the window.
pub(crate) fn logits(bundle: &Bundle<'_>, plan: &Plan<'_>, history: &[u32]) -> Vec<f64> {
    let scored = match bundle.manifest().architecture {
        Architecture::SasRec(shape) => sasrec(bundle, plan, &shape, history),
        Architecture::Caser(shape) => caser(bundle, plan, &shape, history),
    };
    let logit = |row| item(bundle, row).iter().zip(&scored).map(|(w, h)| w * h).sum();
    (0..bundle.manifest().items()).map(logit).collect()
}

fn item(bundle: &Bundle<'_>, item: u32) -> Vec<f64> {
    let (codes, range) = (bundle.item_codes(item as usize), bundle.item_range(item as usize));
    codes.iter().map(|&code| n::value(code, range, 8).into()).collect()
}

/// A channel's weights and bias.
type Channel = (Vec<f64>, f64);

fn channels(bundle: &Bundle<'_>, plan: &Plan<'_>, name: LayerName) -> Vec<Channel> {
    let (view, widths) = layer(bundle, plan, name);
    let channel = |(c, &bits): (usize, &u8)| {
        let weight =
            |&code| f64::from(if bits == 0 { 0.0 } else { n::value(code, view.range(c, bits), bits) });
        (view.codes(c).iter().map(weight).collect(), view.bias(c, bits).into())
    };
    widths.iter().enumerate().map(channel).collect()
}

fn linear(channels: &[Channel], x: &[f64]) -> Vec<f64> {
    channels.iter().map(|(weights, bias)| dot(weights, x) + bias).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sasrec(bundle: &Bundle<'_>, plan: &Plan<'_>, shape: &SasRecShape, history: &[u32]) -> Vec<f64> {
    let first = match bundle.manifest().positions_from {
        PositionsFrom::Right => usize::from(shape.positions) - history.len(),
        PositionsFrom::Left => 0,
    };
    let mut x: Rows = (history.iter().enumerate())
        .map(|(t, &row)| {
            item(bundle, row).iter().zip(bundle.position(first + t)).map(|(x, p)| x + f64::from(p)).collect()
        })
        .collect();
    let norm =
        |which, x: &Rows| -> Rows { x.iter().map(|x| norm(bundle, which, shape.norm_epsilon, x)).collect() };
    let linear = |block, kind, x: &Rows| -> Rows {
        let channels = channels(bundle, plan, LayerName::Block(block, kind));
        x.iter().map(|x| linear(&channels, x)).collect()
    };
    for block in 0..shape.blocks {
        let h = norm(Norm::Attention(block), &x);
        let [q, k, v] =
            [LayerKind::Query, LayerKind::Key, LayerKind::Value].map(|kind| linear(block, kind, &h));
        let head = shape.head_dim();
        let attend = |t: usize, i: usize| {
            let of_head = i / head * head..(i / head + 1) * head;
            let score = |j: usize| dot(&q[t][of_head.clone()], &k[j][of_head.clone()]) / (head as f64).sqrt();
            let scores: Vec<f64> = (0..=t).map(score).collect();
            let max = scores.iter().copied().fold(f64::MIN, f64::max);
            let shares: Vec<f64> = scores.iter().map(|z| (z - max).exp()).collect();
            shares.iter().zip(&v).map(|(e, v)| e * v[i]).sum::<f64>() / shares.iter().sum::<f64>()
        };
        let c: Rows = (0..x.len()).map(|t| (0..x[t].len()).map(|i| attend(t, i)).collect()).collect();
        add(&mut x, &linear(block, LayerKind::Output, &c));
        let mut hidden = linear(block, LayerKind::Expand, &norm(Norm::FeedForward(block), &x));
        for x in hidden.iter_mut().flatten() {
            *x = match shape.activation {
                Activation::Relu => x.max(0.0),
                Activation::Gelu => 0.5 * *x * (1.0 + libm::erf(*x / 2f64.sqrt())),
            };
        }
        add(&mut x, &linear(block, LayerKind::Contract, &hidden));
    }
    norm(Norm::Final, &x).pop().unwrap()
}

fn caser(bundle: &Bundle<'_>, plan: &Plan<'_>, shape: &CaserShape, history: &[u32]) -> Vec<f64> {
    let (window, dim) = (usize::from(shape.window), usize::from(shape.dim));
    let mut image = vec![vec![0.0; dim]; window - history.len()];
    image.extend(history.iter().map(|&row| item(bundle, row)));
    let vertical = channels(bundle, plan, LayerName::Vertical);
    let mut features: Vec<f64> = (0..dim)
        .flat_map(|column| linear(&vertical, &image.iter().map(|row| row[column]).collect::<Vec<_>>()))
        .collect();
    for height in 1..=window {
        let filters = channels(bundle, plan, LayerName::Horizontal(height as u8));
        let places: Rows = image.windows(height).map(|rows| linear(&filters, &rows.concat())).collect();
        features.extend((0..filters.len()).map(|f| places.iter().map(|y| y[f]).fold(0.0, f64::max)));
    }
    let mut z = linear(&channels(bundle, plan, LayerName::Dense), &features);
    z.iter_mut().for_each(|z| *z = z.max(0.0));
    linear(&channels(bundle, plan, LayerName::Output), &z)
}

/// The user embedding.
pub(crate) fn embedding(bundle: &Bundle<'_>, history: &[u32]) -> Vec<f64> {
    let shape = bundle.manifest().profile.unwrap();
    let hidden = usize::from(shape.hidden);
    let layer = |kind, x: &[f64]| {
        let view = bundle.profile_layer(kind);
        let weight = |c, &code| f64::from(n::value(code, view.range(c, 8), 8));
        let channel =
            |c| (view.codes(c).iter().map(|code| weight(c, code)).collect(), f64::from(view.bias(c, 8)));
        linear(&(0..view.layer().outputs).map(channel).collect::<Vec<_>>(), x)
    };
    let features: Rows = history.iter().map(|&row| layer(ProfileLayer::Input, &item(bundle, row))).collect();
    let mut state = vec![0.0; hidden];
    for features in &features {
        let (i, r) = (layer(ProfileLayer::InputGates, features), layer(ProfileLayer::StateGates, &state));
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for (h, state) in state.iter_mut().enumerate() {
            let [reset, update] = [h, hidden + h].map(|gate| sigmoid(i[gate] + r[gate]));
            let candidate = (i[2 * hidden + h] + reset * r[2 * hidden + h]).tanh();
            *state = candidate + update * (*state - candidate);
        }
    }
    let newest = &features[features.len().saturating_sub(shape.pooled.into())..];
    let sum = |f| newest.iter().map(|x: &Vec<f64>| x[f]).sum::<f64>() / (newest.len().max(1) as f64).sqrt();
    let pooled: Vec<f64> = (0..usize::from(shape.features)).map(sum).collect();
    let sum = layer(ProfileLayer::Pooled, &pooled).iter().zip(&state).map(|(y, h)| y + h).collect::<Vec<_>>();
    norm(bundle, Norm::Profile, shape.norm_epsilon, &sum)
}

fn norm(bundle: &Bundle<'_>, norm: Norm, epsilon: f32, x: &[f64]) -> Vec<f64> {
    let (gamma, beta) = bundle.norm(norm);
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let deviation = (variance + f64::from(epsilon)).sqrt();
    let affine = gamma.iter().zip(beta.iter());
    x.iter().zip(affine).map(|(x, (g, b))| (x - mean) / deviation * f64::from(g) + f64::from(b)).collect()
}

fn add(x: &mut Rows, y: &Rows) {
    x.iter_mut().flatten().zip(y.iter().flatten()).for_each(|(x, y)| *x += y);
}
