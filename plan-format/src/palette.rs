//! The widths that a plan's 2-bit codes stand for.

use serde::Serialize;

use crate::wire::Reader;

/// Bits per weight of plan codes 0, 1, 2 and 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Palette([u8; 4]);

impl Palette {
    /// Marks a code that is not used.
    pub const UNUSED: u8 = 255;

    /// 0, 2, 4 and 8 bits.
    pub const DEFAULT: Self = Self([0, 2, 4, 8]);

    /// 8 bits alone.
    pub const EIGHT_BITS: Self = Self([8, Self::UNUSED, Self::UNUSED, Self::UNUSED]);

    /// A palette of strictly increasing widths out of 0, 2, 4 and 8, filled up with [`UNUSED`](Self::UNUSED).
    ///
    /// `None` if the entries are anything else or all unused.
    pub const fn new(entries: [u8; 4]) -> Option<Self> {
        let palette = Self(entries);
        if palette.is_valid() { Some(palette) } else { None }
    }

    /// Reads any four entries.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.bytes().map(Self)
    }

    /// Whether the entries are what [`new`](Self::new) accepts; a decoded palette may hold anything.
    pub(crate) const fn is_valid(&self) -> bool {
        let e = &self.0;
        let mut i = 0;
        while i < e.len() {
            let known = matches!(e[i], 0 | 2 | 4 | 8) || (e[i] == Self::UNUSED && i > 0);
            // Increasing, or both unused.
            let ordered = i == 0 || e[i - 1] < e[i] || e[i - 1] == Self::UNUSED && e[i] == Self::UNUSED;
            if !known || !ordered {
                return false;
            }
            i += 1;
        }
        true
    }

    /// The four entries as stored.
    pub const fn entries(&self) -> [u8; 4] {
        self.0
    }

    /// The widths in use, narrowest first; the index is the plan code.
    pub fn widths(&self) -> &[u8] {
        let used = self.0.iter().filter(|&&bits| bits != Self::UNUSED).count();
        &self.0[..used]
    }

    /// The widths in use that keep something of a weight: all but 0 bits.
    pub fn widths_above_zero(&self) -> &[u8] {
        match self.widths() {
            [0, above @ ..] => above,
            widths => widths,
        }
    }

    /// Bits that `code` stands for; `None` if the palette does not use it.
    #[inline]
    pub fn bits(&self, code: u8) -> Option<u8> {
        self.0.get(usize::from(code)).copied().filter(|&bits| bits != Self::UNUSED)
    }

    /// Code of a width; `None` if it is not in the palette.
    pub fn code_of(&self, bits: u8) -> Option<u8> {
        self.widths().iter().position(|&b| b == bits).map(|code| code as u8)
    }
}

impl Default for Palette {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_increasing_widths_with_unused_at_the_end() {
        for good in [[0, 2, 4, 8], [2, 4, 8, 255], [8, 255, 255, 255], [0, 8, 255, 255]] {
            assert!(Palette::new(good).is_some(), "{good:?}");
        }
        for bad in [[255; 4], [0, 0, 2, 4], [4, 2, 255, 255], [0, 255, 4, 255], [1, 2, 4, 8], [0, 2, 4, 16]] {
            assert!(Palette::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn codes_and_bits() {
        let p = Palette::new([2, 8, 255, 255]).unwrap();
        assert_eq!([0, 1, 2, 3, 4].map(|c| p.bits(c)), [Some(2), Some(8), None, None, None]);
        assert_eq!([0, 2, 8, 255].map(|b| p.code_of(b)), [None, Some(0), Some(1), None]);
        assert_eq!((p.widths(), p.widths_above_zero()), (&[2, 8][..], &[2, 8][..]));
        assert_eq!(Palette::DEFAULT.widths_above_zero(), [2, 4, 8]);
    }
}
