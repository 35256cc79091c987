//! Cortex-M: cortex-m-rt starts up, this ends what would otherwise loop for ever.

// Brings the critical section that defmt logs in.
use cortex_m as _;
use cortex_m_rt::{ExceptionFrame, exception};

/// A stack overflow, say.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    crate::log!(error, "hard fault at {:08x}", frame.pc());
    super::exit(false)
}
