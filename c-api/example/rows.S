/* Messages with item rows, in flash. */
    .syntax unified
    .section .rodata.rows, "a"
    .global history_rows, history_rows_end, candidate_rows, candidate_rows_end
history_rows:
    .incbin "history.rows"
history_rows_end:
candidate_rows:
    .incbin "candidates.rows"
candidate_rows_end:
