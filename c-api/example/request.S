/* Model and plan, in flash. 16 bytes of alignment are not needed, but faster. */
    .syntax unified
    .section .rodata.request, "a"
    .balign 16
    .global model, model_end, plan, plan_end
model:
    .incbin "model.chord"
model_end:
plan:
    .incbin "user.plan"
plan_end:
