//! Ctrl-C and SIGTERM: while a stage trains, the first asks it to save and stop; otherwise, and the second, end the
//! process.

use std::sync::atomic::{AtomicBool, Ordering};

static HEEDED: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// While it lives, somebody asks [`requested`].
pub(super) struct Heed(());

impl Heed {
    /// From now on a first signal is a request. The handler stays; without a [`Heed`] it ends the process.
    pub(super) fn new() -> Self {
        let handler = || {
            if !HEEDED.load(Ordering::SeqCst) || REQUESTED.swap(true, Ordering::SeqCst) {
                std::process::exit(EXIT_CODE.into());
            }
        };
        // Fails only when a handler is installed already.
        let _ = ctrlc::set_handler(handler);
        HEEDED.store(true, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Heed {
    fn drop(&mut self) {
        HEEDED.store(false, Ordering::SeqCst);
    }
}

/// What a process that a signal ended exits with.
pub const EXIT_CODE: u8 = 130;

/// Whether somebody asked to stop.
pub(super) fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
