//! SASRec in f64 with the plan's weights and nothing else rounded: what both arithmetics approach.

use chord_plan::bundle::Norm;
use chord_plan::manifest::{Activation, Architecture, LayerKind, LayerName, PositionsFrom};
use chord_plan::numerics as n;
use chord_plan::{Bundle, Plan};

use super::layer;

type Rows = Vec<Vec<f64>>;

/// Logits of all items, for a history that fits the window.
pub(crate) fn logits(bundle: &Bundle<'_>, plan: &Plan<'_>, history: &[u32]) -> Vec<f64> {
    let Architecture::SasRec(shape) = bundle.manifest().architecture else { panic!("not SASRec") };
    let item = |item: u32| -> Vec<f64> {
        let (codes, range) = (bundle.item_codes(item as usize), bundle.item_range(item as usize));
        codes.iter().map(|&code| n::value(code, range, 8).into()).collect()
    };
    let first = match bundle.manifest().positions_from {
        PositionsFrom::Right => usize::from(shape.positions) - history.len(),
        PositionsFrom::Left => 0,
    };
    let mut x: Rows = (history.iter().enumerate())
        .map(|(t, &row)| {
            item(row).iter().zip(bundle.position(first + t)).map(|(x, p)| x + f64::from(p)).collect()
        })
        .collect();
    let norm = |norm, x: &Rows| -> Rows {
        let (gamma, beta) = bundle.norm(norm);
        let row = |x: &Vec<f64>| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
            let deviation = (variance + f64::from(shape.norm_epsilon)).sqrt();
            let affine = gamma.iter().zip(beta.iter());
            x.iter()
                .zip(affine)
                .map(|(x, (g, b))| (x - mean) / deviation * f64::from(g) + f64::from(b))
                .collect()
        };
        x.iter().map(row).collect()
    };
    let linear = |block, kind, x: &Rows| -> Rows {
        let (view, widths) = layer(bundle, plan, LayerName::Block(block, kind));
        let row = |x: &Vec<f64>| {
            let channel = |(c, &bits): (usize, &u8)| {
                let weight = |&code| {
                    f64::from(if bits == 0 { 0.0 } else { n::value(code, view.range(c, bits), bits) })
                };
                let product: f64 = view.codes(c).iter().map(weight).zip(x).map(|(w, x)| w * x).sum();
                product + f64::from(view.bias(c, bits))
            };
            widths.iter().enumerate().map(channel).collect()
        };
        x.iter().map(row).collect()
    };
    for block in 0..shape.blocks {
        let h = norm(Norm::Attention(block), &x);
        let [q, k, v] =
            [LayerKind::Query, LayerKind::Key, LayerKind::Value].map(|kind| linear(block, kind, &h));
        let head = shape.head_dim();
        let attend = |t: usize, i: usize| {
            let of_head = i / head * head..(i / head + 1) * head;
            let dot = |j: usize| -> f64 {
                of_head.clone().map(|i| q[t][i] * k[j][i]).sum::<f64>() / (head as f64).sqrt()
            };
            let scores: Vec<f64> = (0..=t).map(dot).collect();
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
    let last = norm(Norm::Final, &x).pop().unwrap();
    let logit = |row| item(row).iter().zip(&last).map(|(w, h)| w * h).sum();
    (0..bundle.manifest().items()).map(logit).collect()
}

fn add(x: &mut Rows, y: &Rows) {
    x.iter_mut().flatten().zip(y.iter().flatten()).for_each(|(x, y)| *x += y);
}
