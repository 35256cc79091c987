//! Memory of this process on the host, as the system counts it.

use serde::Serialize;

/// Resident memory of this process in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessMemory {
    /// Now.
    pub resident: u64,
    /// The most since the process began.
    pub peak: u64,
}

impl ProcessMemory {
    /// From `/proc/self/status`; nothing where there is none.
    #[cfg(target_os = "linux")]
    pub fn now() -> Option<Self> {
        let status = procfs::process::Process::myself().ok()?.status().ok()?;
        Some(Self { resident: status.vmrss? * 1024, peak: status.vmhwm? * 1024 })
    }

    /// Nothing: only Linux is asked.
    #[cfg(not(target_os = "linux"))]
    pub fn now() -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn touched_memory_is_resident_and_its_peak_stays() {
        const BYTES: usize = 512 << 20;
        let before = ProcessMemory::now().unwrap();
        // An anonymous mapping goes back to the system at once, whatever the allocator keeps.
        let mut map = memmap2::MmapMut::map_anon(BYTES).unwrap();
        map.chunks_mut(4096).for_each(|page| page[0] = 1);
        let during = ProcessMemory::now().unwrap();
        drop(map);
        let after = ProcessMemory::now().unwrap();
        // Other tests of this process come and go meanwhile.
        let most = BYTES as u64 / 2;
        assert!(during.resident > before.resident + most, "{before:?} {during:?}");
        assert!(after.resident + most < during.resident, "{during:?} {after:?}");
        assert!(after.peak > before.resident + most, "{before:?} {after:?}");
    }
}
