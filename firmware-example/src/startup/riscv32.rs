//! RISC-V in machine mode: a trap handler, a stack, zeroed statics, `main`.

core::arch::global_asm!(
    r#"
    .section .text._start, "ax"
    .global _start
_start:
    la t0, 3f
    csrw mtvec, t0
    la sp, _stack_start
    la a1, __sbss
    la a2, __ebss
1:  bgeu a1, a2, 2f
    sw zero, 0(a1)
    addi a1, a1, 4
    j 1b
2:  call main
    .balign 4
3:  csrr a0, mepc
    call chord_fault
"#
);
