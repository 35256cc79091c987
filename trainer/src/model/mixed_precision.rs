//! The weights of a backbone under a choice of precision.

use super::backbone::Backbone;
use super::quantised_linear::{AtWidth, LayerWeights, QuantisedLinear};
use crate::tensor::{Backend, Tensor, floats};

/// Every quantised layer at one width, as in uniform quantisation.
pub fn uniform(backbone: &Backbone<Backend>, bits: u8) -> Vec<LayerWeights> {
    backbone.layers().into_iter().map(|l| LayerWeights::Shared(l.at_widths(&[bits]).remove(0))).collect()
}

/// What each step of the palette adds to the weights and biases of every layer.
///
/// The whole palette is quantised once; gates then select from it for any number of users.
pub struct PaletteSteps {
    layers: Vec<Layer>,
}

/// What a plan's code chooses for a channel where widths have scales and biases of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// How many bits of each weight are kept.
    Widths,
    /// Which scale and bias apply.
    Tables,
}

struct Layer {
    outputs: usize,
    narrowest: AtWidth,
    /// Each width minus the one before.
    steps: Vec<AtWidth>,
    /// Whether biases differ between widths.
    per_width: bool,
}

impl PaletteSteps {
    /// Of a backbone, for strictly increasing widths.
    pub fn new(backbone: &Backbone<Backend>, widths: &[u8]) -> Self {
        let layers = backbone.layers().into_iter().map(|layer| Layer::new(layer, layer.at_widths(widths)));
        Self { layers: layers.collect() }
    }

    /// As [`PaletteSteps::new`], with half of what a code chooses taken from the plan `fixed` for all users: what is
    /// then selected is the other half.
    pub fn crossed(backbone: &Backbone<Backend>, widths: &[u8], fixed: &[u8], kept: Half) -> Self {
        let mut start = 0;
        let layers = backbone.layers().into_iter().map(|layer| {
            let fixed = &fixed[start..start + layer.outputs()];
            start += layer.outputs();
            let crossed = widths.iter().map(|&selected| {
                let pairs: Vec<[u8; 2]> = (widths.iter())
                    .map(|&fixed| match kept {
                        Half::Widths => [selected, fixed],
                        Half::Tables => [fixed, selected],
                    })
                    .collect();
                // Every channel at the pair of its fixed code.
                let of_channels = layer.at_pairs(&pairs).into_iter().enumerate().map(|(code, at)| {
                    let chosen = fixed.iter().map(|&c| f32::from(usize::from(c) == code)).collect();
                    let chosen = floats(chosen, [1, fixed.len()], &at.bias.device());
                    AtWidth { weight: at.weight * chosen.clone().transpose(), bias: at.bias * chosen }
                });
                let sum =
                    of_channels.reduce(|a, b| AtWidth { weight: a.weight + b.weight, bias: a.bias + b.bias });
                sum.expect("a palette has widths")
            });
            Layer::new(layer, crossed.collect())
        });
        Self { layers: layers.collect() }
    }

    /// The weights under step gates, [batch, channels] for each step; a batch of one is shared by all users.
    pub fn select(&self, gates: &[Tensor<2>]) -> Vec<LayerWeights> {
        let mut start = 0;
        let select = |layer: &Layer| {
            let range = start..start + layer.outputs;
            start = range.end;
            layer.select(gates.iter().map(|g| g.clone().slice_dim(1, range.clone())).collect())
        };
        self.layers.iter().map(select).collect()
    }
}

impl Layer {
    fn new(layer: &QuantisedLinear<Backend>, values: Vec<AtWidth>) -> Self {
        let step = |w: &[AtWidth]| AtWidth {
            weight: w[1].weight.clone() - w[0].weight.clone(),
            bias: w[1].bias.clone() - w[0].bias.clone(),
        };
        let steps = values.windows(2).map(step).collect();
        let per_width = layer.per_width.is_some();
        Self { outputs: layer.outputs(), narrowest: values[0].clone(), steps, per_width }
    }

    fn select(&self, gates: Vec<Tensor<2>>) -> LayerWeights {
        let batch = gates[0].dims()[0];
        let mut bias = self.narrowest.bias.clone();
        if self.per_width {
            bias = gates
                .iter()
                .zip(&self.steps)
                .fold(bias, |b, (gate, step)| b + gate.clone() * step.bias.clone());
        }
        if batch == 1 {
            let weight =
                gates.into_iter().zip(&self.steps).fold(self.narrowest.weight.clone(), |w, (gate, step)| {
                    w + gate.reshape([self.outputs, 1]) * step.weight.clone()
                });
            return LayerWeights::Shared(AtWidth { weight, bias });
        }
        let steps = [&self.narrowest].into_iter().chain(&self.steps).map(|s| s.weight.clone()).collect();
        LayerWeights::PerUser { steps, gates, bias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::chord::Chord;
    use crate::model::quantised_linear::PerWidth;
    use crate::tensor::{Device, to_host};

    /// A backbone whose widths have scales and biases that differ.
    fn backbone(device: &Device) -> Backbone<Backend> {
        let config = ["model.dim=8".into(), "model.inner=12".into(), "quantisation.per_width=true".into()];
        let config = config::load(None, &config).unwrap();
        let model = Chord::new(&config, 9, &Device::autodiff(device.clone()));
        // Scales and biases that differ between widths.
        let wave = |l: QuantisedLinear<Backend>| {
            let own = l.per_width.as_ref().expect("switched on");
            let [widths, outputs] = own.bias.dims();
            let values = (0..widths * outputs).map(|i| (i as f32).sin() * 0.3).collect();
            let values = floats(values, [widths, outputs], device);
            let own = PerWidth {
                log_scale: own.log_scale.clone().map(|_| values.clone()),
                bias: own.bias.clone().map(|_| values.clone()),
                ..own.clone()
            };
            QuantisedLinear { per_width: Some(own), ..l.initialise_ranges(2.4) }
        };
        burn::module::AutodiffModule::valid(&model.backbone).map_layers(wave)
    }

    /// A plan of one width everywhere is that width's uniform weights, for one user and for several.
    #[test]
    fn gates_select_widths() {
        let device = Device::Flex(Default::default());
        let backbone = backbone(&device);
        let channels = crate::hypernetwork::Channels::of(&backbone).total();
        let palette = PaletteSteps::new(&backbone, &[0, 2, 4, 8]);
        for (code, bits) in [0, 2, 4, 8].into_iter().enumerate() {
            let gates = |users: usize| -> Vec<Tensor<2>> {
                let gate =
                    |step| floats(vec![f32::from(code > step); users * channels], [users, channels], &device);
                (0..3).map(gate).collect()
            };
            // Few tokens mix outputs, more of them weights.
            let x = |tokens: usize| {
                let values = (0..3 * tokens * 24).map(|i| (i as f32 * 0.7).cos()).collect();
                floats(values, [3, tokens, 24], &device)
            };
            let layers = backbone.layers();
            for (((one, three), same), layer) in palette
                .select(&gates(1))
                .iter()
                .zip(palette.select(&gates(3)))
                .zip(uniform(&backbone, bits))
                .zip(layers)
            {
                for tokens in [2, 7] {
                    let x = x(tokens).slice_dim(2, 0..layer.inputs());
                    let same = to_host(layer.forward(x.clone(), &same));
                    for other in [to_host(layer.forward(x.clone(), one)), to_host(layer.forward(x, &three))] {
                        same.iter().zip(other).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
                    }
                }
            }
        }
    }

    /// With both halves from one plan, crossing changes nothing; with tables of another, weights differ by their scales.
    #[test]
    fn crossing_swaps_one_half() {
        let device = Device::Flex(Default::default());
        let backbone = backbone(&device);
        let widths = [0, 2, 4, 8];
        let channels = crate::hypernetwork::Channels::of(&backbone).total();
        let codes = |shift: usize| -> Vec<u8> { (0..channels).map(|c| ((c + shift) % 4) as u8).collect() };
        let select = |palette: &PaletteSteps, codes: &[u8]| -> Vec<(Vec<f32>, Vec<f32>)> {
            let gate = |step| {
                floats(codes.iter().map(|&c| f32::from(c > step)).collect(), [1, codes.len()], &device)
            };
            let layers = palette.select(&(0..3).map(gate).collect::<Vec<_>>());
            let on_host = |layer| match layer {
                LayerWeights::Shared(at) => (to_host(at.weight), to_host(at.bias)),
                LayerWeights::PerUser { .. } => panic!("one plan is shared"),
            };
            layers.into_iter().map(on_host).collect()
        };
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let (own, other) = (codes(0), codes(1));
        let plain = select(&PaletteSteps::new(&backbone, &widths), &own);
        for (kept, fixed) in
            [(Half::Widths, &own), (Half::Tables, &own), (Half::Widths, &other), (Half::Tables, &other)]
        {
            let crossed = select(&PaletteSteps::crossed(&backbone, &widths, fixed, kept), &own);
            let [weights, biases] = [0, 1].map(|part| {
                let part = |(weight, bias): &(Vec<f32>, Vec<f32>)| {
                    if part == 0 { weight.clone() } else { bias.clone() }
                };
                plain.iter().zip(&crossed).all(|(a, b)| close(&part(a), &part(b)))
            });
            let same = *fixed == own;
            // Biases go with the tables.
            assert_eq!((weights, biases), (same, same || kept == Half::Tables), "{kept:?}");
        }
    }
}
