//! The plan that runs: how many bits of each channel a layer reads.

use chord_plan::Palette;

/// Widths of one layer's channels, read from the plan's packed codes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Widths<'a> {
    packed: &'a [u8],
    palette: Palette,
    first_channel: usize,
}

impl<'a> Widths<'a> {
    /// Widths of the channels from `first_channel` on; `packed` holds four plan codes to a byte.
    pub const fn new(packed: &'a [u8], palette: Palette, first_channel: usize) -> Self {
        Self { packed, palette, first_channel }
    }

    /// Bits of the layer's output channel `channel`: 0, 2, 4 or 8.
    #[inline]
    pub fn bits(&self, channel: usize) -> u8 {
        let channel = self.first_channel + channel;
        // The engine lets no plan in that is too short or has codes that the palette does not use.
        let four = self.packed.get(channel / 4).copied().unwrap_or(0);
        self.palette.bits(four >> (2 * (channel % 4)) & 3).unwrap_or(0)
    }
}
