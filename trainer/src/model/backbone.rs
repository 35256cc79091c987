//! The ranking model on the device: SASRec or Caser behind one interface.

use super::caser::Caser;
use super::quantised_linear::{LayerWeights, QuantisedLinear};
use super::sasrec::{Pass, SasRec, Sequences};
use crate::config::{BackboneName, Config};
use crate::tensor::{Backend, Device, Tensor};
use burn::module::{Module, Param};
use burn::prelude::Backend as BurnBackend;

/// The frozen part of the device's model.
// A handful of them lives at a time: nothing to save by boxing the larger one.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Backbone<B: BurnBackend> {
    /// Self-attention.
    SasRec(SasRec<B>),
    /// Convolutions.
    Caser(Caser<B>),
}

impl<B: BurnBackend> Backbone<B> {
    /// Item embeddings, [items, dim]; also the output layer.
    pub fn items(&self) -> &Param<burn::Tensor<B, 2>> {
        match self {
            Self::SasRec(model) => &model.items,
            Self::Caser(model) => &model.items,
        }
    }

    /// The quantised layers in plan order.
    pub fn layers(&self) -> Vec<&QuantisedLinear<B>> {
        match self {
            Self::SasRec(model) => model.layers().collect(),
            Self::Caser(model) => model.layers().collect(),
        }
    }

    /// Names of the quantised layers in plan order.
    pub fn layer_names(&self) -> Vec<String> {
        match self {
            Self::SasRec(model) => model.layer_names(),
            Self::Caser(model) => model.layer_names(),
        }
    }

    /// With item embeddings that take no part in backpropagation.
    pub fn with_frozen_items(mut self) -> Self {
        let slot = self.items_mut();
        *slot = slot.clone().set_require_grad(false);
        self
    }

    fn items_mut(&mut self) -> &mut Param<burn::Tensor<B, 2>> {
        match self {
            Self::SasRec(model) => &mut model.items,
            Self::Caser(model) => &mut model.items,
        }
    }

    /// With other item embeddings.
    pub fn with_items(mut self, items: burn::Tensor<B, 2>) -> Self {
        let slot = self.items_mut();
        *slot = slot.clone().map(|_| items);
        self
    }
}

impl Backbone<Backend> {
    /// A new backbone of a configuration, for a catalogue of `items`.
    pub fn new(config: &Config, items: u32, device: &Device) -> Self {
        let m = &config.model;
        let std = m.embedding_std;
        match m.backbone {
            BackboneName::SasRec => {
                Self::SasRec(SasRec::new(&config.sasrec_shape(items), m.norm, m.positions, std, device))
            }
            BackboneName::Caser => Self::Caser(Caser::new(&config.caser_shape(items), std, device)),
        }
    }

    /// Applies `change` to every quantised layer.
    pub fn map_layers(self, change: impl Fn(QuantisedLinear<Backend>) -> QuantisedLinear<Backend>) -> Self {
        match self {
            Self::SasRec(model) => Self::SasRec(model.map_layers(change)),
            Self::Caser(model) => Self::Caser(model.map_layers(change)),
        }
    }

    /// The full-precision weights.
    pub fn full_precision(&self) -> Vec<LayerWeights> {
        self.layers().into_iter().map(QuantisedLinear::full_precision).collect()
    }

    /// The hidden state after every token, [batch, tokens, dim]; its product with the item embeddings are the logits.
    pub fn hidden(&self, sequences: &Sequences, pass: &mut Pass) -> Tensor<3> {
        match self {
            Self::SasRec(model) => model.hidden(sequences, pass),
            Self::Caser(model) => model.hidden(sequences, pass),
        }
    }
}
