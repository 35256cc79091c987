//! A QEMU TCG plugin that counts what a program executes between two marks, exactly.
//!
//! A mark is a hint that no core knows: on Arm `hint #0x40` at the start of a region and `hint #0x41` at its end (Thumb-2
//! `F3AF 8040` and `F3AF 8041`, A64 `D503281F` and `D503283F`), on RISC-V `slti x0, x0, 0x40` and `0x41`; marks count
//! nothing. At exit the file of the plugin argument `out=FILE` gets a line `instructions cycles` for each region, in the
//! order in which they ended. The cycles are those of [`cortex_m4`], or with the argument `core=cortex-m55` of
//! [`cortex_m55`], for Thumb alone.
//!
//! With the argument `within=FILE`, a file of lines `start end` (addresses, the end excluded), each line has a third
//! number: instructions at these addresses.

mod cortex_m4;
mod cortex_m55;
mod plugin_api;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs;
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use plugin_api as api;

/// Version of the plugin interface, QEMU 7.2's.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

// QEMU's translated code adds to these; the machine has one core.
static INSTRUCTIONS: AtomicU64 = AtomicU64::new(0);
static CYCLES: AtomicU64 = AtomicU64::new(0);
static WITHIN: AtomicU64 = AtomicU64::new(0);
static STATE: Mutex<State> =
    Mutex::new(State { out: None, within: None, m55: false, start: None, regions: Vec::new() });

/// Instructions, cycles, instructions within the given addresses.
type Count = [u64; 3];

struct State {
    out: Option<String>,
    within: Option<Vec<Range<u64>>>,
    m55: bool,
    start: Option<Count>,
    regions: Vec<Count>,
}

// Thumb-2, A64, RISC-V.
const START: [[u8; 4]; 3] = [[0xaf, 0xf3, 0x40, 0x80], [0x1f, 0x28, 0x03, 0xd5], [0x13, 0x20, 0x00, 0x04]];
const END: [[u8; 4]; 3] = [[0xaf, 0xf3, 0x41, 0x80], [0x3f, 0x28, 0x03, 0xd5], [0x13, 0x20, 0x10, 0x04]];

fn now() -> Count {
    [&INSTRUCTIONS, &CYCLES, &WITHIN].map(|counter| counter.load(Relaxed))
}

fn state() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

extern "C" fn start(_core: c_uint, _data: *mut c_void) {
    state().start = Some(now());
}

extern "C" fn end(_core: c_uint, _data: *mut c_void) {
    let (now, mut state) = (now(), state());
    if let Some(start) = state.start.take() {
        state.regions.push(std::array::from_fn(|i| now[i] - start[i]));
    }
}

extern "C" fn translated(_id: api::Id, block: *mut api::Block) {
    // SAFETY: QEMU lends a valid block for the time of this call; indices stay below its length.
    let instructions =
        unsafe { (0..api::qemu_plugin_tb_n_insns(block)).map(|i| api::qemu_plugin_tb_get_insn(block, i)) };
    let m55 = state().m55;
    let (mut after_access, mut busy) = (false, cortex_m55::Pipe::default());
    for instruction in instructions {
        // SAFETY: an instruction of the block, its bytes as long as QEMU says.
        let bytes = unsafe {
            let data = api::qemu_plugin_insn_data(instruction).cast::<u8>();
            std::slice::from_raw_parts(data, api::qemu_plugin_insn_size(instruction))
        };
        let mark = match bytes {
            // QEMU adds the half that it looks ahead at the end of a page.
            _ if START.iter().any(|mark| bytes.starts_with(mark)) => {
                Some(start as extern "C" fn(c_uint, *mut c_void))
            }
            _ if END.iter().any(|mark| bytes.starts_with(mark)) => {
                Some(end as extern "C" fn(c_uint, *mut c_void))
            }
            _ => None,
        };
        if let Some(mark) = mark {
            // SAFETY: the callback has the type that QEMU calls, and needs no data.
            unsafe {
                api::qemu_plugin_register_vcpu_insn_exec_cb(instruction, mark, api::NO_REGISTERS, null_mut())
            };
            continue;
        }
        let cycles;
        if m55 {
            (cycles, busy) = cortex_m55::cycles(bytes, busy);
        } else {
            (cycles, after_access) = cortex_m4::cycles(bytes, after_access);
        }
        // SAFETY: an instruction of the block.
        let address = unsafe { api::qemu_plugin_insn_vaddr(instruction) };
        let is_within = state().within.iter().flatten().any(|range| range.contains(&address));
        for (counter, amount) in [(&INSTRUCTIONS, 1), (&CYCLES, cycles), (&WITHIN, is_within.into())] {
            let counter = counter.as_ptr().cast();
            // SAFETY: the counters live as long as the process.
            unsafe {
                api::qemu_plugin_register_vcpu_insn_exec_inline(instruction, api::ADD_U64, counter, amount)
            };
        }
    }
}

extern "C" fn exit(_id: api::Id, _data: *mut c_void) {
    let state = state();
    let line = |[instructions, cycles, within]: &Count| match state.within {
        None => format!("{instructions} {cycles}\n"),
        Some(_) => format!("{instructions} {cycles} {within}\n"),
    };
    let lines: String = state.regions.iter().map(line).collect();
    match &state.out {
        None => eprint!("{lines}"),
        Some(path) => {
            if let Err(error) = fs::write(path, lines) {
                eprintln!("insn-count: {path}: {error}");
            }
        }
    }
}

fn ranges(path: &str) -> Option<Vec<Range<u64>>> {
    let line = |line: &str| {
        let (start, end) = line.split_once(' ')?;
        Some(start.parse().ok()?..end.parse().ok()?)
    };
    fs::read_to_string(path).ok()?.lines().map(line).collect()
}

/// QEMU's entry.
///
/// # Safety
/// `arguments` holds `count` C strings, as QEMU passes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: api::Id,
    _info: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    for i in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: by this function's contract.
        let argument = unsafe { CStr::from_ptr(*arguments.add(i)) };
        match argument.to_str().ok().and_then(|text| text.split_once('=')) {
            Some(("core", core)) => state().m55 = core == "cortex-m55",
            Some(("out", path)) => state().out = Some(path.to_owned()),
            Some(("within", path)) => match ranges(path) {
                Some(ranges) => state().within = Some(ranges),
                None => {
                    eprintln!("insn-count: {path}: no lines `start end`");
                    return 1;
                }
            },
            _ => {}
        }
    }
    // SAFETY: `id` is what QEMU gave; the callbacks have the types that it calls.
    unsafe {
        api::qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        api::qemu_plugin_register_atexit_cb(id, exit, null_mut());
    }
    0
}
