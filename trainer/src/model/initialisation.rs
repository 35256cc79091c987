//! Drawing initial weights: the same seed gives the same weights, whatever else the process does.

use crate::tensor::{Backend, Device};
use burn::prelude::Backend as _;
use std::sync::{Mutex, PoisonError};

/// burn's CPU backend has one generator for the whole process, so one model at a time draws from it.
static DRAWS: Mutex<()> = Mutex::new(());

/// What `draw` makes with the generator of `device` at `seed`; `draw` does not call this again.
pub fn seeded<T>(seed: u64, device: &Device, draw: impl FnOnce() -> T) -> T {
    // A draw that panicked leaves nothing behind: the next one seeds anew.
    let _only = DRAWS.lock().unwrap_or_else(PoisonError::into_inner);
    Backend::seed(device, seed);
    draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Tensor, to_host};
    use burn::tensor::Distribution;

    #[test]
    fn threads_do_not_disturb_each_other() {
        let draw = || {
            let device = Device::Flex(Default::default());
            let one = || to_host(Tensor::<1>::random([50], Distribution::Default, &device));
            seeded(3, &device, || (0..50).flat_map(|_| one()).collect::<Vec<_>>())
        };
        let alone = draw();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(draw)).collect();
            threads.into_iter().for_each(|thread| assert!(thread.join().unwrap() == alone));
        });
    }
}
