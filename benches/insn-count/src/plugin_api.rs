//! The part of QEMU 7.2's plugin interface (version 1) that is used here.

use std::ffi::{c_int, c_uint, c_void};

/// Names the plugin in calls.
pub(crate) type Id = u64;

/// A translated block.
#[repr(C)]
pub(crate) struct Block(c_void);

/// An instruction of a block.
#[repr(C)]
pub(crate) struct Instruction(c_void);

/// The callback reads no guest registers.
pub(crate) const NO_REGISTERS: c_int = 0;

/// The inline operation `*counter += amount`.
pub(crate) const ADD_U64: c_int = 0;

unsafe extern "C" {
    pub(crate) fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: extern "C" fn(Id, *mut Block));
    pub(crate) fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    pub(crate) fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    pub(crate) fn qemu_plugin_insn_data(instruction: *const Instruction) -> *const c_void;
    pub(crate) fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
    pub(crate) fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    pub(crate) fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    pub(crate) fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut Instruction,
        operation: c_int,
        counter: *mut c_void,
        amount: u64,
    );
    pub(crate) fn qemu_plugin_register_atexit_cb(
        id: Id,
        callback: extern "C" fn(Id, *mut c_void),
        data: *mut c_void,
    );
}
