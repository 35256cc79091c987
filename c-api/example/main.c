/* Ranks one request and prints the result and what the device sends to have a plan made, then offers it plans that it has
   to refuse. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "chord.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* From request.S and the Makefile. */
extern const uint8_t model[], model_end[], plan[], plan_end[];
static const uint32_t history[] = {
#include "history.inc"
};
static const uint32_t candidates[] = {
#include "candidates.inc"
};

/* 1: fixed point, which a library with that feature has. */
#ifndef ARITHMETIC
#define ARITHMETIC 0
#endif
static const ChordOptions options = {.arithmetic = ARITHMETIC};

/* For any model that it is large enough for: chord_requirements says how much one takes. */
static uint8_t memory[64 * 1024];
static uint8_t received[4096];
/* Kept between interactions; the message is short-lived. */
static uint8_t profile_memory[16 * 1024];
static uint8_t message[4200];

/* The bits of a logit tell more than decimals, and take no floating-point printf. */
static void print(size_t place, ChordRanked ranked)
{
    uint32_t bits;
    memcpy(&bits, &ranked.logit, sizeof bits);
    /* What does not fit must not be converted: the largest there is stands for it. */
    const float thousandths = (ranked.logit < 0 ? -ranked.logit : ranked.logit) * 1000.0f;
    const uint32_t size = thousandths < 4294967296.0f ? (uint32_t)thousandths : UINT32_MAX;
    printf("rank %u item %" PRIu32 " logit %08" PRIx32 " %s%" PRIu32 ".%03" PRIu32 "\n", (unsigned)place,
           ranked.item, bits, ranked.logit < 0 ? "-" : "", size / 1000, size % 1000);
}

static int failed(const char *call, ChordStatus status)
{
    if (status != CHORD_STATUS_OK) {
        printf("%s: %s\n", call, chord_status_name(status));
    }
    return status != CHORD_STATUS_OK;
}

/* Encodes the user who had the history, if the model can. */
static int send_profile(size_t model_len)
{
    ChordProfileRequirements needed;
    ChordStatus status = chord_profile_requirements(model, model_len, &needed);
    if (status == CHORD_STATUS_NO_PROFILE) {
        return 0;
    }
    if (failed("chord_profile_requirements", status)) {
        return 1;
    }
    if (needed.memory_bytes > sizeof profile_memory || needed.message_bytes > sizeof message) {
        printf("%u bytes for a profile, the model takes %u\n", (unsigned)sizeof profile_memory,
               (unsigned)needed.memory_bytes);
        return 1;
    }
    ChordProfile *profile;
    status = chord_profile_init(profile_memory, sizeof profile_memory, model, model_len, ARITHMETIC, &profile);
    if (failed("chord_profile_init", status)) {
        return 1;
    }
    for (size_t i = 0; i < LENGTH(history); i++) {
        if (failed("chord_profile_append", chord_profile_append(profile, history[i]))) {
            return 1;
        }
    }
    uint32_t interactions;
    size_t len;
    if (failed("chord_profile_interactions", chord_profile_interactions(profile, &interactions)) ||
        failed("chord_profile_message", chord_profile_message(profile, message, sizeof message, &len))) {
        return 1;
    }
    printf("to send, of %" PRIu32 " interactions: ", interactions);
    for (size_t i = 0; i < len; i++) {
        printf("%02x", message[i]);
    }
    printf("\n");
    return 0;
}

int main(void)
{
    const size_t model_len = (size_t)(model_end - model), plan_len = (size_t)(plan_end - plan);

    ChordRequirements needed;
    if (failed("chord_requirements", chord_requirements(model, model_len, &options, &needed))) {
        return 1;
    }
    if (needed.memory_bytes > sizeof memory || plan_len > sizeof received) {
        printf("%u bytes of memory, the model takes %u\n", (unsigned)sizeof memory, (unsigned)needed.memory_bytes);
        return 1;
    }

    ChordEngine *engine;
    ChordStatus status =
        chord_init(memory, sizeof memory, model, model_len, plan, plan_len, &options, &engine);
    if (failed("chord_init", status)) {
        return 1;
    }
    uint32_t sequence;
    if (failed("chord_running_plan", chord_running_plan(engine, &sequence))) {
        return 1;
    }
    printf("CHORD %s, plan %" PRIu32 "\n", chord_version(), sequence);

    ChordRanked ranked[LENGTH(candidates)];
    status = chord_rank(engine, history, LENGTH(history), candidates, LENGTH(candidates), ranked);
    if (failed("chord_rank", status)) {
        return 1;
    }
    for (size_t i = 0; i < LENGTH(ranked); i++) {
        print(i + 1, ranked[i]);
    }

    ChordRanked best[3];
    size_t count;
    if (failed("chord_top", chord_top(engine, history, LENGTH(history), best, LENGTH(best), &count))) {
        return 1;
    }
    printf("top %u of the catalogue:", (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        printf(" %" PRIu32, best[i].item);
    }
    printf("\n");

    if (send_profile(model_len)) {
        return 1;
    }

    /* Refused, and the running plan stays: a damaged plan, half a plan, none. */
    memcpy(received, plan, plan_len);
    received[plan_len / 2] ^= 1;
    failed("a damaged plan", chord_apply(engine, received, plan_len));
    failed("half a plan", chord_apply(engine, plan, plan_len / 2));
    failed("no plan", chord_apply(engine, NULL, 0));
    failed("the plan again", chord_apply(engine, plan, plan_len));
    return failed("chord_rank", chord_rank(engine, history, LENGTH(history), candidates, LENGTH(candidates), ranked));
}
