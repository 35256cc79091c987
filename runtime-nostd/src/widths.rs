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
        // No engine asks for a channel whose number wraps.
        let channel = self.first_channel.wrapping_add(channel);
        // The engine lets no plan in that is too short or has codes that the palette does not use.
        let four = self.packed.get(channel / 4).copied().unwrap_or(0);
        self.palette.bits(four >> (2 * (channel % 4)) & 3).unwrap_or(0)
    }

    /// Of a layer of `outputs` channels what a loop of a kernel needs; `None` if the plan is too short.
    #[cfg(chord_dsp)]
    pub(crate) fn bytes(&self, outputs: usize) -> Option<PlanBytes<'a>> {
        let end = self.first_channel.checked_add(outputs)?;
        let widths = [0, 1, 2, 3].map(|code| self.palette.bits(code).unwrap_or(0));
        if self.packed.is_empty() {
            // No plan: all codes are 0.
            return Some(PlanBytes { bytes: &[], first: 0, widths: [widths[0]; 4] });
        }
        let bytes = self.packed.get(..end.div_ceil(4))?;
        Some(PlanBytes { bytes, first: self.first_channel, widths })
    }
}

/// A plan's codes, four to a byte.
#[cfg(chord_dsp)]
pub(crate) struct PlanBytes<'a> {
    /// None if all codes have one width.
    pub(crate) bytes: &'a [u8],
    /// Place of the layer's first channel.
    pub(crate) first: usize,
    /// Bits of each code.
    pub(crate) widths: [u8; 4],
}
