//! From reset to the application: one file per family of cores. Memory maps lie in `boards/`.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(target_arch = "riscv32")]
mod riscv32;

unsafe extern "Rust" {
    /// The application, [`application!`](crate::application); whether it succeeded.
    safe fn chord_application() -> bool;
}

/// Names the function that start-up code runs: `fn() -> Result<(), Error>`.
///
/// An error is logged. The machine then stops; its exit code is 0 for success, else 1.
#[macro_export]
macro_rules! application {
    ($run:path) => {
        #[unsafe(no_mangle)]
        fn chord_application() -> bool {
            let run: fn() -> Result<(), $crate::Error> = $run;
            match run() {
                Ok(()) => true,
                Err(error) => {
                    $crate::log!(error, "{}", error);
                    false
                }
            }
        }
    };
}

/// Where every start-up ends, memory initialised and a stack in place.
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    exit(chord_application())
}

/// Stops the machine through semihosting.
pub(crate) fn exit(success: bool) -> ! {
    #[cfg(target_arch = "arm")]
    loop {
        use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
        debug::exit(if success { EXIT_SUCCESS } else { EXIT_FAILURE });
    }
    #[cfg(not(target_arch = "arm"))]
    semihosting::process::exit(i32::from(!success))
}

/// Where the other start-ups' faults end; a fault would loop for ever without it.
#[cfg(not(target_arch = "arm"))]
#[unsafe(no_mangle)]
extern "C" fn chord_fault(address: usize) -> ! {
    crate::log!(error, "fault at {:08x}", address);
    exit(false)
}
