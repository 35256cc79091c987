//! A device that runs out of memory: burn's backends panic where the result of the failed allocation is read.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What the backends say: cubecl for CUDA and wgpu, the CUDA driver, wgpu.
const WORDS: [&str; 5] =
    ["can't allocate buffer", "out of memory", "out-of-memory", "OUT_OF_MEMORY", "OutOfMemory"];

/// Does `work`; `Err` with what the backend said if the device has not enough memory for it. Whatever `work` changed
/// is then half done, to be dropped. Other panics go on.
pub fn within_memory<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| match shortage(&*panic) {
        Some(said) => said,
        None => resume_unwind(panic),
    })
}

fn shortage(panic: &(dyn Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied())?;
    // The one line that tells it, without the debug output and backtraces around it.
    let told = text.lines().find(|line| WORDS.iter().any(|words| line.contains(words)))?;
    Some(told.trim().chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_shortage_of_memory_becomes_an_error() {
        assert_eq!(within_memory(|| 7), Ok(7));
        let cubecl = || -> u8 {
            panic!(
                "Error while reading data: {}",
                "Unhealthy [\ncan't allocate buffer of size: 99\n<backtrace>]"
            )
        };
        assert_eq!(within_memory(cubecl), Err("can't allocate buffer of size: 99".to_owned()));
        let other = catch_unwind(|| within_memory(|| panic!("index out of bounds")));
        assert_eq!(other.unwrap_err().downcast_ref(), Some(&"index out of bounds"));
    }

    /// As in a step: the panic of a shard comes up through its thread.
    #[test]
    fn a_shortage_on_another_thread_is_told_too() {
        let work = || {
            std::thread::scope(|scope| {
                let shard = scope.spawn(|| panic!("CUDA_ERROR_OUT_OF_MEMORY"));
                shard.join().unwrap_or_else(|panic| resume_unwind(panic))
            })
        };
        assert_eq!(within_memory(work), Err("CUDA_ERROR_OUT_OF_MEMORY".to_owned()));
    }
}
