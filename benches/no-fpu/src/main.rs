//! One ranking of each network and a step of the profile encoder between the marks that the counting plugin knows, then
//! the same with the calls of the kernel marked; prints the name of each region, in their order.
#![no_std]
#![no_main]

mod marks;
mod profile;
mod ranking;

use core::arch::global_asm;

use semihosting::process;

#[cfg(target_arch = "arm")]
global_asm!(
    ".section .vectors, \"a\"",
    ".word _stack_start",
    ".word main",
    ".rept 14",
    ".word chord_fault",
    ".endr",
);
#[cfg(target_arch = "riscv32")]
global_asm!(
    ".section .vectors, \"ax\"",
    ".global _start",
    "_start: la t0, chord_fault",
    "csrw mtvec, t0",
    "la sp, _stack_start",
    "j main",
);

/// What build.rs made.
mod made {
    use crate::ranking::Request;

    #[repr(align(16))]
    struct Aligned<T: ?Sized>(T);

    include!(concat!(env!("OUT_DIR"), "/made.rs"));
}

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    process::exit(run().is_none().into());
}

#[unsafe(no_mangle)]
extern "C" fn chord_fault() -> ! {
    process::exit(2);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    process::exit(3);
}

fn run() -> Option<()> {
    static mut ARENA: [u8; 1 << 17] = [0; 1 << 17];
    // SAFETY: nobody else borrows it.
    let arena = unsafe { (&raw mut ARENA).as_mut() }?;
    for request in made::COUNTED {
        request.count(arena)?;
    }
    ranking::count_softmax();
    profile::count(made::CASER.model, arena)?;
    made::COUNTED.into_iter().chain([&made::EXAMPLE]).try_for_each(|request| request.print(arena))?;
    profile::print(made::CASER.model, arena)
}
