//! What a format calls the parameters of our SASRec, and what it fixes beside them.

use super::Format;
use toml::Value;

impl Format {
    /// The name of our parameter `ours`, a dotted path from the backbone; `None` for what only quantisation needs.
    pub(super) fn name(self, ours: &str) -> Option<String> {
        let (place, part) = ours.rsplit_once('.').unwrap_or((ours, "weight"));
        let part = match part {
            "weight" | "gamma" => "weight",
            "bias" | "beta" => "bias",
            _ => return None,
        };
        if place.ends_with("per_width") {
            return None;
        }
        Some(format!("{}.{part}", self.place(place)))
    }

    fn place(self, ours: &str) -> String {
        if self == Self::Pytorch {
            return ours.to_owned();
        }
        let Some((block, layer)) = ours.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) else {
            let top = match ours {
                "items" => "item_embedding",
                "positions" => "position_embedding",
                _ => "LayerNorm",
            };
            return top.to_owned();
        };
        let layer = match layer {
            "norm1" => "multi_head_attention.LayerNorm",
            "output" => "multi_head_attention.dense",
            "norm2" => "feed_forward.LayerNorm",
            "expand" => "feed_forward.dense_1",
            "contract" => "feed_forward.dense_2",
            projection => &format!("multi_head_attention.{projection}"),
        };
        format!("{}{block}.{layer}", self.block_prefix())
    }

    /// What the names in a block start with, before its number.
    pub(super) fn block_prefix(self) -> &'static str {
        match self {
            Self::Pytorch => "blocks.",
            Self::Recbole => "trm_encoder.layer.",
        }
    }

    /// Rows of the item table before item row 0.
    pub(super) fn padding_rows(self) -> usize {
        match self {
            Self::Pytorch => 0,
            Self::Recbole => 1,
        }
    }

    /// The knobs that its forward pass leaves no choice in.
    pub(super) fn knobs(self) -> [(&'static str, Value); 3] {
        let [norm, positions] = match self {
            Self::Pytorch => ["pre", "right"],
            Self::Recbole => ["post", "left"],
        };
        [
            ("model.backbone", "sasrec".into()),
            ("model.norm", norm.into()),
            ("model.positions", positions.into()),
        ]
    }
}
