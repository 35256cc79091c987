//! What calls from C return.

use core::ffi::{CStr, c_char};

use chord_plan::bundle::BundleError;
use chord_plan::plan::PlanError;
use chord_plan::rows::RowsError;

use crate::error::{Error, List};

/// How a call ended. Values and names stay as they are from version to version; new ones may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChordStatus {
    /// All is well.
    Ok = 0,
    /// A pointer is null.
    NullPointer = 1,
    /// A pointer is not aligned to its type.
    Misaligned = 2,
    /// A length reaches past the end of the address space.
    Length = 3,
    /// Memory that is written overlaps memory that is read or written.
    Overlap = 4,
    /// The pointer is not one that `chord_init` gave, or its memory was written to since.
    NotAnEngine = 5,
    /// The engine or the profile is at work already: the call comes from an interrupt or another thread.
    Busy = 6,
    /// An option has a value that does not exist, in this library or beside the others.
    UnknownOption = 7,
    /// The memory is smaller than `chord_requirements`, or `chord_profile_requirements`, says.
    MemoryTooSmall = 8,
    /// There is no room for results.
    OutputTooSmall = 9,
    /// The pointer is not one that `chord_profile_init` gave, or its memory was written to since.
    NotAProfile = 10,
    /// The bytes are no bundle, or its parts contradict each other.
    BundleMalformed = 16,
    /// The bundle is of a format version that this library does not read.
    BundleVersion = 17,
    /// The bundle is damaged: its fingerprint does not match.
    BundleFingerprint = 18,
    /// A number of the bundle is out of range or not finite.
    BundleNumber = 19,
    /// The model's network is one that this library was built without.
    NetworkLeftOut = 20,
    /// The bytes are no plan, or its parts contradict each other.
    PlanMalformed = 32,
    /// The plan is of a format version that this library does not read.
    PlanVersion = 33,
    /// The plan is damaged: its checksum does not match.
    PlanChecksum = 34,
    /// The plan is for another model.
    PlanModel = 35,
    /// The plan has another number of channels than the model.
    PlanChannels = 36,
    /// The plan has a code that the model's palette does not use.
    PlanCode = 37,
    /// The plan is older than the one that runs.
    PlanStale = 38,
    /// The plan keeps more bits than `max_budget` allows.
    PlanOverBudget = 39,
    /// There are no items in the history.
    HistoryEmpty = 48,
    /// There are no candidates.
    CandidatesEmpty = 49,
    /// The model lacks an item of the history.
    HistoryUnknownItem = 50,
    /// The model lacks a candidate.
    CandidatesUnknownItem = 51,
    /// The arithmetic overflowed: the model cannot score this history with this plan.
    NotFinite = 52,
    /// An embedding that came with a request has another number of codes than the model's items.
    EmbeddingCodes = 53,
    /// The range of an embedding that came with a request is no number that a bundle may hold.
    EmbeddingRange = 54,
    /// Item rows of the table, and the bundle has no item table: history and candidates come with each request.
    NoItemTable = 55,
    /// Rows appended to a history whose bundle has an item table.
    ItemTable = 56,
    /// The bytes are no message with item rows, or its parts contradict each other.
    RowsMalformed = 57,
    /// The item rows are of a format version that this library does not read.
    RowsVersion = 58,
    /// The item rows are damaged: their checksum does not match.
    RowsChecksum = 59,
    /// The item rows are of another model.
    RowsModel = 60,
    /// The model has no profile encoder.
    NoProfile = 64,
    /// A feature or a state of the profile encoder is too large: the interaction was not taken in.
    ProfileOverflow = 65,
    /// The user embedding is not finite.
    EmbeddingNotFinite = 66,
}

impl ChordStatus {
    /// All of them.
    pub const ALL: [Self; 40] = [
        Self::Ok,
        Self::NullPointer,
        Self::Misaligned,
        Self::Length,
        Self::Overlap,
        Self::NotAnEngine,
        Self::Busy,
        Self::UnknownOption,
        Self::MemoryTooSmall,
        Self::OutputTooSmall,
        Self::NotAProfile,
        Self::BundleMalformed,
        Self::BundleVersion,
        Self::BundleFingerprint,
        Self::BundleNumber,
        Self::NetworkLeftOut,
        Self::PlanMalformed,
        Self::PlanVersion,
        Self::PlanChecksum,
        Self::PlanModel,
        Self::PlanChannels,
        Self::PlanCode,
        Self::PlanStale,
        Self::PlanOverBudget,
        Self::HistoryEmpty,
        Self::CandidatesEmpty,
        Self::HistoryUnknownItem,
        Self::CandidatesUnknownItem,
        Self::NotFinite,
        Self::EmbeddingCodes,
        Self::EmbeddingRange,
        Self::NoItemTable,
        Self::ItemTable,
        Self::RowsMalformed,
        Self::RowsVersion,
        Self::RowsChecksum,
        Self::RowsModel,
        Self::NoProfile,
        Self::ProfileOverflow,
        Self::EmbeddingNotFinite,
    ];

    /// Its name in the header.
    const fn name(self) -> &'static CStr {
        match self {
            Self::Ok => c"CHORD_STATUS_OK",
            Self::NullPointer => c"CHORD_STATUS_NULL_POINTER",
            Self::Misaligned => c"CHORD_STATUS_MISALIGNED",
            Self::Length => c"CHORD_STATUS_LENGTH",
            Self::Overlap => c"CHORD_STATUS_OVERLAP",
            Self::NotAnEngine => c"CHORD_STATUS_NOT_AN_ENGINE",
            Self::Busy => c"CHORD_STATUS_BUSY",
            Self::UnknownOption => c"CHORD_STATUS_UNKNOWN_OPTION",
            Self::MemoryTooSmall => c"CHORD_STATUS_MEMORY_TOO_SMALL",
            Self::OutputTooSmall => c"CHORD_STATUS_OUTPUT_TOO_SMALL",
            Self::NotAProfile => c"CHORD_STATUS_NOT_A_PROFILE",
            Self::BundleMalformed => c"CHORD_STATUS_BUNDLE_MALFORMED",
            Self::BundleVersion => c"CHORD_STATUS_BUNDLE_VERSION",
            Self::BundleFingerprint => c"CHORD_STATUS_BUNDLE_FINGERPRINT",
            Self::BundleNumber => c"CHORD_STATUS_BUNDLE_NUMBER",
            Self::NetworkLeftOut => c"CHORD_STATUS_NETWORK_LEFT_OUT",
            Self::PlanMalformed => c"CHORD_STATUS_PLAN_MALFORMED",
            Self::PlanVersion => c"CHORD_STATUS_PLAN_VERSION",
            Self::PlanChecksum => c"CHORD_STATUS_PLAN_CHECKSUM",
            Self::PlanModel => c"CHORD_STATUS_PLAN_MODEL",
            Self::PlanChannels => c"CHORD_STATUS_PLAN_CHANNELS",
            Self::PlanCode => c"CHORD_STATUS_PLAN_CODE",
            Self::PlanStale => c"CHORD_STATUS_PLAN_STALE",
            Self::PlanOverBudget => c"CHORD_STATUS_PLAN_OVER_BUDGET",
            Self::HistoryEmpty => c"CHORD_STATUS_HISTORY_EMPTY",
            Self::CandidatesEmpty => c"CHORD_STATUS_CANDIDATES_EMPTY",
            Self::HistoryUnknownItem => c"CHORD_STATUS_HISTORY_UNKNOWN_ITEM",
            Self::CandidatesUnknownItem => c"CHORD_STATUS_CANDIDATES_UNKNOWN_ITEM",
            Self::NotFinite => c"CHORD_STATUS_NOT_FINITE",
            Self::EmbeddingCodes => c"CHORD_STATUS_EMBEDDING_CODES",
            Self::EmbeddingRange => c"CHORD_STATUS_EMBEDDING_RANGE",
            Self::NoItemTable => c"CHORD_STATUS_NO_ITEM_TABLE",
            Self::ItemTable => c"CHORD_STATUS_ITEM_TABLE",
            Self::RowsMalformed => c"CHORD_STATUS_ROWS_MALFORMED",
            Self::RowsVersion => c"CHORD_STATUS_ROWS_VERSION",
            Self::RowsChecksum => c"CHORD_STATUS_ROWS_CHECKSUM",
            Self::RowsModel => c"CHORD_STATUS_ROWS_MODEL",
            Self::NoProfile => c"CHORD_STATUS_NO_PROFILE",
            Self::ProfileOverflow => c"CHORD_STATUS_PROFILE_OVERFLOW",
            Self::EmbeddingNotFinite => c"CHORD_STATUS_EMBEDDING_NOT_FINITE",
        }
    }
}

/// Name of a status, `"CHORD_STATUS_OK"` say; null for a value that is none.
#[unsafe(no_mangle)]
pub extern "C" fn chord_status_name(status: i32) -> *const c_char {
    let known = ChordStatus::ALL.into_iter().find(|known| *known as i32 == status);
    known.map_or(core::ptr::null(), |status| status.name().as_ptr())
}

impl From<BundleError> for ChordStatus {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Version(_) => Self::BundleVersion,
            BundleError::Fingerprint => Self::BundleFingerprint,
            BundleError::Number { .. } => Self::BundleNumber,
            _ => Self::BundleMalformed,
        }
    }
}

impl From<PlanError> for ChordStatus {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Version(_) => Self::PlanVersion,
            PlanError::Checksum => Self::PlanChecksum,
            PlanError::Model { .. } => Self::PlanModel,
            PlanError::Channels { .. } => Self::PlanChannels,
            PlanError::Code { .. } => Self::PlanCode,
            _ => Self::PlanMalformed,
        }
    }
}

impl From<RowsError> for ChordStatus {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Version(_) => Self::RowsVersion,
            RowsError::Checksum => Self::RowsChecksum,
            RowsError::Model { .. } => Self::RowsModel,
            _ => Self::RowsMalformed,
        }
    }
}

impl From<Error> for ChordStatus {
    fn from(error: Error) -> Self {
        match error {
            Error::ArenaTooSmall { .. } => Self::MemoryTooSmall,
            Error::NetworkLeftOut => Self::NetworkLeftOut,
            #[cfg(feature = "fixed-point")]
            Error::PackedInFixedPoint => Self::UnknownOption,
            Error::Plan(error) => error.into(),
            Error::StalePlan { .. } => Self::PlanStale,
            Error::OverBudget { .. } => Self::PlanOverBudget,
            Error::Empty(List::History) => Self::HistoryEmpty,
            Error::Empty(List::Candidates) => Self::CandidatesEmpty,
            Error::UnknownItem { list: List::History, .. } => Self::HistoryUnknownItem,
            Error::UnknownItem { list: List::Candidates, .. } => Self::CandidatesUnknownItem,
            Error::NoItemTable { .. } => Self::NoItemTable,
            Error::ItemTable => Self::ItemTable,
            Error::OutputTooSmall { .. } => Self::OutputTooSmall,
            Error::NotFinite { .. } => Self::NotFinite,
            Error::EmbeddingCodes { .. } => Self::EmbeddingCodes,
            Error::EmbeddingRange { .. } => Self::EmbeddingRange,
            Error::NoProfile => Self::NoProfile,
            Error::ProfileOverflow { .. } => Self::ProfileOverflow,
            Error::EmbeddingNotFinite => Self::EmbeddingNotFinite,
        }
    }
}
