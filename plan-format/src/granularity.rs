//! How finely a model tells ranges and biases apart.

/// What has a range and a bias of its own (`docs/numerics.md`, section 1). Stored as one byte, 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Granularity {
    /// Every output channel: its range and its bias serve all widths.
    PerChannel,
    /// Every output channel at every width of the palette. At 0 bits there is a bias and no range.
    PerWidth,
}

impl Granularity {
    /// The granularity that a byte stands for, if any.
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::PerChannel),
            1 => Some(Self::PerWidth),
            _ => None,
        }
    }

    /// How many numbers one channel has for `widths` of the palette.
    pub(crate) const fn per_channel(self, widths: &[u8]) -> usize {
        match self {
            Self::PerChannel => 1,
            Self::PerWidth => widths.len(),
        }
    }

    /// Which of a channel's numbers is that of `bits`; `None` if `widths` has no number for it.
    pub(crate) fn column(self, widths: &[u8], bits: u8) -> Option<usize> {
        match self {
            Self::PerChannel => Some(0),
            Self::PerWidth => widths.iter().position(|&width| width == bits),
        }
    }
}
