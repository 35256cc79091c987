//! AArch64 in EL1: exception vectors, floating point on, a stack, zeroed statics, `main`.

core::arch::global_asm!(
    r#"
    .section .text._start, "ax"
    .global _start
_start:
    adrp x0, vectors
    add x0, x0, :lo12:vectors
    msr VBAR_EL1, x0
    mov x1, #(3 << 20)
    msr CPACR_EL1, x1
    isb
    adrp x0, _stack_start
    add x0, x0, :lo12:_stack_start
    mov sp, x0
    adrp x1, __sbss
    add x1, x1, :lo12:__sbss
    adrp x2, __ebss
    add x2, x2, :lo12:__ebss
1:  cmp x1, x2
    b.hs 2f
    stp xzr, xzr, [x1], #16
    b 1b
2:  bl main
    .balign 2048
vectors:
    .rept 16
    mrs x0, ELR_EL1
    bl chord_fault
    .balign 128
    .endr
"#
);
