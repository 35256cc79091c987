//! docs/fixed-point.md, sections 3 to 8, written down plainly: every token through every block; wide integers.

use chord_plan::bundle::Norm;
use chord_plan::manifest::{Activation, Architecture, LayerKind, LayerName, PositionsFrom};
use chord_plan::numerics as n;
use chord_plan::{Bundle, Plan};
use libm::{erfc, exp2};

use super::fixed::{
    Layer, Scale, aligned, bits, dot, field, high, in_units_below, mantissa, quantise, round, scored, tail,
};

/// Integers and the exponent of their unit.
type Row = (Vec<i64>, i32);

/// Codes and scale.
type Token = (Vec<i8>, Scale);

/// Logits of all items, for a history that fits the window.
pub(crate) fn logits(bundle: &Bundle<'_>, plan: &Plan<'_>, history: &[u32]) -> Vec<f32> {
    let Architecture::SasRec(shape) = bundle.manifest().architecture else { panic!("not SASRec") };
    let first = match bundle.manifest().positions_from {
        PositionsFrom::Right => usize::from(shape.positions) - history.len(),
        PositionsFrom::Left => 0,
    };
    let mut x: Vec<Row> = (first..).zip(history).map(|(place, &item)| embed(bundle, item, place)).collect();
    let norm = |which, x: &[Row]| -> Vec<Token> {
        x.iter().map(|x| layer_norm(bundle, which, shape.norm_epsilon, x)).collect()
    };
    for block in 0..shape.blocks {
        let dense = |kind, tokens: &[Token]| -> Vec<Row> {
            let layer = Layer::new(bundle, plan, LayerName::Block(block, kind));
            tokens.iter().map(|(codes, scale)| layer.dense(codes, *scale)).collect()
        };
        let h = norm(Norm::Attention(block), &x);
        let head = shape.head_dim();
        let by_heads = |(y, unit): &Row| y.chunks(head).map(|y| quantise(y, *unit)).collect();
        let [k, v] = [LayerKind::Key, LayerKind::Value]
            .map(|kind| dense(kind, &h).iter().map(by_heads).collect::<Vec<Vec<Token>>>());
        let q = dense(LayerKind::Query, &h);
        let c: Vec<Token> = (0..x.len()).map(|t| attention(&q[t], head, &k[..=t], &v[..=t])).collect();
        add(&mut x, &dense(LayerKind::Output, &c));
        let hidden = dense(LayerKind::Expand, &norm(Norm::FeedForward(block), &x));
        let activated: Vec<Token> = (hidden.iter())
            .map(|(y, unit)| {
                let y: Vec<i64> = y.iter().map(|&y| activate(shape.activation, y, *unit)).collect();
                quantise(&y, *unit)
            })
            .collect();
        add(&mut x, &dense(LayerKind::Contract, &activated));
    }
    let (codes, scale) = norm(Norm::Final, &x).pop().unwrap();
    scored(bundle, &codes, scale)
}

/// Numbers in units of `2^from` in units of `2^to`: up exact, down rounded.
fn to_unit(x: i64, from: i32, to: i32) -> i64 {
    if x == 0 || to >= from { round(x, to - from) } else { x << (from - to) }
}

/// Section 2: M to `most` bits, and the unit.
fn fit((x, unit): &Row, most: i32) -> Row {
    let to = unit + bits(x.iter().map(|x| x.abs()).max().unwrap()) - most;
    (x.iter().map(|&x| to_unit(x, *unit, to)).collect(), to)
}

fn shorten(row: &Row) -> Row {
    if row.0.iter().all(|&x| x == 0) {
        return (row.0.clone(), -8192);
    }
    let (x, unit) = fit(row, 15);
    (x.into_iter().map(|x| x.clamp(-32767, 32767)).collect(), unit)
}

/// Section 3.
fn embed(bundle: &Bundle<'_>, item: u32, place: usize) -> Row {
    let (codes, range) = (bundle.item_codes(item as usize), bundle.item_range(item as usize));
    let position = bundle.position(place);
    let unit = position.iter().map(field).fold(field(range), i32::max) - 126 - 29;
    let number = |(&code, position)| {
        let value = i64::from(n::level(code, 8)) * mantissa(range);
        to_unit(value, field(range) - 150, unit) + aligned(position, unit)
    };
    shorten(&(codes.iter().zip(position).map(number).collect(), unit))
}

/// Section 4, the residual stream.
fn add(x: &mut [Row], y: &[Row]) {
    for (x, (y, y_unit)) in x.iter_mut().zip(y) {
        let unit = *y_unit.max(&(x.1 - 14));
        let sum = x.0.iter().zip(y).map(|(&a, &b)| to_unit(a, x.1, unit) + to_unit(b, *y_unit, unit));
        *x = shorten(&(sum.collect(), unit));
    }
}

/// The root of `value * 4^exponent`, cut to 16 bits.
fn root(value: i64, exponent: i32) -> Scale {
    // By so many bits, an even number, that the root has 16.
    let up = (32 - bits(value)) / 2;
    ((value << (2 * up)).isqrt(), exponent - up)
}

/// Section 5.
fn layer_norm(bundle: &Bundle<'_>, which: Norm, epsilon: f32, (x, unit): &Row) -> Token {
    let (gamma, beta) = bundle.norm(which);
    let n = x.len() as i64;
    let sum: i64 = x.iter().sum();
    let mean = (2 * sum.abs() + n).div_euclid(2 * n) * sum.signum();
    let d: Vec<i64> = x.iter().map(|x| x - mean).collect();
    let squares: i64 = d.iter().map(|d| d * d).sum();
    let (epsilons, below) = match field(epsilon) {
        0 => (0, 0),
        field => (i64::from(epsilon.to_bits() & 0x7f_ffff | 0x80_0000) * n, field - 150 - 2 * unit),
    };
    let cut = |x: i64, down: i32| x.checked_shr(down as u32).unwrap_or(0);
    let (w, w_unit) = match below {
        ..0 => (squares + cut(epsilons, -below), 0),
        0..=24 => (squares + (epsilons << below), 0),
        _ => (epsilons + cut(squares, below), below),
    };
    let [gamma_field, beta_field] = [gamma, beta].map(|numbers| numbers.iter().map(field).max().unwrap());
    let (gamma_unit, beta_unit) = (gamma_field - 126 - 15, beta_field - 126 - 29);
    let (inverse, product_unit) = if w == 0 {
        (0, beta_unit - 1)
    } else {
        let more = bits(w) - 32;
        let (mut q, mut q_unit) = (if more < 0 { w << -more } else { w >> more } / n, w_unit + more);
        if q_unit % 2 != 0 {
            (q, q_unit) = (q / 2, q_unit + 1);
        }
        let (sd, exponent) = root(q, q_unit / 2);
        ((1 << 30) / sd, -30 - exponent + 16 + gamma_unit)
    };
    let to = beta_unit.max(product_unit + 1);
    let affine = d.iter().zip(gamma).zip(beta);
    let y: Vec<i64> = affine
        .map(|((d, gamma), beta)| {
            round(high(d * inverse, aligned(gamma, gamma_unit)), to - product_unit) + aligned(beta, to)
        })
        .collect();
    quantise(&y, to)
}

/// Section 6: a token's queries over the keys and values of each token up to it, head by head.
fn attention((q, unit): &Row, head_dim: usize, keys: &[Vec<Token>], values: &[Vec<Token>]) -> Token {
    let log2_e = core::f64::consts::LOG2_E;
    let square = (log2_e * log2_e * f64::from(1 << 30) + 0.5) as i64;
    let (c, c_exponent) = root(square / head_dim as i64, -15);
    let top = values.iter().flatten().map(|(_, (_, exponent))| *exponent).max().unwrap();
    let head = |(h, q): (usize, &[i64])| {
        let (q, unit) = fit(&(q.to_vec(), *unit), 23 - bits(head_dim as i64));
        let largest = keys.iter().map(|k| k[h].1.1).max().unwrap();
        let score = |key: &Vec<Token>| {
            let (codes, (m, exponent)) = &key[h];
            round(high(dot(codes, &q), (c * m) >> 16), largest - exponent)
        };
        let z: Vec<i64> = keys.iter().map(score).collect();
        let max = z.iter().max().unwrap();
        let p: Vec<i64> = z
            .iter()
            .map(|z| power(in_units_below(max - z, 32 + unit + c_exponent + largest, 16, 32)))
            .collect();
        let total: i64 = p.iter().sum();
        let b = bits(total);
        let w: Vec<i64> = (p.iter().zip(values))
            .map(|(p, value)| {
                let (_, (m, exponent)) = value[h];
                (p * m.checked_shr((top - exponent) as u32).unwrap_or(0)) >> (b - 7)
            })
            .collect();
        let inverse = (1 << 31) / (total >> (b - 16));
        let sum = |i: usize| w.iter().zip(values).map(|(w, value)| w * i64::from(value[h].0[i])).sum();
        (0..head_dim).map(|i| high(sum(i), inverse)).collect::<Vec<i64>>()
    };
    let y: Vec<i64> = q.chunks(head_dim).enumerate().flat_map(head).collect();
    quantise(&y, top - 6)
}

/// `2^-d` in units of 2^-15, of d in units of 2^-16.
fn power(d: i64) -> i64 {
    let number = |i: i64| (exp2(15.0 - i as f64 / 32.0) + 0.5) as i64;
    let (whole, i, between) = (d >> 16, d >> 11 & 31, d & 2047);
    round(number(i) - (((number(i) - number(i + 1)) * between) >> 11), whole as i32)
}

/// Section 7.
fn activate(activation: Activation, y: i64, unit: i32) -> i64 {
    let beyond = || tail(y.abs(), unit, 5, |y| erfc(y / 2f64.sqrt()) / 2.0);
    match activation {
        Activation::Relu => y.max(0),
        Activation::Gelu => high(y, if y < 0 { beyond() } else { 65536 - beyond() }),
    }
}
