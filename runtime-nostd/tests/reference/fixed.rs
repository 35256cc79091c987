//! docs/fixed-point.md, section 9, written down plainly: the whole image with its zero rows, every filter at every place, wide
//! integers.

use chord_plan::bundle::LayerView;
use chord_plan::manifest::{Architecture, LayerName};
use chord_plan::numerics as n;
use chord_plan::{Bundle, Plan};

use super::layer;

/// A mantissa and an exponent.
type Scale = (i64, i32);

/// Section 1.
fn round(x: i64, bits: i32) -> i64 {
    match bits {
        0 => x,
        1..=30 => (x + (1 << (bits - 1))).div_euclid(1 << bits),
        _ => 0,
    }
}

fn high(x: i64, multiplier: i64) -> i64 {
    (x * multiplier).div_euclid(1 << 16)
}

fn field(x: f32) -> i32 {
    (x.to_bits() >> 23 & 0xff) as i32
}

fn mantissa(x: f32) -> i64 {
    aligned(x.abs(), field(x) - 142)
}

fn aligned(x: f32, unit: i32) -> i64 {
    if field(x) == 0 { 0 } else { (f64::from(x) * 2f64.powi(-unit)).round() as i64 }
}

fn scale(value: i64, unit: i32) -> Scale {
    if value == 0 {
        return (0, -8192);
    }
    let more = 64 - value.leading_zeros() as i32 - 16;
    let mantissa = if more < 0 { value << -more } else { value >> more };
    (mantissa, unit + more)
}

/// Section 2.
fn quantise(x: &[i64], unit: i32) -> (Vec<i8>, Scale) {
    let largest = x.iter().map(|x| x.abs()).max().unwrap();
    if largest == 0 {
        return (vec![0; x.len()], scale(0, unit));
    }
    let bits = 64 - largest.leading_zeros() as i32;
    let short = |x: i64| if bits < 15 { x << (15 - bits) } else { x >> (bits - 15) };
    let inverse = (127 << 23) / short(largest);
    let codes = x.iter().map(|&x| ((short(x) * inverse + (1 << 22)) >> 23) as i8).collect();
    (codes, scale((largest << (31 - bits)) / 127, unit + bits - 31))
}

/// A layer under the plan: u, G and B of section 4 and the widths of its channels.
struct Layer<'b> {
    view: LayerView<'b>,
    widths: Vec<u8>,
    shift: i32,
    step: i32,
    bias: i32,
}

impl<'b> Layer<'b> {
    fn new(bundle: &Bundle<'b>, plan: &Plan<'_>, name: LayerName) -> Self {
        let (view, widths) = layer(bundle, plan, name);
        let most = 127 * 255 * view.layer().inputs as i64;
        let channels = || widths.iter().enumerate().map(|(c, &bits)| (c, bits));
        let steps = channels().filter(|&(_, bits)| bits > 0);
        Self {
            shift: 30 - (64 - most.leading_zeros() as i32),
            step: steps.map(|(c, bits)| field(view.range(c, bits)) - i32::from(bits)).max().unwrap_or(-4096),
            bias: channels().map(|(c, bits)| field(view.bias(c, bits))).max().unwrap(),
            view,
            widths,
        }
    }

    fn product_unit(&self, exponent: i32) -> i32 {
        32 - self.shift + self.step - 142 + exponent
    }

    fn unit(&self, exponent: i32) -> i32 {
        (self.product_unit(exponent) + 1).max(self.bias - 126 - 29)
    }

    /// The output of a channel in units of `2^unit`: `sum` of the multipliers that tokens with these mantissas take.
    fn output(
        &self,
        c: usize,
        scales: &[i64],
        exponent: i32,
        unit: i32,
        sum: impl Fn(&[i64], &[i64]) -> i64,
    ) -> i64 {
        let bits = self.widths[c];
        let bias = aligned(self.view.bias(c, bits), unit);
        if bits == 0 {
            return bias;
        }
        let range = self.view.range(c, bits);
        let multipliers: Vec<i64> = scales.iter().map(|scale| mantissa(range) * scale >> 16).collect();
        let levels: Vec<i64> = self.view.codes(c).iter().map(|&code| n::level(code, bits).into()).collect();
        let down = self.step - field(range) + i32::from(bits) + unit - self.product_unit(exponent);
        round(sum(&multipliers, &levels), down) + bias
    }

    fn shifted(&self, x: i64) -> i64 {
        if self.shift < 0 { x >> -self.shift } else { x << self.shift }
    }

    /// Section 4.
    fn dense(&self, codes: &[i8], (mantissa, exponent): Scale) -> (Vec<i64>, i32) {
        let unit = self.unit(exponent);
        let sum = |m: &[i64], levels: &[i64]| high(self.shifted(dot(codes, levels)), m[0]);
        let outputs = 0..self.widths.len();
        (outputs.map(|c| self.output(c, &[mantissa], exponent, unit, sum)).collect(), unit)
    }
}

fn dot(codes: &[i8], levels: &[i64]) -> i64 {
    codes.iter().zip(levels).map(|(&a, l)| i64::from(a) * l).sum()
}

/// Logits of all items, for a history that fits the window.
pub(crate) fn caser_logits(bundle: &Bundle<'_>, plan: &Plan<'_>, history: &[u32]) -> Vec<f32> {
    let Architecture::Caser(shape) = bundle.manifest().architecture else { panic!("not Caser") };
    let (window, dim) = (usize::from(shape.window), usize::from(shape.dim));
    let mut image = vec![(vec![0; dim], (0, -8192)); window - history.len()];
    for &item in history {
        let (codes, range) = (bundle.item_codes(item as usize), bundle.item_range(item as usize));
        let values: Vec<i64> =
            codes.iter().map(|&code| i64::from(n::level(code, 8)) * mantissa(range)).collect();
        image.push(quantise(&values, field(range) - 150));
    }
    let exponent = image.iter().map(|(_, (_, exponent))| *exponent).max().unwrap();
    let mantissas: Vec<i64> =
        image.iter().map(|(_, (m, e))| m.checked_shr((exponent - e) as u32).unwrap_or(0)).collect();
    let vertical = Layer::new(bundle, plan, LayerName::Vertical);
    let horizontal: Vec<_> =
        (1..=window).map(|h| Layer::new(bundle, plan, LayerName::Horizontal(h as u8))).collect();
    let unit = horizontal.iter().chain([&vertical]).map(|layer| layer.unit(exponent)).max().unwrap();

    let mut features = Vec::new();
    for column in 0..dim {
        for c in 0..usize::from(shape.vertical) {
            features.push(vertical.output(c, &mantissas, exponent, unit, |m, levels| {
                let rows = image.iter().zip(m).zip(levels);
                rows.map(|(((a, _), m), l)| i64::from(a[column]) * (l * m >> (16 - vertical.shift))).sum()
            }));
        }
    }
    for (layer, height) in horizontal.iter().zip(1..) {
        for c in 0..usize::from(shape.horizontal) {
            let place = |place: usize| {
                layer.output(c, &mantissas[place..place + height], exponent, unit, |m, levels| {
                    let rows = image[place..].iter().zip(m).zip(levels.chunks(dim));
                    rows.map(|(((a, _), m), levels)| high(layer.shifted(dot(a, levels)), *m)).sum()
                })
            };
            features.push((0..=window - height).map(place).max().unwrap().max(0));
        }
    }
    let (codes, scale) = quantise(&features, unit);
    let (mut z, unit) = Layer::new(bundle, plan, LayerName::Dense).dense(&codes, scale);
    z.iter_mut().for_each(|z| *z = (*z).max(0));
    let (codes, scale) = quantise(&z, unit);
    let (h, unit) = Layer::new(bundle, plan, LayerName::Output).dense(&codes, scale);
    let (codes, (mantissa, exponent)) = quantise(&h, unit);
    let scale = (mantissa as f64 * 2f64.powi(exponent)) as f32;
    let logit = |item| {
        let t = n::dot_levels(&codes, bundle.item_codes(item), 8);
        n::logit(t, n::step(bundle.item_range(item), 8), scale)
    };
    (0..bundle.manifest().items() as usize).map(logit).collect()
}
