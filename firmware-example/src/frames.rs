//! Frames out of a stream of bytes: COBS, each frame ended by a 0.

use heapless::Vec;

use crate::PLAN_BYTES;

/// Longest frame for this model, its end not counted.
pub const FRAME_BYTES: usize = cobs::max_encoding_length(PLAN_BYTES);

/// Why a frame is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum FrameError {
    /// It is longer than any plan for this model.
    TooLong,
    /// Bytes are missing, or damaged.
    NotCobs,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the frame is longer than any plan for this model",
            Self::NotCobs => "the frame is not COBS",
        })
    }
}

/// Collects frames, one after another.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8, FRAME_BYTES>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Filling,
    /// What was collected has been given out.
    Ended,
    /// Passes over the rest of a frame.
    TooLong,
}

impl Frames {
    /// Takes a byte; gives the content of the frame that it ends, or says that the frame is none. Empty frames are
    /// passed over: a sender may send a 0 to begin anew.
    pub fn push(&mut self, byte: u8) -> Option<Result<&[u8], FrameError>> {
        match (&self.state, byte) {
            (State::TooLong, 0) => {
                self.state = State::Filling;
                return Some(Err(FrameError::TooLong));
            }
            (State::TooLong, _) => {}
            (State::Filling, 0) if !self.bytes.is_empty() => {
                self.state = State::Ended;
                let content =
                    cobs::decode_in_place(&mut self.bytes).ok().and_then(|len| self.bytes.get(..len));
                return Some(content.ok_or(FrameError::NotCobs));
            }
            (State::Filling | State::Ended, byte) => {
                if matches!(self.state, State::Ended) {
                    self.bytes.clear();
                    self.state = State::Filling;
                }
                if byte != 0 && self.bytes.push(byte).is_err() {
                    self.bytes.clear();
                    self.state = State::TooLong;
                }
            }
        }
        None
    }
}
