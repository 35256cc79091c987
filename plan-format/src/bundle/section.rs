//! The parts of a bundle after its manifest.

use core::fmt;

use crate::manifest::{LayerKind, LayerName, Manifest};

/// A section of a bundle. Displays as `block0.query codes`, for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Section {
    /// Master codes of the item embeddings, items x dim, i8.
    ItemCodes,
    /// Ranges of the item rows, f32.
    ItemRanges,
    /// Position embeddings, positions x dim, f32.
    Positions,
    /// A parameter of a layer normalisation, dim, f32.
    Norm(Norm, NormPart),
    /// A part of a quantised layer.
    Layer(LayerName, LayerPart),
}

/// A layer normalisation of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Norm {
    /// Before the attention of a block.
    Attention(u8),
    /// Before the feed-forward layers of a block.
    FeedForward(u8),
    /// After the last block.
    Final,
}

/// The parameters of a layer normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NormPart {
    /// Factors.
    Gamma,
    /// Offsets.
    Beta,
}

/// The parts of a quantised layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LayerPart {
    /// Master codes, outputs x inputs, i8.
    Codes,
    /// Ranges, outputs x [`Manifest::ranges_per_channel`], f32.
    Ranges,
    /// Biases, outputs x [`Manifest::biases_per_channel`], f32.
    Biases,
}

/// Sections before the blocks.
const HEAD: [Section; 3] = [Section::ItemCodes, Section::ItemRanges, Section::Positions];

/// Parts of a normalisation in order.
const NORM_PARTS: [NormPart; 2] = [NormPart::Gamma, NormPart::Beta];

/// Parts of a layer in order.
const LAYER_PARTS: [LayerPart; 3] = [LayerPart::Codes, LayerPart::Ranges, LayerPart::Biases];

/// Sections of the two normalisations of a block.
const NORM_SECTIONS: usize = 2 * NORM_PARTS.len();

/// Sections of one block.
pub(crate) const BLOCK_SECTIONS: usize = NORM_SECTIONS + LayerKind::ALL.len() * LAYER_PARTS.len();

/// Most sections that a bundle can have (16 blocks).
pub(crate) const SECTIONS_MAX: usize = HEAD.len() + 16 * BLOCK_SECTIONS + NORM_PARTS.len();

impl Section {
    /// All sections of a model with that many blocks, in bundle order.
    pub fn all(blocks: u8) -> impl Iterator<Item = Self> {
        HEAD.into_iter()
            .chain((0..blocks).flat_map(Self::of_block))
            .chain(NORM_PARTS.map(|part| Self::Norm(Norm::Final, part)))
    }

    /// The sections of one block.
    pub(crate) fn of_block(block: u8) -> impl Iterator<Item = Self> {
        let norms = [Norm::Attention(block), Norm::FeedForward(block)].into_iter();
        let layers = LayerKind::ALL.into_iter().map(move |kind| LayerName { block, kind });
        norms
            .flat_map(|norm| NORM_PARTS.map(|part| Self::Norm(norm, part)))
            .chain(layers.flat_map(|name| LAYER_PARTS.map(|part| Self::Layer(name, part))))
    }

    /// Where the section stands in [`all`](Self::all); `None` if the model has no such block.
    pub(crate) fn index(self, blocks: u8) -> Option<usize> {
        let (block, position) = match self {
            Self::ItemCodes => return Some(0),
            Self::ItemRanges => return Some(1),
            Self::Positions => return Some(2),
            Self::Norm(Norm::Final, part) => (blocks, part as usize),
            Self::Norm(Norm::Attention(block), part) => (block, part as usize),
            Self::Norm(Norm::FeedForward(block), part) => (block, NORM_PARTS.len() + part as usize),
            Self::Layer(LayerName { block, kind }, part) => {
                (block, NORM_SECTIONS + LAYER_PARTS.len() * kind as usize + part as usize)
            }
        };
        let exists = block < blocks || matches!(self, Self::Norm(Norm::Final, _));
        exists.then(|| HEAD.len() + BLOCK_SECTIONS * usize::from(block) + position)
    }

    /// Whether the elements are codes (i8); otherwise they are f32.
    pub fn holds_codes(self) -> bool {
        matches!(self, Self::ItemCodes | Self::Layer(_, LayerPart::Codes))
    }

    /// Whether the elements are ranges (`docs/numerics.md`, section 1).
    pub(crate) fn holds_ranges(self) -> bool {
        matches!(self, Self::ItemRanges | Self::Layer(_, LayerPart::Ranges))
    }

    /// How many elements the section has; `None` if 32 bits cannot say.
    pub(crate) fn elements(self, manifest: &Manifest) -> Option<u32> {
        let shape = manifest.shape();
        let (dim, inner) = (u32::from(shape.dim), u32::from(shape.inner));
        match self {
            Self::ItemCodes => shape.items.checked_mul(dim),
            Self::ItemRanges => Some(shape.items),
            Self::Positions => dim.checked_mul(shape.positions.into()),
            Self::Norm(..) => Some(dim),
            Self::Layer(LayerName { kind, .. }, part) => {
                let (inputs, outputs) = match kind {
                    LayerKind::Expand => (dim, inner),
                    LayerKind::Contract => (inner, dim),
                    _ => (dim, dim),
                };
                outputs.checked_mul(match part {
                    LayerPart::Codes => inputs,
                    LayerPart::Ranges => manifest.ranges_per_channel() as u32,
                    LayerPart::Biases => manifest.biases_per_channel() as u32,
                })
            }
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ItemCodes => f.write_str("item codes"),
            Self::ItemRanges => f.write_str("item ranges"),
            Self::Positions => f.write_str("positions"),
            Self::Norm(norm, part) => {
                match norm {
                    Norm::Attention(block) => write!(f, "block{block}.norm1 ")?,
                    Norm::FeedForward(block) => write!(f, "block{block}.norm2 ")?,
                    Norm::Final => f.write_str("final norm ")?,
                }
                f.write_str(match part {
                    NormPart::Gamma => "gamma",
                    NormPart::Beta => "beta",
                })
            }
            Self::Layer(name, part) => {
                let part = match part {
                    LayerPart::Codes => "codes",
                    LayerPart::Ranges => "ranges",
                    LayerPart::Biases => "biases",
                };
                write!(f, "{name} {part}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_follow_the_order() {
        for blocks in [1, 2, 16] {
            let mut count = 0;
            for (i, section) in Section::all(blocks).enumerate() {
                assert_eq!(section.index(blocks), Some(i), "{section}");
                count += 1;
            }
            assert!(count <= SECTIONS_MAX);
            assert_eq!(Section::of_block(0).count(), BLOCK_SECTIONS);
            assert_eq!(Section::Norm(Norm::Attention(blocks), NormPart::Gamma).index(blocks), None);
        }
        assert_eq!(Section::all(16).count(), SECTIONS_MAX);
    }
}
