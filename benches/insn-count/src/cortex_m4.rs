//! A rough model of a Cortex-M4's time, after the tables of its Technical Reference Manual (r0p1, 3.3.1 and 7.2.3):
//! no wait states, branches taken, three cycles to fill the pipeline where the target comes from memory or a register.
//!
//! It is no measurement: a real part has flash wait states, caches and bus contention.

/// Cycles of an instruction, and whether it is a single load or store: those pipeline one after another.
pub(crate) fn cycles(bytes: &[u8], after_access: bool) -> (u64, bool) {
    let half = |i: usize| bytes.get(i..i + 2).map_or(0, |b| u32::from(u16::from_le_bytes([b[0], b[1]])));
    match bytes.len() {
        2 => narrow(half(0), after_access),
        _ => wide(half(0), half(2), after_access),
    }
}

fn load(after_access: bool) -> (u64, bool) {
    (if after_access { 1 } else { 2 }, true)
}

fn narrow(h: u32, after_access: bool) -> (u64, bool) {
    let registers = u64::from((h & 0xff).count_ones());
    match h >> 11 {
        0b01001 | 0b01101 | 0b01111 | 0b10001 | 0b10011 => load(after_access),
        0b01010 | 0b01011 if h >> 9 & 7 >= 3 => load(after_access),
        0b01010 | 0b01011 | 0b01100 | 0b01110 | 0b10000 | 0b10010 => (1, true),
        // push and pop; pop of pc refills the pipeline.
        0b10110 if h & 0xfe00 == 0xb400 => (1 + registers + u64::from(h >> 8 & 1), false),
        0b10111 if h & 0xfe00 == 0xbc00 => (1 + registers + 4 * u64::from(h >> 8 & 1), false),
        0b11000 | 0b11001 => (1 + registers, false),
        // bx and blx.
        0b01000 if h & 0xff00 == 0x4700 => (3, false),
        // Branches, cbz and cbnz.
        0b11010..=0b11100 => (3, false),
        0b10110 | 0b10111 if h & 0xf500 == 0xb100 => (3, false),
        _ => (1, false),
    }
}

fn wide(h: u32, second: u32, after_access: bool) -> (u64, bool) {
    let is_load = h & 0x10 != 0;
    match h {
        // ldm, stm.
        _ if h & 0xfe40 == 0xe800 => {
            let refill = if is_load && second & 0x8000 != 0 { 3 } else { 0 };
            (1 + u64::from(second.count_ones()) + refill, false)
        }
        // ldrd, strd and what shares their space.
        _ if h & 0xfe40 == 0xe840 => (3, false),
        // Single loads and stores; a load of pc is a jump.
        _ if h & 0xfe00 == 0xf800 => match is_load && second >> 12 == 15 && h & 0x60 == 0x40 {
            true => (5, false),
            false if is_load => load(after_access),
            false => (1, true),
        },
        // vldm, vstm, vpush, vpop, vldr, vstr.
        _ if h & 0xfe00 == 0xec00 && second & 0x0f00 == 0x0a00 => {
            let writes_back_or_many = h & 0x0120 != 0x0100;
            match h & 0x0fe0 == 0x0c40 {
                // vmov of two registers.
                true => (2, false),
                false if writes_back_or_many => (1 + u64::from(second & 0xff), false),
                false => (2, false),
            }
        }
        // vdiv and vsqrt, then vmla, vmls, vnmla, vnmls.
        _ if h & 0xffb0 == 0xee80 && second & 0x0f50 == 0x0a00 => (14, false),
        _ if h & 0xffbf == 0xeeb1 && second & 0x0fd0 == 0x0ac0 => (14, false),
        _ if (h & 0xffb0 == 0xee00 || h & 0xffb0 == 0xee10) && second & 0x0f10 == 0x0a00 => (3, false),
        // sdiv and udiv: 2 to 12.
        _ if h & 0xffd0 == 0xfb90 => (7, false),
        // Hints and other system instructions, then branches.
        _ if h & 0xf800 == 0xf000 && second & 0xd000 == 0x8000 => match h >> 7 & 7 {
            7 => (1, false),
            _ => (3, false),
        },
        _ if h & 0xf800 == 0xf000 && second & 0x8000 != 0 => (3, false),
        // tbb, tbh lie with ldrd above; the rest takes one.
        _ => (1, false),
    }
}
