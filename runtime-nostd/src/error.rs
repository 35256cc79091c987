//! What can be wrong with an engine's inputs.

use core::fmt;

use chord_plan::plan::PlanError;

/// Why an engine refuses.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The arena is too small.
    #[error("the engine needs an arena of {needed} bytes, got {given}")]
    ArenaTooSmall {
        /// [`Requirements::arena_bytes`](crate::Requirements::arena_bytes).
        needed: usize,
        /// Length of the arena.
        given: usize,
    },
    /// The model's network is one of the crate's features (`sasrec`, `caser`) that this build leaves out.
    #[error("this build leaves the model's network out")]
    NetworkLeftOut,
    /// A plan to be packed for the fixed-point arithmetic, which reads the model in place.
    #[cfg(feature = "fixed-point")]
    #[error("the fixed-point arithmetic has no packed plans")]
    PackedInFixedPoint,
    /// The plan is not one for this model.
    #[error("plan: {0}")]
    Plan(#[from] PlanError),
    /// The plan is older than the one that runs.
    #[error("plan {offered} is older than plan {running}, which runs")]
    StalePlan {
        /// Sequence number of the plan that runs.
        running: u32,
        /// Sequence number of the plan offered.
        offered: u32,
    },
    /// The plan keeps more bits than [`Options::max_budget`](crate::Options::max_budget) allows.
    #[error("the plan keeps {kept} bits of {weights} weights, the engine takes {max_budget}/1000 each")]
    OverBudget {
        /// Bits that the plan keeps.
        kept: u64,
        /// Weights of the model.
        weights: u64,
        /// The largest average, in 1/1000.
        max_budget: u16,
    },
    /// The list has no items.
    #[error("no items in the {0}")]
    Empty(List),
    /// The model has no such item.
    #[error("{list}[{index}] is item {item}, the model has {items} items")]
    UnknownItem {
        /// The list.
        list: List,
        /// Where in the list.
        index: usize,
        /// The item.
        item: u32,
        /// Items of the model: rows `0..items`.
        items: u32,
    },
    /// Item rows in a list, and the bundle has no item table: its items come as [`Embeddings`](crate::Embeddings).
    #[error("the {list} has item rows, the model no item table")]
    NoItemTable {
        /// The list.
        list: List,
    },
    /// Embeddings appended to a history whose bundle has an item table: it takes rows of the table.
    #[error("the history takes rows of the model's item table")]
    ItemTable,
    /// The embeddings in a list have too many codes or too few.
    #[error("the embeddings in the {list} take {needed} codes, got {given}")]
    EmbeddingCodes {
        /// The list.
        list: List,
        /// Items times the model's dim.
        needed: usize,
        /// Codes given.
        given: usize,
    },
    /// The range of an embedding is not in 2^-64 ..= 2^64. Its message leaves the number out: to format one takes more flash
    /// than the engine.
    #[error("{list}[{index}] has a range that is not in 2^-64 ..= 2^64")]
    EmbeddingRange {
        /// The list.
        list: List,
        /// Where in the list.
        index: usize,
        /// The range.
        range: f32,
    },
    /// The output buffer is too small.
    #[error("the output takes {needed} entries, the buffer has {given}")]
    OutputTooSmall {
        /// Entries to write.
        needed: usize,
        /// Length of the buffer.
        given: usize,
    },
    /// The arithmetic overflowed: this model cannot score this history with this plan.
    #[error("the logit of item {item} is not finite")]
    NotFinite {
        /// The item.
        item: u32,
    },
    /// The bundle has no profile encoder.
    #[error("the model has no profile encoder")]
    NoProfile,
    /// The arithmetic overflowed: this item cannot be added to this profile.
    #[error("item {item} takes the features or the state of the profile out of range")]
    ProfileOverflow {
        /// The item.
        item: u32,
    },
    /// The arithmetic overflowed: this profile has no embedding.
    #[error("the user embedding is not finite")]
    EmbeddingNotFinite,
}

/// The lists of items that an engine takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum List {
    /// What the user did, oldest first.
    History,
    /// What is to be ranked.
    Candidates,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::History => "history",
            Self::Candidates => "candidates",
        })
    }
}
