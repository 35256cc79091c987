//! One interaction through the profile encoder.

use core::hint::black_box;

use chord_plan::Bundle;
use chord_plan::numerics::next_state;
use chord_runtime::{Arithmetic, Profile, ProfileRequirements};
use semihosting::println;

use crate::marks::{Marked, counted};

/// Counts the step of an interaction that pushes another out of the sum in either arithmetic, then its parts in floating
/// point.
pub(crate) fn count(model: &[u8], arena: &mut [u8]) -> Option<()> {
    const NAME: &str = "profile";
    let bundle = Bundle::parse_trusted(model).ok()?;
    let shape = bundle.manifest().profile?;
    let arena = arena.get_mut(..ProfileRequirements::of(&bundle)?.arena_bytes)?;
    for (what, arithmetic) in [("step", Arithmetic::Float), ("fixed", Arithmetic::Fixed)] {
        let mut profile = Profile::with_arithmetic(bundle, arena, arithmetic).ok()?;
        (0..u32::from(shape.pooled)).try_for_each(|item| profile.append(item)).ok()?;
        let mut succeeded = false;
        counted(NAME, what, || succeeded = black_box(profile.append(3)).is_ok());
        succeeded.then_some(())?;
    }

    let mut profile = Profile::with_kernel(bundle, arena, Marked(NAME)).ok()?;
    profile.append(3).ok()?;
    let numbers: [f32; 3] = core::array::from_fn(|i| 0.3 * i as f32 - 0.4);
    counted(NAME, "gates", || {
        for _ in 0..shape.hidden {
            black_box(next_state(black_box(numbers), black_box(numbers), black_box(0.2)));
        }
    });
    Some(())
}

/// Prints the first ten numbers of the user embedding after 60 items in fixed point, as bits.
pub(crate) fn print(model: &[u8], arena: &mut [u8]) -> Option<()> {
    let bundle = Bundle::parse_trusted(model).ok()?;
    let mut profile = Profile::with_arithmetic(bundle, arena, Arithmetic::Fixed).ok()?;
    (0..60).try_for_each(|item| profile.append(item)).ok()?;
    for (number, x) in profile.embedding().ok()?.iter().take(10).enumerate() {
        println!("embedding {number} {:08x}", x.to_bits());
    }
    Some(())
}
