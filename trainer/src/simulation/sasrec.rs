//! Section 8, pre-norm SASRec: every token through every block, whole matrices at a time.

use chord_plan::manifest::PositionsFrom;
use chord_plan::numerics::{dot, layer_norm, score_scale, sum};

use super::layer::Layer;
use crate::frozen::{FrozenSasRec, Norm};

/// The last token after the last block, normalised. `embedded` are the items' values, tokens x dim, `codes` the plan's.
pub(super) fn hidden(network: &FrozenSasRec, layers: &[Layer], codes: &[u8], embedded: Vec<f32>) -> Vec<f32> {
    let (dim, epsilon) = (usize::from(network.shape.dim), network.shape.norm_epsilon);
    let mut x = embedded;
    let first = match network.positions_from {
        PositionsFrom::Right => network.positions.len() - x.len(),
        PositionsFrom::Left => 0,
    };
    add(&mut x, &network.positions[first..]);
    for (block, layers) in network.blocks.iter().zip(layers.chunks_exact(6)) {
        let [query, key, value, output, expand, contract] = layers else {
            unreachable!("a block has six layers")
        };
        let h = normalise(&x, dim, &block.norm1, epsilon);
        let [q, k, v] = [query, key, value].map(|layer| layer.apply(codes, &h));
        let attended = attention(&q, &k, &v, dim, network.shape.head_dim());
        add(&mut x, &output.apply(codes, &attended));

        let h = normalise(&x, dim, &block.norm2, epsilon);
        let mut hidden = expand.apply(codes, &h);
        hidden.iter_mut().for_each(|y| *y = network.shape.activation.apply(*y));
        add(&mut x, &contract.apply(codes, &hidden));
    }
    normalise(&x[x.len() - dim..], dim, &network.final_norm, epsilon)
}

fn normalise(x: &[f32], dim: usize, norm: &Norm, epsilon: f32) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    for (x, y) in x.chunks_exact(dim).zip(y.chunks_exact_mut(dim)) {
        layer_norm(x, norm.gamma.iter().copied(), norm.beta.iter().copied(), epsilon, y);
    }
    y
}

/// Section 6 for all heads and all tokens, each over itself and those before it.
fn attention(q: &[f32], k: &[f32], v: &[f32], dim: usize, head_dim: usize) -> Vec<f32> {
    let scale = score_scale(head_dim);
    let mut y = vec![0.0; q.len()];
    for token in 0..q.len() / dim {
        for head in (0..dim).step_by(head_dim) {
            let part = |x: &'_ [f32], token: usize| x[token * dim + head..][..head_dim].to_vec();
            let query = part(q, token);
            let z: Vec<f32> = (0..=token).map(|j| dot(&query, &part(k, j)) * scale).collect();
            let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let e: Vec<f32> = z.iter().map(|z| libm::expf(z - max)).collect();
            let inverse = 1.0 / sum(&e);
            for i in 0..head_dim {
                let weighted = (0..=token).fold(0.0, |y, j| y + e[j] * v[j * dim + head + i]);
                y[token * dim + head + i] = weighted * inverse;
            }
        }
    }
    y
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
