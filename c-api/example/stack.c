/* Measures the stack that each call takes: painted below, read off after. A model with item table has no call that appends
   rows to a profile, one without none that takes items. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "chord.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* From request.S, rows.S and the Makefile. */
extern const uint8_t model[], model_end[], plan[], plan_end[];
extern const uint8_t history_rows[], history_rows_end[], candidate_rows[], candidate_rows_end[];
static const uint32_t history[] = {
#include "history.inc"
};
static const uint32_t candidates[] = {
#include "candidates.inc"
};

static uint8_t memory[512 * 1024];
static ChordEngine *engine;
static ChordOptions options = {.arithmetic = ARITHMETIC};
static ChordRequirements needed;
static ChordRanked ranked[LENGTH(candidates)];
static float logits[LENGTH(candidates)];
static uint32_t sequence;
static size_t count;

static uint8_t profile_memory[64 * 1024];
static ChordProfile *profile;
static ChordProfileRequirements profile_needed;
static uint8_t message[1024];

#define LEN(data) (size_t)(data##_end - data)

static ChordStatus requirements(void) { return chord_requirements(model, LEN(model), &options, &needed); }
static ChordStatus init(void)
{
    return chord_init(memory, sizeof memory, model, LEN(model), plan, LEN(plan), &options, &engine);
}
static ChordStatus apply(void) { return chord_apply(engine, plan, LEN(plan)); }
static ChordStatus running_plan(void) { return chord_running_plan(engine, &sequence); }
static ChordStatus score(void)
{
    return chord_score(engine, history, LENGTH(history), candidates, LENGTH(candidates), logits);
}
static ChordStatus rank(void)
{
    return chord_rank(engine, history, LENGTH(history), candidates, LENGTH(candidates), ranked);
}
static ChordStatus rank_rows(void)
{
    return chord_rank_rows(engine, history_rows, LEN(history_rows), candidate_rows, LEN(candidate_rows), ranked,
                           LENGTH(ranked), &count);
}
static ChordStatus top(void) { return chord_top(engine, history, LENGTH(history), ranked, LENGTH(ranked), &count); }
static ChordStatus profile_requirements(void)
{
    return chord_profile_requirements(model, LEN(model), &profile_needed);
}
static ChordStatus profile_init(void)
{
    return chord_profile_init(profile_memory, sizeof profile_memory, model, LEN(model), options.arithmetic, &profile);
}
/* Until one leaves the sum. */
static ChordStatus profile_append(void)
{
    ChordStatus status = CHORD_STATUS_OK;
    for (size_t i = 0; i < LENGTH(history) && status == CHORD_STATUS_OK; i++) {
        status = chord_profile_append(profile, history[i]);
    }
    return status;
}
static ChordStatus profile_append_rows(void)
{
    return chord_profile_append_rows(profile, history_rows, LEN(history_rows));
}
static ChordStatus profile_interactions(void) { return chord_profile_interactions(profile, &sequence); }
static ChordStatus profile_message(void) { return chord_profile_message(profile, message, sizeof message, &count); }
static ChordStatus profile_clear(void) { return chord_profile_clear(profile); }
static ChordStatus version(void) { return chord_version() == NULL; }
static ChordStatus status_name(void) { return chord_status_name(CHORD_STATUS_BUSY) == NULL; }

static const struct {
    const char *name;
    ChordStatus (*call)(void);
} calls[] = {
    {"chord_requirements", requirements},
    {"chord_init", init},
    {"chord_apply", apply},
    {"chord_running_plan", running_plan},
    {"chord_score", score},
    {"chord_rank", rank},
    {"chord_rank_rows", rank_rows},
    {"chord_top", top},
    {"chord_profile_requirements", profile_requirements},
    {"chord_profile_init", profile_init},
    {"chord_profile_append", profile_append},
    {"chord_profile_append_rows", profile_append_rows},
    {"chord_profile_interactions", profile_interactions},
    {"chord_profile_message", profile_message},
    {"chord_profile_clear", profile_clear},
    {"chord_version", version},
    {"chord_status_name", status_name},
};

enum {
    PAINT = 0x5AC0DE57, /* not a value that code is likely to leave there */
    CLEARANCE = 64,     /* for the loop that paints, which calls nothing */
    WINDOW = 16 * 1024,
};

static uintptr_t stack_pointer(void)
{
    uintptr_t sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

/* Bytes from the caller's frame down, the call's own arguments included. */
__attribute__((noinline)) static unsigned measure(ChordStatus (*call)(void), ChordStatus *status)
{
    const uintptr_t top = stack_pointer(), bottom = top - WINDOW;
    for (uintptr_t place = bottom; place < top - CLEARANCE; place += 4) {
        *(volatile uint32_t *)place = PAINT;
    }
    *status = call();
    uintptr_t used = bottom;
    while (*(volatile uint32_t *)used == PAINT) {
        used += 4;
    }
    return (unsigned)(top - used);
}

int main(void)
{
    /* There is no packed plan in fixed point. */
    for (options.holding = 0; options.holding + ARITHMETIC < 2; options.holding++) {
        for (size_t i = 0; i < LENGTH(calls); i++) {
            ChordStatus status;
            const unsigned bytes = measure(calls[i].call, &status);
            if (status == CHORD_STATUS_ITEM_TABLE || status == CHORD_STATUS_NO_ITEM_TABLE) {
                continue;
            }
            if (status != CHORD_STATUS_OK) {
                printf("%s: %s\n", calls[i].name, chord_status_name(status));
                return 1;
            }
            printf("%s %u\n", calls[i].name, bytes);
        }
    }
    return 0;
}
