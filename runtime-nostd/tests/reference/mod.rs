//! The forward passes of docs/numerics.md written down plainly: every token through every block, every filter at every
//! place, weights looked up one by one.
#![allow(dead_code)] // Each test uses its part.

mod caser;
pub(crate) mod fixed;
pub(crate) mod fixed_sasrec;
pub(crate) mod ideal;
pub(crate) mod profile;

use chord_plan::bundle::{LayerView, Norm};
use chord_plan::manifest::{Architecture, Layer, LayerKind, LayerName, PositionsFrom, SasRecShape};
use chord_plan::numerics as n;
use chord_plan::{Bundle, Plan};

type Rows = Vec<Vec<f32>>;

/// Logits of all items.
pub(crate) fn logits(bundle: &Bundle<'_>, plan: &Plan<'_>, history: &[u32]) -> Vec<f32> {
    let manifest = bundle.manifest();
    let history = &history[history.len().saturating_sub(manifest.window())..];
    let hidden = match manifest.architecture {
        Architecture::SasRec(shape) => sasrec(bundle, plan, &shape, history),
        Architecture::Caser(shape) => caser::hidden(bundle, plan, &shape, history),
    };
    let mut a = vec![0; hidden.len()];
    let scale = n::quantise_token(&hidden, &mut a);
    (0..manifest.items() as usize)
        .map(|item| {
            let t = n::dot_levels(&a, bundle.item_codes(item), 8);
            n::logit(t, n::step(bundle.item_range(item), 8), scale)
        })
        .collect()
}

/// Section 8.
fn sasrec(bundle: &Bundle<'_>, plan: &Plan<'_>, shape: &SasRecShape, history: &[u32]) -> Vec<f32> {
    let positions = usize::from(shape.positions);
    let mut x: Rows = (history.iter().enumerate())
        .map(|(t, &item)| {
            let position = bundle.position(match bundle.manifest().positions_from {
                PositionsFrom::Right => positions - history.len() + t,
                PositionsFrom::Left => t,
            });
            item_value(bundle, item).into_iter().zip(position).map(|(x, p)| x + p).collect()
        })
        .collect();
    for block in 0..shape.blocks {
        let linear = |kind, x: &Rows| linear(bundle, plan, LayerName::Block(block, kind), x);
        let norm = |norm, x: &Rows| layer_norm(bundle, norm, shape.norm_epsilon, x);
        let h = norm(Norm::Attention(block), &x);
        let (q, k, v) =
            (linear(LayerKind::Query, &h), linear(LayerKind::Key, &h), linear(LayerKind::Value, &h));
        let c = (0..x.len()).map(|t| attention(&q[t], &k[..=t], &v[..=t], shape.heads.into())).collect();
        add(&mut x, &linear(LayerKind::Output, &c));
        let mut hidden = linear(LayerKind::Expand, &norm(Norm::FeedForward(block), &x));
        hidden.iter_mut().flatten().for_each(|x| *x = shape.activation.apply(*x));
        add(&mut x, &linear(LayerKind::Contract, &hidden));
    }
    layer_norm(bundle, Norm::Final, shape.norm_epsilon, &x).pop().unwrap()
}

fn item_value(bundle: &Bundle<'_>, item: u32) -> Vec<f32> {
    let range = bundle.item_range(item as usize);
    bundle.item_codes(item as usize).iter().map(|&code| n::value(code, range, 8)).collect()
}

fn layer_norm(bundle: &Bundle<'_>, norm: Norm, epsilon: f32, x: &Rows) -> Rows {
    let (gamma, beta) = bundle.norm(norm);
    let row = |x: &Vec<f32>| {
        let mut y = vec![0.0; x.len()];
        n::layer_norm(x, gamma, beta, epsilon, &mut y);
        y
    };
    x.iter().map(row).collect()
}

/// The layer of a name, and the bits of its channels.
fn layer<'b>(bundle: &Bundle<'b>, plan: &Plan<'_>, name: LayerName) -> (LayerView<'b>, Vec<u8>) {
    let index = bundle.manifest().layers().position(|layer| layer.name == name).unwrap();
    let view = bundle.layer(index);
    let &Layer { first_channel, outputs, .. } = view.layer();
    let bits = |channel| bundle.manifest().palette.bits(plan.code(channel).unwrap()).unwrap();
    (view, (first_channel..first_channel + outputs).map(bits).collect())
}

fn linear(bundle: &Bundle<'_>, plan: &Plan<'_>, name: LayerName, x: &Rows) -> Rows {
    let (view, widths) = layer(bundle, plan, name);
    let row = |x: &Vec<f32>| {
        let mut a = vec![0; x.len()];
        let scale = n::quantise_token(x, &mut a);
        let channel = |(c, &bits): (usize, &u8)| match bits {
            0 => view.bias(c, 0),
            bits => {
                let t = n::dot_levels(&a, view.codes(c), bits);
                n::channel_output(t, n::step(view.range(c, bits), bits), scale, view.bias(c, bits))
            }
        };
        widths.iter().enumerate().map(channel).collect()
    };
    x.iter().map(row).collect()
}

fn attention(q: &[f32], k: &[Vec<f32>], v: &[Vec<f32>], heads: usize) -> Vec<f32> {
    let head_dim = q.len() / heads;
    let head = |h: usize| {
        let part = |x: &[f32]| x[h * head_dim..][..head_dim].to_vec();
        let scale = 1.0 / (head_dim as f32).sqrt();
        let z: Vec<f32> = k.iter().map(|k| n::dot(&part(q), &part(k)) * scale).collect();
        let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e: Vec<f32> = z.iter().map(|z| libm::expf(z - max)).collect();
        let inverse = 1.0 / n::sum(&e);
        (0..head_dim)
            .map(|i| e.iter().zip(v).fold(0.0, |y, (e, v)| y + e * part(v)[i]) * inverse)
            .collect::<Vec<f32>>()
    };
    (0..heads).flat_map(head).collect()
}

fn add(x: &mut Rows, y: &Rows) {
    x.iter_mut().flatten().zip(y.iter().flatten()).for_each(|(x, y)| *x += y);
}
