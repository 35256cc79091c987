//! Dropout whose noise is a function of a seed alone, so that a resumed run repeats it bit for bit on any number of
//! threads.

use crate::tensor::{Tensor, floats};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// A stream of dropout masks. Rates are rounded to 1/256.
pub struct Dropout {
    rng: Option<Xoshiro256PlusPlus>,
}

impl Dropout {
    /// No dropout: evaluation.
    pub fn off() -> Self {
        Self { rng: None }
    }

    /// Masks drawn from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self { rng: Some(Xoshiro256PlusPlus::seed_from_u64(seed)) }
    }

    /// Sets each element to zero with probability `rate` and scales the others by `1 / (1 - rate)`.
    pub fn apply<const D: usize>(&mut self, x: Tensor<D>, rate: f64) -> Tensor<D> {
        let Some(rng) = &mut self.rng else { return x };
        let dropped = (rate * 256.0).round() as u8;
        if dropped == 0 {
            return x;
        }
        let keep = 256.0 / (256.0 - f32::from(dropped));
        let shape = x.dims();
        let mut mask = vec![0.0f32; shape.iter().product()];
        for eight in mask.chunks_mut(8) {
            for (value, byte) in eight.iter_mut().zip(rng.next_u64().to_le_bytes()) {
                *value = if byte < dropped { 0.0 } else { keep };
            }
        }
        let device = x.device();
        x * floats(mask, shape, &device)
    }
}
