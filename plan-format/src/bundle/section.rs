//! The parts of a bundle after its manifest.

use core::fmt;

use crate::manifest::{Architecture, Layer, LayerKind, LayerName, Manifest, ProfileLayer, SasRecShape};

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
    /// Of the user embedding.
    Profile,
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

/// Sections that every bundle starts with.
const HEAD: [Section; 2] = [Section::ItemCodes, Section::ItemRanges];

/// Sections before the blocks of SASRec.
const BEFORE_BLOCKS: usize = HEAD.len() + 1;

/// Parts of a normalisation in order.
const NORM_PARTS: [NormPart; 2] = [NormPart::Gamma, NormPart::Beta];

/// Parts of a layer in order.
pub(crate) const LAYER_PARTS: [LayerPart; 3] = [LayerPart::Codes, LayerPart::Ranges, LayerPart::Biases];

/// Sections of the two normalisations of a block.
const NORM_SECTIONS: usize = 2 * NORM_PARTS.len();

/// Sections of one block.
pub(crate) const BLOCK_SECTIONS: usize = NORM_SECTIONS + LayerKind::ALL.len() * LAYER_PARTS.len();

/// The sections of the profile encoder, the last of a bundle. A table: it takes less flash than iterators.
pub(crate) const PROFILE: [Section; ProfileLayer::ALL.len() * LAYER_PARTS.len() + NORM_PARTS.len()] = {
    let mut sections = [Section::Norm(Norm::Profile, NormPart::Gamma); _];
    let mut i = 0;
    while i < ProfileLayer::ALL.len() * LAYER_PARTS.len() {
        let layer = ProfileLayer::ALL[i / LAYER_PARTS.len()];
        sections[i] = Section::Layer(LayerName::Profile(layer), LAYER_PARTS[i % LAYER_PARTS.len()]);
        i += 1;
    }
    sections[i + 1] = Section::Norm(Norm::Profile, NormPart::Beta);
    sections
};

/// Most sections that a bundle can have: SASRec of 16 blocks. Caser has at most 103 layers.
pub(crate) const SECTIONS_MAX: usize = BEFORE_BLOCKS + 16 * BLOCK_SECTIONS + NORM_PARTS.len() + PROFILE.len();

impl Section {
    /// All sections of a model in bundle order.
    pub fn all(manifest: &Manifest) -> impl Iterator<Item = Self> + use<> {
        let manifest = *manifest;
        (0..).map_while(move |index| Self::at(index, &manifest))
    }

    /// Section number `index` of a model; `None` past the last. Arithmetic: it takes less flash than chained iterators.
    fn at(index: usize, manifest: &Manifest) -> Option<Self> {
        let Some(index) = index.checked_sub(HEAD.len()) else { return HEAD.get(index).copied() };
        let behind = match manifest.architecture {
            Architecture::SasRec(SasRecShape { blocks, .. }) => {
                let Some(index) = index.checked_sub(1) else { return Some(Self::Positions) };
                let (block, position) = ((index / BLOCK_SECTIONS) as u8, index % BLOCK_SECTIONS);
                if block < blocks {
                    return Self::in_block(block, position);
                }
                let behind = index - BLOCK_SECTIONS * usize::from(blocks);
                if let Some(&part) = NORM_PARTS.get(behind) {
                    return Some(Self::Norm(Norm::Final, part));
                }
                behind - NORM_PARTS.len()
            }
            Architecture::Caser(shape) => {
                let (layer, part) = (index / LAYER_PARTS.len(), index % LAYER_PARTS.len());
                if layer < manifest.layer_count() {
                    return Some(Self::Layer(shape.layer_at(layer).name, *LAYER_PARTS.get(part)?));
                }
                index - LAYER_PARTS.len() * manifest.layer_count()
            }
        };
        manifest.profile.and_then(|_| PROFILE.get(behind).copied())
    }

    /// Section number `position` of a block of SASRec.
    pub(crate) fn in_block(block: u8, position: usize) -> Option<Self> {
        let Some(position) = position.checked_sub(NORM_SECTIONS) else {
            let norm =
                if position < NORM_PARTS.len() { Norm::Attention(block) } else { Norm::FeedForward(block) };
            return Some(Self::Norm(norm, *NORM_PARTS.get(position % NORM_PARTS.len())?));
        };
        let kind = *LayerKind::ALL.get(position / LAYER_PARTS.len())?;
        Some(Self::Layer(LayerName::Block(block, kind), *LAYER_PARTS.get(position % LAYER_PARTS.len())?))
    }

    /// Where the section stands in [`PROFILE`], if there.
    pub(crate) fn index_in_profile(self) -> Option<usize> {
        match self {
            Self::Layer(LayerName::Profile(layer), part) => {
                Some(LAYER_PARTS.len() * layer as usize + part as usize)
            }
            Self::Norm(Norm::Profile, part) => {
                Some(LAYER_PARTS.len() * ProfileLayer::ALL.len() + part as usize)
            }
            _ => None,
        }
    }

    /// Where the section stands in [`all`](Self::all); `None` if the model has no such section.
    pub(crate) fn index(self, manifest: &Manifest) -> Option<usize> {
        if let Some(index) = self.index_in_profile() {
            let before = match manifest.architecture {
                Architecture::SasRec(shape) => {
                    BEFORE_BLOCKS + BLOCK_SECTIONS * usize::from(shape.blocks) + NORM_PARTS.len()
                }
                Architecture::Caser(_) => HEAD.len() + LAYER_PARTS.len() * manifest.layer_count(),
            };
            return manifest.profile.map(|_| before + index);
        }
        let in_block = |block: usize, position| Some(BEFORE_BLOCKS + BLOCK_SECTIONS * block + position);
        match (self, manifest.architecture) {
            (Self::ItemCodes, _) => Some(0),
            (Self::ItemRanges, _) => Some(1),
            (Self::Positions, Architecture::SasRec(_)) => Some(HEAD.len()),
            (Self::Norm(norm, part), Architecture::SasRec(SasRecShape { blocks, .. })) => match norm {
                Norm::Attention(block) if block < blocks => in_block(block.into(), part as usize),
                Norm::FeedForward(block) if block < blocks => {
                    in_block(block.into(), NORM_PARTS.len() + part as usize)
                }
                Norm::Final => in_block(blocks.into(), part as usize),
                Norm::Attention(_) | Norm::FeedForward(_) | Norm::Profile => None,
            },
            (Self::Layer(name, part), architecture) => {
                let index = manifest.layer_index(name)?;
                let place = |index: usize| LAYER_PARTS.len() * index + part as usize;
                match architecture {
                    Architecture::SasRec(_) => {
                        let (block, index) = (index / LayerKind::ALL.len(), index % LayerKind::ALL.len());
                        in_block(block, NORM_SECTIONS + place(index))
                    }
                    Architecture::Caser(_) => Some(HEAD.len() + place(index)),
                }
            }
            (Self::Positions | Self::Norm(..), Architecture::Caser(_)) => None,
        }
    }

    /// Whether the elements are codes (i8); otherwise they are f32.
    pub fn holds_codes(self) -> bool {
        matches!(self, Self::ItemCodes | Self::Layer(_, LayerPart::Codes))
    }

    /// Bytes of an element.
    pub(crate) fn element_len(self) -> u32 {
        if self.holds_codes() { 1 } else { 4 }
    }

    /// Whether the elements are ranges (`docs/numerics.md`, section 1).
    pub(crate) fn holds_ranges(self) -> bool {
        matches!(self, Self::ItemRanges | Self::Layer(_, LayerPart::Ranges))
    }

    /// How many elements the section has; `None` if 32 bits cannot say.
    pub(crate) fn elements(self, manifest: &Manifest) -> Option<u32> {
        let dim = manifest.dim() as u32;
        match self {
            Self::ItemCodes => manifest.items().checked_mul(dim),
            Self::ItemRanges => Some(manifest.items()),
            Self::Positions => dim.checked_mul(manifest.window() as u32),
            Self::Norm(Norm::Profile, _) => Some(manifest.profile?.hidden.into()),
            Self::Norm(..) => Some(dim),
            Self::Layer(LayerName::Profile(kind), part) => {
                let layer = manifest.profile_layer(kind)?;
                let columns = if let LayerPart::Codes = part { layer.inputs as u32 } else { 1 };
                (layer.outputs as u32).checked_mul(columns)
            }
            Self::Layer(name, part) => part.elements(&manifest.layer(manifest.layer_index(name)?)?, manifest),
        }
    }
}

impl LayerPart {
    /// Bytes of an element.
    pub(crate) fn element_len(self) -> u32 {
        if let Self::Codes = self { 1 } else { 4 }
    }

    /// How many elements the part has in a layer of the network; `None` if 32 bits cannot say.
    pub(crate) fn elements(self, layer: &Layer, manifest: &Manifest) -> Option<u32> {
        (layer.outputs as u32).checked_mul(match self {
            Self::Codes => layer.inputs as u32,
            Self::Ranges => manifest.ranges_per_channel() as u32,
            Self::Biases => manifest.biases_per_channel() as u32,
        })
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
                    Norm::Profile => f.write_str("profile.norm ")?,
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
    use crate::bundle::layout::tests::{caser, sasrec};
    use crate::manifest::ProfileShape;

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn indices_follow_the_order() {
        let models = [sasrec(9, 4, 1), sasrec(9, 4, 2), sasrec(9, 4, 16), caser(1, 4), caser(100, 4)];
        let profile = Some(ProfileShape { pooled: 1, features: 2, hidden: 3, norm_epsilon: 1e-5 });
        let with_profile = models.map(|manifest| Manifest { profile, ..manifest });
        for manifest in models.into_iter().chain(with_profile) {
            let mut count = 0;
            for (i, section) in Section::all(&manifest).enumerate() {
                assert_eq!(section.index(&manifest), Some(i), "{section}");
                count += 1;
            }
            assert!(count <= SECTIONS_MAX);
        }
        assert_eq!(Section::all(&with_profile[2]).count(), SECTIONS_MAX);
    }

    #[test]
    fn a_model_has_the_sections_of_its_network_alone() {
        let layer = |name| Section::Layer(name, LayerPart::Biases);
        let norm = |norm| Section::Norm(norm, NormPart::Gamma);
        let lacking =
            [norm(Norm::Attention(2)), layer(LayerName::Block(2, LayerKind::Key)), layer(LayerName::Dense)];
        assert_eq!(lacking.map(|section| section.index(&sasrec(9, 4, 2))), [None; 3]);
        let lacking = [
            norm(Norm::Final),
            norm(Norm::Profile),
            Section::Positions,
            layer(LayerName::Block(0, LayerKind::Key)),
            layer(LayerName::Horizontal(0)),
            layer(LayerName::Horizontal(4)),
            layer(LayerName::Profile(ProfileLayer::Input)),
        ];
        assert_eq!(lacking.map(|section| section.index(&caser(3, 4))), [None; 7]);
    }
}
