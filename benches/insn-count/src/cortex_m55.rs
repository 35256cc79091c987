//! A rough model of a Cortex-M55's time, after what LLVM's `ARMScheduleM55.td` and SLOTHY's `cortex_m55r1.py`, written by
//! Arm's own engineers, say in public; Arm publishes no table of cycles.
//!
//! One instruction starts in each cycle. An MVE instruction takes one of three pipes (loads and stores, integers,
//! multiplications and floats) for two cycles, 64 bits in each, while the next one may start in another pipe; what needs
//! the same pipe waits a cycle. Branches and divisions as on a Cortex-M4, a division of floats 16 cycles; several registers
//! are loaded and stored two a cycle. Left out, on either side: waits for results, two 16-bit instructions in one cycle,
//! loop ends that cost nothing, wait states and caches. It is no measurement.

/// Which pipe of the vector unit an instruction takes, and for how long it keeps the next one from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pipe {
    /// None, or whichever of two is free.
    #[default]
    Any,
    Memory,
    Integer,
    /// Multiplications and floats.
    Float,
}

/// What the instruction before left behind: the pipe that it still takes.
type Busy = Pipe;

/// Cycles of an instruction, and the pipe that it takes for another cycle.
pub(crate) fn cycles(bytes: &[u8], busy: Busy) -> (u64, Busy) {
    let half = |i: usize| bytes.get(i..i + 2).map_or(0, |b| u32::from(u16::from_le_bytes([b[0], b[1]])));
    let (h, second) = (half(0), half(2));
    if bytes.len() == 2 {
        return (narrow(h), Pipe::Any);
    }
    if let Some(pipe) = vector(h, second) {
        return (1 + u64::from(pipe != Pipe::Any && pipe == busy), pipe);
    }
    // Scalar floats share the pipe.
    let is_float = h & 0xee00 == 0xee00 && second & 0x0e00 == 0x0a00;
    (wide(h, second) + u64::from(is_float && busy == Pipe::Float), Pipe::Any)
}

/// The pipe of an MVE instruction; `None` for all others.
fn vector(h: u32, second: u32) -> Option<Pipe> {
    let kind = second >> 8 & 15;
    match h >> 8 & 0xef {
        0xec | 0xed if kind >= 14 => match h & 0x01a0 {
            // Two lanes to or from two registers.
            0 => Some(Pipe::Any),
            _ => Some(Pipe::Memory),
        },
        // vdup, then one lane.
        0xee if h & 0x1090 == 0x0080 && second & 0x0f1f == 0x0b10 => Some(Pipe::Integer),
        0xee if h & 0x1000 == 0 && second & 0x0f1f == 0x0b10 => Some(Pipe::Float),
        // vpst and vpnot.
        0xee if kind == 15 && h & 0xffb1 == 0xfe31 && second & 0x00ff == 0x4d => Some(Pipe::Any),
        // Integer additions of a register, then vmovl and narrowing shifts; the rest multiplies, adds up or compares.
        0xee if kind == 15 && h & 0x1081 == 0x0001 => Some(Pipe::Integer),
        0xee if kind == 15 && h & 0x0080 != 0 && second & 0x40 != 0 => Some(Pipe::Integer),
        0xee if kind >= 14 => Some(Pipe::Float),
        // vmov of a constant.
        0xef if h & 0x00b8 == 0x0080 && second & 0x90 == 0x10 => Some(Pipe::Any),
        0xef if kind >= 9 => Some(Pipe::Float),
        0xef => Some(Pipe::Integer),
        _ => None,
    }
}

fn narrow(h: u32) -> u64 {
    let registers = u64::from((h & 0xff).count_ones());
    match h >> 11 {
        // push and pop; pop of pc refills the pipeline.
        0b10110 if h & 0xfe00 == 0xb400 => (registers + u64::from(h >> 8 & 1)).div_ceil(2),
        0b10111 if h & 0xfe00 == 0xbc00 => {
            (registers + u64::from(h >> 8 & 1)).div_ceil(2) + 3 * u64::from(h >> 8 & 1)
        }
        0b11000 | 0b11001 => registers.div_ceil(2),
        // bx and blx, then branches, cbz and cbnz.
        0b01000 if h & 0xff00 == 0x4700 => 3,
        0b11010..=0b11100 => 3,
        0b10110 | 0b10111 if h & 0xf500 == 0xb100 => 3,
        _ => 1,
    }
}

fn wide(h: u32, second: u32) -> u64 {
    let is_load = h & 0x10 != 0;
    match h {
        // ldm, stm.
        _ if h & 0xfe40 == 0xe800 => {
            let refill = if is_load && second & 0x8000 != 0 { 3 } else { 0 };
            u64::from(second.count_ones()).div_ceil(2) + refill
        }
        // A load of pc is a jump.
        _ if h & 0xfe00 == 0xf800 && is_load && second >> 12 == 15 && h & 0x60 == 0x40 => 4,
        // vldm, vstm, vpush, vpop: two registers of 32 bits a cycle.
        _ if h & 0xfe00 == 0xec00 && second & 0x0e00 == 0x0a00 && h & 0x0120 != 0x0100 => {
            match h & 0x0fe0 == 0x0c40 {
                // vmov of two registers.
                true => 1,
                false => u64::from(second & 0xff).div_ceil(2),
            }
        }
        // vdiv and vsqrt; vmla, vmls, vnmla, vnmls.
        _ if h & 0xffb0 == 0xee80 && second & 0x0f50 == 0x0a00 => 16,
        _ if h & 0xffbf == 0xeeb1 && second & 0x0fd0 == 0x0ac0 => 16,
        // sdiv and udiv: 2 to 12.
        _ if h & 0xffd0 == 0xfb90 => 7,
        // dls, wls, le and their like.
        _ if h & 0xff80 == 0xf000 && second & 0xc001 == 0xc001 && second & 0x1000 == 0 => 1,
        // Hints and other system instructions, then branches.
        _ if h & 0xf800 == 0xf000 && second & 0xd000 == 0x8000 => match h >> 7 & 7 {
            7 => 1,
            _ => 3,
        },
        _ if h & 0xf800 == 0xf000 && second & 0x8000 != 0 => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pipe, or the cycles of what is none of the vector unit's.
    fn of(h: u32, second: u32) -> Result<Pipe, u64> {
        vector(h, second).ok_or_else(|| wide(h, second))
    }

    /// Encodings as GNU's assembler makes them.
    #[rustfmt::skip]
    const ENCODINGS: &[(u32, u32, &str, Result<Pipe, u64>)] = &[
        (0xed91, 0xbf00, "vldrw.u32 q5, [r1]", Ok(Pipe::Memory)),
        (0xecb3, 0x9e10, "vldrb.u8 q4, [r3], #16", Ok(Pipe::Memory)),
        (0xed93, 0x9e10, "vldrb.u8 q4, [r3, #16]", Ok(Pipe::Memory)),
        (0xed93, 0x2e80, "vldrb.s16 q1, [r3]", Ok(Pipe::Memory)),
        (0xfc92, 0x0f4a, "vldrw.u32 q0, [r2, q5]", Ok(Pipe::Memory)),
        (0xfc91, 0x1f01, "vld40.32 {q0, q1, q2, q3}, [r1]", Ok(Pipe::Memory)),
        (0xfcb1, 0x1f61, "vld43.32 {q0, q1, q2, q3}, [r1]!", Ok(Pipe::Memory)),
        (0xfc91, 0x1f00, "vld20.32 {q0, q1}, [r1]", Ok(Pipe::Memory)),
        (0xfc81, 0x1f21, "vst41.32 {q0, q1, q2, q3}, [r1]", Ok(Pipe::Memory)),
        (0xec82, 0x0f4a, "vstrw.32 q0, [r2, q5]", Ok(Pipe::Memory)),
        (0xeca2, 0x1e10, "vstrb.8 q0, [r2], #16", Ok(Pipe::Memory)),
        (0xec14, 0x0f00, "vmov q0[2], q0[0], r0, r4", Ok(Pipe::Any)),
        (0xec04, 0x0f00, "vmov r0, r4, q0[2], q0[0]", Ok(Pipe::Any)),
        (0xeea0, 0x1b10, "vdup.32 q0, r1", Ok(Pipe::Integer)),
        (0xee20, 0x2b10, "vmov.32 q0[1], r2", Ok(Pipe::Float)),
        (0xee30, 0x2b10, "vmov.32 r2, q0[1]", Ok(Pipe::Float)),
        (0xeef8, 0x0f00, "vmladav.s8 r0, q4, q0", Ok(Pipe::Float)),
        (0xeef8, 0xef26, "vmladava.s8 lr, q4, q3", Ok(Pipe::Float)),
        (0xee25, 0x1e46, "vmlas.s32 q0, q2, r6", Ok(Pipe::Float)),
        (0xee25, 0x0e46, "vmla.s32 q0, q2, r6", Ok(Pipe::Float)),
        (0xeef1, 0x0f22, "vaddva.s8 r0, q1", Ok(Pipe::Float)),
        (0xef22, 0x0844, "vadd.i32 q0, q1, q2", Ok(Pipe::Integer)),
        (0xee23, 0x0f42, "vadd.i32 q0, q1, r2", Ok(Pipe::Integer)),
        (0xef22, 0x0954, "vmul.i32 q0, q1, q2", Ok(Pipe::Float)),
        (0xee23, 0x1e62, "vmul.i32 q0, q1, r2", Ok(Pipe::Float)),
        (0xef02, 0x0154, "vand q0, q1, q2", Ok(Pipe::Integer)),
        (0xef22, 0x0154, "vorr q0, q1, q2", Ok(Pipe::Integer)),
        (0xff02, 0x0154, "veor q0, q1, q2", Ok(Pipe::Integer)),
        (0xef8c, 0x0552, "vshl.i8 q0, q1, #4", Ok(Pipe::Integer)),
        (0xef8e, 0x0052, "vshr.s8 q0, q1, #2", Ok(Pipe::Integer)),
        (0xefbe, 0x0052, "vshr.s32 q0, q1, #2", Ok(Pipe::Integer)),
        (0xef80, 0x0e57, "vmov.i8 q0, #7", Ok(Pipe::Any)),
        (0xef80, 0x4052, "vmov.i32 q2, #2", Ok(Pipe::Any)),
        (0xeea8, 0x0f42, "vmovlb.s8 q0, q1", Ok(Pipe::Integer)),
        (0xfe61, 0x0fe1, "vpt.u32 hi, q0, r1", Ok(Pipe::Float)),
        (0xef22, 0x0844, "vaddt.i32 q0, q1, q2", Ok(Pipe::Integer)),
        (0xfe71, 0x0f4d, "vpst", Ok(Pipe::Any)),
        (0xef22, 0x0844, "vaddt.i32 q0, q1, q2", Ok(Pipe::Integer)),
        (0xef02, 0x0d44, "vadd.f32 q0, q1, q2", Ok(Pipe::Float)),
        (0xff02, 0x0d54, "vmul.f32 q0, q1, q2", Ok(Pipe::Float)),
        (0xee30, 0x0a81, "vadd.f32 s0, s1, s2", Err(1)),
        (0xee20, 0x0a81, "vmul.f32 s0, s1, s2", Err(1)),
        (0xeeb8, 0x0ac0, "vcvt.f32.s32 s0, s0", Err(1)),
        (0xee80, 0x0a81, "vdiv.f32 s0, s1, s2", Err(16)),
        (0xeeb1, 0x0ae0, "vsqrt.f32 s0, s1", Err(16)),
        (0xed91, 0x0a00, "vldr s0, [r1]", Err(1)),
        (0xecb1, 0x6a02, "vldmia r1!, {s12, s13}", Err(1)),
        (0xed2d, 0x8b10, "vpush {d8-d15}", Err(8)),
        (0xee00, 0x1a10, "vmov s0, r1", Err(1)),
        (0xec51, 0x0a10, "vmov r0, r1, s0, s1", Err(1)),
        (0xec51, 0x0b13, "vmov r0, r1, d3", Err(1)),
        (0xe92d, 0x4ff0, "push {r4-r11, lr}", Err(5)),
        (0xe8bd, 0x8ff0, "pop {r4-r11, pc}", Err(8)),
        (0xe8f2, 0x0102, "ldrd r0, r1, [r2], #8", Err(1)),
        (0xfb21, 0x3002, "smlad r0, r1, r2, r3", Err(1)),
        (0xfb91, 0xf0f2, "sdiv r0, r1, r2", Err(7)),
        (0xf040, 0xe001, "dls lr, r0", Err(1)),
        (0xf040, 0xc009, "wls lr, r0, b", Err(1)),
        (0xf000, 0xc007, "wlstp.8 lr, r0, b", Err(1)),
        (0xf00f, 0xc009, "le lr, a", Err(1)),
        (0xf01f, 0xc00b, "letp lr, a", Err(1)),
        (0xf000, 0xe801, "vctp.8 r0", Err(1)),
        (0xf47f, 0xaff2, "bne.w a", Err(3)),
        (0xf7ff, 0xfff0, "bl a", Err(3)),
    ];

    #[test]
    fn instructions_take_their_pipes() {
        ENCODINGS
            .iter()
            .for_each(|&(h, second, name, expected)| assert_eq!(of(h, second), expected, "{name}"));
    }

    #[test]
    fn the_same_pipe_waits() {
        let bytes = [[0x95, 0xed], [0x80, 0x1e]].concat();
        let load = |busy| cycles(&bytes, busy);
        assert_eq!(load(Pipe::Any), (1, Pipe::Memory));
        assert_eq!(load(Pipe::Float), (1, Pipe::Memory));
        assert_eq!(load(Pipe::Memory), (2, Pipe::Memory));
    }
}
