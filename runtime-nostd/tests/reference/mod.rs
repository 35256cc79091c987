//! Section 8 of docs/numerics.md written down plainly: every token through every block, weights looked up one by one.

use chord_plan::bundle::Norm;
use chord_plan::manifest::LayerKind;
use chord_plan::numerics as n;
use chord_plan::{Bundle, Plan};

type Rows = Vec<Vec<f32>>;

/// Logits of all items.
pub(crate) fn logits(bundle: &Bundle<'_>, plan: &Plan<'_>, history: &[u32]) -> Vec<f32> {
    let shape = *bundle.manifest().shape();
    let positions = usize::from(shape.positions);
    let history = &history[history.len().saturating_sub(positions)..];
    let mut x: Rows = (history.iter().enumerate())
        .map(|(t, &item)| {
            let (codes, range) = (bundle.item_codes(item as usize), bundle.item_range(item as usize));
            let position = bundle.position(positions - history.len() + t);
            codes.iter().zip(position).map(|(&code, p)| n::value(code, range, 8) + p).collect()
        })
        .collect();
    for block in 0..shape.blocks {
        let linear = |kind, x: &Rows| linear(bundle, plan, block, kind, x);
        let h = norm(bundle, Norm::Attention(block), &x);
        let (q, k, v) =
            (linear(LayerKind::Query, &h), linear(LayerKind::Key, &h), linear(LayerKind::Value, &h));
        let c = (0..x.len()).map(|t| attention(&q[t], &k[..=t], &v[..=t], shape.heads.into())).collect();
        add(&mut x, &linear(LayerKind::Output, &c));
        let mut hidden = linear(LayerKind::Expand, &norm(bundle, Norm::FeedForward(block), &x));
        hidden.iter_mut().flatten().for_each(|x| *x = shape.activation.apply(*x));
        add(&mut x, &linear(LayerKind::Contract, &hidden));
    }
    let h = norm(bundle, Norm::Final, &x);
    let mut a = vec![0; shape.dim.into()];
    let scale = n::quantise_token(&h[h.len() - 1], &mut a);
    (0..shape.items as usize)
        .map(|item| {
            let t = n::dot_levels(&a, bundle.item_codes(item), 8);
            n::logit(t, n::step(bundle.item_range(item), 8), scale)
        })
        .collect()
}

fn norm(bundle: &Bundle<'_>, norm: Norm, x: &Rows) -> Rows {
    let (gamma, beta) = bundle.norm(norm);
    let row = |x: &Vec<f32>| {
        let mut y = vec![0.0; x.len()];
        n::layer_norm(x, gamma, beta, bundle.manifest().shape().norm_epsilon, &mut y);
        y
    };
    x.iter().map(row).collect()
}

fn linear(bundle: &Bundle<'_>, plan: &Plan<'_>, block: u8, kind: LayerKind, x: &Rows) -> Rows {
    let index =
        bundle.manifest().layers().position(|l| l.name.block == block && l.name.kind == kind).unwrap();
    let view = bundle.layer(index);
    let row = |x: &Vec<f32>| {
        let mut a = vec![0; x.len()];
        let scale = n::quantise_token(x, &mut a);
        let channel = |c| {
            let code = plan.code(view.layer().first_channel + c).unwrap();
            match bundle.manifest().palette.bits(code).unwrap() {
                0 => view.bias(c, 0),
                bits => {
                    let t = n::dot_levels(&a, view.codes(c), bits);
                    n::channel_output(t, n::step(view.range(c, bits), bits), scale, view.bias(c, bits))
                }
            }
        };
        (0..view.layer().outputs).map(channel).collect()
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
