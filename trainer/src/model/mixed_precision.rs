//! The weights of a backbone under a choice of precision.

use super::backbone::Backbone;
use super::quantised_linear::{AtWidth, LayerWeights};
use crate::tensor::{Backend, Tensor};

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
        let layers = backbone.layers().into_iter().map(|layer| {
            let values = layer.at_widths(widths);
            let step = |w: &[AtWidth]| AtWidth {
                weight: w[1].weight.clone() - w[0].weight.clone(),
                bias: w[1].bias.clone() - w[0].bias.clone(),
            };
            let steps = values.windows(2).map(step).collect();
            let per_width = layer.per_width.is_some();
            Layer { outputs: layer.outputs(), narrowest: values[0].clone(), steps, per_width }
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
    use crate::model::quantised_linear::{PerWidth, QuantisedLinear};
    use crate::tensor::{Device, floats, to_host};

    /// A plan of one width everywhere is that width's uniform weights, for one user and for several.
    #[test]
    fn gates_select_widths() {
        let device = Device::Flex(Default::default());
        let config = ["model.dim=8".into(), "model.inner=12".into(), "quantisation.per_width=true".into()];
        let config = config::load(None, &config).unwrap();
        let model = Chord::new(&config, 9, &Device::autodiff(device.clone()));
        // Scales and biases that differ between widths.
        let wave = |l: QuantisedLinear<Backend>| {
            let own = l.per_width.as_ref().expect("switched on");
            let [widths, outputs] = own.bias.dims();
            let values = (0..widths * outputs).map(|i| (i as f32).sin() * 0.3).collect();
            let values = floats(values, [widths, outputs], &device);
            let own = PerWidth {
                log_scale: own.log_scale.clone().map(|_| values.clone()),
                bias: own.bias.clone().map(|_| values.clone()),
                ..own.clone()
            };
            QuantisedLinear { per_width: Some(own), ..l.initialise_ranges(2.4) }
        };
        let backbone = burn::module::AutodiffModule::valid(&model.backbone).map_layers(wave);
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
}
