//! One user's history on the device: what it left behind in the network is kept, so that the next item costs less.

use core::fmt;

use chord_plan::manifest::{Architecture, PositionsFrom};
use chord_plan::{Bundle, Plan};

use crate::engine::Engine;
use crate::error::{Error, List};
use crate::items::sealed::Source;
use crate::items::{Embeddings, Items, check_row};
use crate::kernels::{Linear, Native};
use crate::ranking::Ranked;
use crate::requirements::{Arithmetic, Options, Sizes};
use crate::sasrec::Kept;
use crate::window::Window;

/// An engine with a history that grows item by item. The results are those of the engine with the whole history, bit
/// for bit.
///
/// With positions from the left (`docs/format.md`) the attention keys and values of all items so far are reused while
/// the history fits the window: an appended item goes through the network alone. From the first item that pushes
/// another out of the window, with positions from the right, and after a new plan, the next ranking computes the
/// window anew; so does Caser. Items are rows of the bundle's table, or, where it has none, rows that came with requests: the
/// session copies these, because it may need them again.
pub struct Session<'a, K = Native> {
    engine: Engine<'a, K>,
    /// Keys and values of the blocks after the first, whose are in the engine.
    kept: &'a mut [u32],
    window: Window<'a>,
    /// How many items of the window the network has seen under the running plan.
    seen: usize,
    /// Of the history's code vector, in the engine.
    scale: f32,
}

impl<K> fmt::Debug for Session<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("engine", &self.engine)
            .field("items", &self.window.len())
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<K> defmt::Format for Session<'_, K> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { engine, window, seen, .. } = self;
        defmt::write!(f, "Session {{ engine: {}, items: {}, seen: {} }}", engine, window.len(), seen);
    }
}

impl Session<'_> {
    /// Bytes that a session takes beside the engine's arena, at any alignment.
    pub fn arena_bytes(bundle: &Bundle<'_>, options: &Options) -> usize {
        arena_bytes(bundle, &Sizes::of(bundle, options), options.arithmetic)
    }
}

impl<'a, K: Linear> Session<'a, K> {
    /// A session without a history yet; `arena` is [`arena_bytes`](Self::arena_bytes) long, with any content.
    pub fn new(engine: Engine<'a, K>, arena: &'a mut [u8]) -> Result<Self, Error> {
        let needed = arena_bytes(engine.bundle(), engine.sizes(), engine.arithmetic());
        let too_small = Error::ArenaTooSmall { needed, given: arena.len() };
        let kept = kept_words(engine.bundle(), engine.sizes(), engine.arithmetic());
        let (tokens, width) = (engine.sizes().tokens, kept_codes(engine.bundle()));
        let unaligned = bytemuck::pod_align_to::<u8, u32>(arena).0.len();
        let aligned = arena.get_mut(unaligned..).ok_or(too_small)?;
        let (kept, rest) = aligned.split_at_mut_checked(size_of::<u32>() * kept).ok_or(too_small)?;
        let items = rest.get_mut(..Window::bytes(tokens, width)).ok_or(too_small)?;
        Ok(Self {
            engine,
            kept: bytemuck::try_cast_slice_mut(kept).map_err(|_| too_small)?,
            window: Window::cut(items, tokens, width, too_small)?,
            seen: 0,
            scale: 0.0,
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine<'a, K> {
        &self.engine
    }

    /// Items of the history that count: those in the window, oldest first. None where the bundle has no item table.
    pub fn history(&self) -> &[u32] {
        self.window.numbers()
    }

    /// As [`history`](Self::history), where the bundle has no item table, and none where it has one.
    pub fn history_rows(&self) -> Embeddings<'_> {
        self.window.rows()
    }

    /// Takes a new plan, as [`Engine::apply`].
    pub fn apply(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        self.engine.apply(plan)?;
        self.seen = 0;
        Ok(())
    }

    /// Forgets the history.
    pub fn clear(&mut self) {
        self.window.clear();
        self.seen = 0;
    }

    /// Appends an item to the history; the network sees it in the next ranking.
    pub fn append(&mut self, item: u32) -> Result<(), Error> {
        check_row(self.engine.bundle(), List::History, self.window.len(), item)?;
        let moved = self.window.push(item);
        self.note(moved);
        Ok(())
    }

    /// Appends items to the history, oldest first, where the bundle has no item table. After an error it is as it was.
    pub fn append_items(&mut self, items: Embeddings<'_>) -> Result<(), Error> {
        if self.engine.bundle().manifest().items() > 0 {
            return Err(Error::ItemTable);
        }
        items.check(List::History, self.engine.bundle())?;
        for index in 0..items.len() {
            let moved = self.window.push_row(items.row(self.engine.bundle(), index));
            self.note(moved);
        }
        Ok(())
    }

    /// Takes note of an appended item that may have moved the others.
    fn note(&mut self, moved: bool) {
        if moved || reuses(self.engine.bundle()).is_none() {
            self.seen = 0;
        }
    }

    /// As [`Engine::score_items`].
    pub fn score<'o>(&mut self, candidates: impl Items, logits: &'o mut [f32]) -> Result<&'o [f32], Error> {
        let logits = self.engine.check_candidates(candidates, logits)?;
        self.encode()?;
        self.engine.score_encoded(self.scale, candidates, logits)
    }

    /// As [`Engine::rank_items`].
    pub fn rank<'o>(
        &mut self,
        candidates: impl Items,
        ranked: &'o mut [Ranked],
    ) -> Result<&'o [Ranked], Error> {
        let ranked = self.engine.check_candidates(candidates, ranked)?;
        self.encode()?;
        self.engine.rank_encoded(self.scale, candidates, ranked)
    }

    /// As [`Engine::top_items`].
    pub fn top<const N: usize>(&mut self, candidates: impl Items) -> Result<heapless::Vec<Ranked, N>, Error> {
        candidates.check(List::Candidates, self.engine.bundle())?;
        self.encode()?;
        self.engine.top_encoded(self.scale, candidates)
    }

    /// Shows the network what it has not seen.
    fn encode(&mut self) -> Result<(), Error> {
        let len = self.window.len();
        if len == 0 {
            return Err(Error::Empty(List::History));
        }
        if self.seen < len {
            let kept = Kept { blocks: self.kept, seen: self.seen };
            self.scale = match self.engine.bundle().manifest().items() {
                0 => encode(&mut self.engine, self.window.rows(), kept),
                _ => encode(&mut self.engine, self.window.numbers(), kept),
            };
            self.seen = len;
        }
        Ok(())
    }
}

fn encode<K: Linear>(engine: &mut Engine<'_, K>, history: impl Items, kept: Kept<'_>) -> f32 {
    match reuses(engine.bundle()) {
        Some(_) => engine.encode_kept(history, kept),
        None => engine.encode(history),
    }
}

fn arena_bytes(bundle: &Bundle<'_>, sizes: &Sizes, arithmetic: Arithmetic) -> usize {
    let kept = size_of::<u32>() * kept_words(bundle, sizes, arithmetic);
    align_of::<u32>() - 1 + kept + Window::bytes(sizes.tokens, kept_codes(bundle))
}

/// Codes of an item that the session keeps: those that it finds nowhere else.
fn kept_codes(bundle: &Bundle<'_>) -> usize {
    if bundle.manifest().items() == 0 { bundle.manifest().dim() } else { 0 }
}

/// Words of the keys and values of the blocks after the first.
fn kept_words(bundle: &Bundle<'_>, sizes: &Sizes, arithmetic: Arithmetic) -> usize {
    let of_block = |blocks| usize::from(blocks).saturating_sub(1) * sizes.kept_words(bundle, arithmetic);
    reuses(bundle).map_or(0, of_block)
}

/// Blocks of a network whose keys and values stay what they are when an item is appended.
fn reuses(bundle: &Bundle<'_>) -> Option<u8> {
    match bundle.manifest().architecture {
        Architecture::SasRec(shape) if bundle.manifest().positions_from == PositionsFrom::Left => {
            Some(shape.blocks)
        }
        _ => None,
    }
}
