//! docs/fixed-point.md, sections 9 and 10, written down plainly: the whole image with its zero rows, every filter at every
//! place, the whole history from its start; wide integers.

use chord_plan::bundle::LayerView;
use chord_plan::manifest::{Architecture, LayerName, ProfileLayer};
use chord_plan::numerics as n;
use chord_plan::{Bundle, Plan};
// Of the standard library's functions the last bits are open: Miri draws them.
use libm::{exp, ldexp};

use super::layer;

/// A mantissa and an exponent.
pub(super) type Scale = (i64, i32);

/// Section 1.
pub(super) fn round(x: i64, bits: i32) -> i64 {
    match bits {
        0 => x,
        1..=30 => (x + (1 << (bits - 1))).div_euclid(1 << bits),
        _ => 0,
    }
}

pub(super) fn high(x: i64, multiplier: i64) -> i64 {
    (x * multiplier).div_euclid(1 << 16)
}

pub(super) fn field(x: f32) -> i32 {
    (x.to_bits() >> 23 & 0xff) as i32
}

pub(super) fn mantissa(x: f32) -> i64 {
    aligned(x.abs(), field(x) - 142)
}

pub(super) fn aligned(x: f32, unit: i32) -> i64 {
    if field(x) == 0 { 0 } else { ldexp(x.into(), -unit).round() as i64 }
}

/// How many bits a number of 0 or more takes.
pub(super) fn bits(x: i64) -> i32 {
    64 - x.leading_zeros() as i32
}

fn scale(value: i64, unit: i32) -> Scale {
    if value == 0 {
        return (0, -8192);
    }
    let more = bits(value) - 16;
    let mantissa = if more < 0 { value << -more } else { value >> more };
    (mantissa, unit + more)
}

/// Section 2.
pub(super) fn quantise(x: &[i64], unit: i32) -> (Vec<i8>, Scale) {
    let largest = x.iter().map(|x| x.abs()).max().unwrap();
    if largest == 0 {
        return (vec![0; x.len()], scale(0, unit));
    }
    let bits = bits(largest);
    let short = |x: i64| if bits < 15 { x << (15 - bits) } else { x >> (bits - 15) };
    let inverse = (127 << 23) / short(largest);
    let codes = x.iter().map(|&x| ((short(x) * inverse + (1 << 22)) >> 23) as i8).collect();
    (codes, scale((largest << (31 - bits)) / 127, unit + bits - 31))
}

/// A layer under the plan: u, G and B of section 4 and the widths of its channels.
pub(super) struct Layer<'b> {
    view: LayerView<'b>,
    widths: Vec<u8>,
    shift: i32,
    step: i32,
    bias: i32,
}

impl<'b> Layer<'b> {
    pub(super) fn new(bundle: &Bundle<'b>, plan: &Plan<'_>, name: LayerName) -> Self {
        let (view, widths) = layer(bundle, plan, name);
        Self::of(view, widths)
    }

    fn of(view: LayerView<'b>, widths: Vec<u8>) -> Self {
        let most = 127 * 255 * view.layer().inputs as i64;
        let channels = || widths.iter().enumerate().map(|(c, &bits)| (c, bits));
        let steps = channels().filter(|&(_, bits)| bits > 0);
        Self {
            shift: 30 - bits(most),
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
        let multipliers: Vec<i64> = scales.iter().map(|scale| (mantissa(range) * scale) >> 16).collect();
        let levels: Vec<i64> = self.view.codes(c).iter().map(|&code| n::level(code, bits).into()).collect();
        let down = self.step - field(range) + i32::from(bits) + unit - self.product_unit(exponent);
        round(sum(&multipliers, &levels), down) + bias
    }

    fn shifted(&self, x: i64) -> i64 {
        if self.shift < 0 { x >> -self.shift } else { x << self.shift }
    }

    /// Section 4.
    pub(super) fn dense(&self, codes: &[i8], (mantissa, exponent): Scale) -> (Vec<i64>, i32) {
        let unit = self.unit(exponent);
        let sum = |m: &[i64], levels: &[i64]| high(self.shifted(dot(codes, levels)), m[0]);
        let outputs = 0..self.widths.len();
        (outputs.map(|c| self.output(c, &[mantissa], exponent, unit, sum)).collect(), unit)
    }
}

pub(super) fn dot(codes: &[i8], levels: &[i64]) -> i64 {
    codes.iter().zip(levels).map(|(&a, l)| i64::from(a) * l).sum()
}

/// Codes and scale of an item row.
fn row(bundle: &Bundle<'_>, item: u32) -> (Vec<i8>, Scale) {
    let (codes, range) = (bundle.item_codes(item as usize), bundle.item_range(item as usize));
    let values: Vec<i64> = codes.iter().map(|&code| i64::from(n::level(code, 8)) * mantissa(range)).collect();
    quantise(&values, field(range) - 150)
}

/// Logits of all items, for a history that fits the window.
pub(crate) fn caser_logits(bundle: &Bundle<'_>, plan: &Plan<'_>, history: &[u32]) -> Vec<f32> {
    let Architecture::Caser(shape) = bundle.manifest().architecture else { panic!("not Caser") };
    let (window, dim) = (usize::from(shape.window), usize::from(shape.dim));
    let mut image = vec![(vec![0; dim], (0, -8192)); window - history.len()];
    image.extend(history.iter().map(|&item| row(bundle, item)));
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
                rows.map(|(((a, _), m), l)| i64::from(a[column]) * ((l * m) >> (16 - vertical.shift))).sum()
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
    let (codes, scale) = quantise(&h, unit);
    scored(bundle, &codes, scale)
}

/// Section 8: logits of all items.
pub(super) fn scored(bundle: &Bundle<'_>, codes: &[i8], (mantissa, exponent): Scale) -> Vec<f32> {
    let scale = ldexp(mantissa as f64, exponent);
    let scale = if scale < f32::MIN_POSITIVE.into() { 0.0 } else { scale as f32 };
    let logit = |item| {
        let t = n::dot_levels(codes, bundle.item_codes(item), 8);
        n::logit(t, n::step(bundle.item_range(item), 8), scale)
    };
    (0..bundle.manifest().items() as usize).map(logit).collect()
}

/// The user embedding.
pub(crate) fn embedding(bundle: &Bundle<'_>, history: &[u32]) -> Vec<f32> {
    let shape = bundle.manifest().profile.unwrap();
    let hidden = usize::from(shape.hidden);
    let dense = |kind, (codes, scale): (Vec<i8>, Scale)| {
        let view = bundle.profile_layer(kind);
        let widths = vec![8; view.layer().outputs];
        Layer::of(view, widths).dense(&codes, scale)
    };
    let (mut state, mut units) = (vec![0; hidden], Vec::new());
    for &item in history {
        let (features, unit) = dense(ProfileLayer::Input, row(bundle, item));
        let to_units = |&f: &i64| (ldexp(f as f64, unit + 24) + 0.5).floor() as i64;
        units.push(features.iter().map(to_units).collect::<Vec<i64>>());
        let (i, input_unit) = dense(ProfileLayer::InputGates, quantise(&features, unit));
        let (r, state_unit) = dense(ProfileLayer::StateGates, quantise(&state, -29));
        let common = input_unit.max(state_unit) + 1;
        for (h, state) in state.iter_mut().enumerate() {
            let [i, r] = [(&i, input_unit), (&r, state_unit)]
                .map(|(x, unit)| [0, 1, 2].map(|gate| round(x[gate * hidden + h], common - unit)));
            let [reset, update] = [0, 1].map(|gate| {
                let x = i[gate] + r[gate];
                if x < 0 { beyond(-x, common) } else { 65536 - beyond(x, common) }
            });
            let x = i[2] + high(r[2], reset);
            let tangent = 65536 - 2 * beyond(x.abs(), common + 1);
            let candidate = (if x < 0 { -tangent } else { tangent }) << 13;
            *state = candidate + high(*state - candidate, update);
        }
    }
    let newest = &units[units.len().saturating_sub(shape.pooled.into())..];
    let sums: Vec<i64> =
        (0..usize::from(shape.features)).map(|f| newest.iter().map(|units| units[f]).sum()).collect();
    let state: Vec<f32> = state.iter().map(|&h| h as f32 / (1 << 29) as f32).collect();
    super::profile::from_state(bundle, &sums, newest.len(), &state)
}

/// Section 10: `1 / (1 + exp(x))` in units of 2^-16.
fn beyond(x: i64, unit: i32) -> i64 {
    tail(x, unit, 12, |y| 1.0 / (1.0 + exp(y)))
}

/// Section 7: a function of `x` in units of 2^-16, by straight lines between its numbers at every 1/32.
pub(super) fn tail(x: i64, unit: i32, last: i64, function: impl Fn(f64) -> f64) -> i64 {
    let y = in_units_below(x, unit, 15, last);
    let number = |i: i64| (65536.0 * function(i as f64 / 32.0) + 0.5).floor() as i64;
    let (i, between) = (y >> 10, y & 1023);
    number(i) - (((number(i) - number(i + 1)) * between) >> 10)
}

/// `x` in units of `2^unit` in units of `2^-bits`, cut, at most `last`.
pub(super) fn in_units_below(x: i64, unit: i32, bits: i32, last: i64) -> i64 {
    ldexp(x as f64, unit + bits).floor().min((last << bits) as f64) as i64
}
