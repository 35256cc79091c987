/* What the programs around a peer's library share: layers of random numbers, marks for the counting plugin, lines that say
 * what each counted region was: function, bits of a weight, inputs, outputs, rows. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHAPES = 4, ROWS = 50, OUTPUTS = 64, WIDEST = 208 };

static const int INPUTS[SHAPES] = {64, 50, 128, 200};

/* Words that the plugin knows (benches/insn-count): `hint #0x40` and `hint #0x41`. */
#define COUNTED(call)                                          \
    do {                                                       \
        __asm volatile(".inst.w 0xf3af8040" : : : "memory");   \
        call;                                                  \
        __asm volatile(".inst.w 0xf3af8041" : : : "memory");   \
    } while (0)

/* SplitMix64, an integer from `low` to `high`. */
static inline int32_t between(int32_t low, int32_t high)
{
    static uint64_t state = 1;
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (int32_t)((int64_t)low + (int64_t)((z ^ z >> 31) % (uint64_t)((int64_t)high - low + 1)));
}

static inline int32_t clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Names the region that was counted last. Ends the program if the outputs are not the expected ones. */
static inline void report(const char *function, int bits, int inputs, int rows, const void *found, const void *expected)
{
    const uint8_t *a = found, *b = expected;
    for (int i = 0; i < rows * OUTPUTS; i++) {
        if (a[i] != b[i]) {
            printf("%s, %d bits, %d inputs, %d rows: output %d is %d, expected %d\n", function, bits, inputs, rows, i,
                   a[i], b[i]);
            exit(1);
        }
    }
    printf("%s %d %d %d %d\n", function, bits, inputs, OUTPUTS, rows);
}

#endif
