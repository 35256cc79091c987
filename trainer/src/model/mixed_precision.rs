//! The weights of a backbone under a choice of precision.

use super::quantised_linear::LayerWeights;
use super::sasrec::SasRec;
use crate::tensor::{Backend, Tensor};

/// Weights of every quantised layer at one width, as in uniform quantisation.
pub fn uniform(backbone: &SasRec<Backend>, bits: u8) -> Vec<LayerWeights> {
    backbone.layers().map(|l| LayerWeights::Shared(l.at_widths(&[bits]).remove(0))).collect()
}

/// What each step of the palette adds to the weights of every layer, [outputs, inputs] each.
///
/// The whole palette is quantised once; gates then select from it for any number of users.
pub struct PaletteSteps {
    layers: Vec<Layer>,
}

struct Layer {
    outputs: usize,
    narrowest: Tensor<2>,
    steps: Vec<Tensor<2>>,
}

impl PaletteSteps {
    /// Of a backbone, for strictly increasing widths.
    pub fn new(backbone: &SasRec<Backend>, widths: &[u8]) -> Self {
        let layers = backbone.layers().map(|layer| {
            let values = layer.at_widths(widths);
            let steps = values.windows(2).map(|w| w[1].clone() - w[0].clone()).collect();
            Layer { outputs: layer.outputs(), narrowest: values[0].clone(), steps }
        });
        Self { layers: layers.collect() }
    }

    /// The weights under step gates, [batch, channels] for each step; a batch of one is shared by all users.
    pub fn select(&self, gates: &[Tensor<2>]) -> Vec<LayerWeights> {
        let batch = gates[0].dims()[0];
        let mut start = 0;
        let select = |layer: &Layer| {
            let range = start..start + layer.outputs;
            start = range.end;
            let gates = gates.iter().map(|g| g.clone().slice([0..batch, range.clone()]));
            if batch == 1 {
                let chosen = (gates.zip(&layer.steps)).fold(layer.narrowest.clone(), |w, (gate, step)| {
                    w + gate.reshape([layer.outputs, 1]) * step.clone()
                });
                return LayerWeights::Shared(chosen);
            }
            // One small product for each channel: [outputs, batch, steps] x [outputs, steps, inputs].
            let gates: Tensor<3> = Tensor::stack(gates.collect(), 2);
            let steps: Tensor<3> = Tensor::stack(layer.steps.clone(), 1);
            let chosen = gates.swap_dims(0, 1).matmul(steps).swap_dims(0, 1);
            LayerWeights::PerUser(chosen + layer.narrowest.clone().unsqueeze::<3>())
        };
        self.layers.iter().map(select).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::chord::Chord;
    use crate::tensor::{Device, floats, to_host};

    /// A plan of one width everywhere is that width's uniform weights, for one user and for several.
    #[test]
    fn gates_select_widths() {
        let device = Device::Flex(Default::default());
        let config = config::load(None, &["model.dim=8".into(), "model.inner=12".into()]).unwrap();
        let model = Chord::new(&config, 9, &Device::autodiff(device.clone()));
        let backbone =
            burn::module::AutodiffModule::valid(&model.backbone).map_layers(|l| l.initialise_ranges(2.4));
        let channels = crate::hypernetwork::Channels::of(&backbone).total();
        let palette = PaletteSteps::new(&backbone, &[0, 2, 4, 8]);
        for (code, bits) in [0, 2, 4, 8].into_iter().enumerate() {
            let gates = |users: usize| -> Vec<Tensor<2>> {
                let gate =
                    |step| floats(vec![f32::from(code > step); users * channels], [users, channels], &device);
                (0..3).map(gate).collect()
            };
            for ((one, three), same) in
                palette.select(&gates(1)).iter().zip(palette.select(&gates(3))).zip(uniform(&backbone, bits))
            {
                let (LayerWeights::Shared(one), LayerWeights::PerUser(three), LayerWeights::Shared(same)) =
                    (one, three, same)
                else {
                    panic!("one user shares, three do not")
                };
                let same = to_host(same);
                let close = |a: &[f32]| a.iter().zip(&same).for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
                close(&to_host(one.clone()));
                to_host(three).chunks(same.len()).for_each(close);
            }
        }
    }
}
