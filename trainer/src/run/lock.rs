//! One process at a time trains in a run.

use super::{Run, RunError};
use crate::atomic_file;
use crate::training::pipeline::FOUNDATION;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;

/// The empty file whose lock says that a process trains there.
const LOCK: &str = "lock";

impl Run {
    /// Keeps other processes from training in this run until the file is dropped or this process ends, however it does, and
    /// removes what processes before had begun to write. Where the file system knows no locks, it does neither.
    ///
    /// # Errors
    /// If another process trains there; if the folder cannot be written.
    pub fn hold(&self) -> Result<File, RunError> {
        let path = self.folder.join(LOCK);
        let io = |source| RunError::Io { path: path.clone(), source };
        let file = File::create(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {
                let folders = [self.folder.clone(), self.folder.join(FOUNDATION)];
                folders.iter().for_each(|folder| atomic_file::sweep(&folder.join("checkpoints")));
            }
            Err(TryLockError::WouldBlock) => return Err(RunError::Busy(self.folder.clone())),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn one_process_at_a_time_holds_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::create(folder.path(), config::load(None, &[]).unwrap()).unwrap();
        let held = run.hold().unwrap();
        assert!(matches!(run.hold(), Err(RunError::Busy(_))));
        drop(held);
        assert!(run.hold().is_ok());
    }
}
