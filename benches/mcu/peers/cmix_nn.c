/* CMix-NN's convolutions with a kernel of one input on 8-bit activations, weights of 8, 4 and 2 bits with an offset and a
 * scale for each channel: each checked against plain C, and counted.
 *
 * Two rows go to the library's inner kernel as its convolutions do it, without their way around an image's borders; one
 * row goes through the convolution. It takes inputs in fours, eights or sixteens for 8, 4 and 2 bits: further ones are
 * zeros. */
#include "arm_cmixnn.h"
#include "bench.h"

enum { INPUT_OFFSET = 128, OUTPUT_OFFSET = 120 };

static uint8_t activations[ROWS * WIDEST], weights[OUTPUTS * WIDEST], packed[OUTPUTS * WIDEST], offsets[OUTPUTS];
static uint8_t expected[ROWS * OUTPUTS], found[ROWS * OUTPUTS];
static int32_t biases[OUTPUTS], multipliers[OUTPUTS];
static int8_t shifts[OUTPUTS];
static int16_t buffer[2 * WIDEST];

static void layer(int inputs, int rows)
{
    for (int row = 0; row < rows; row++) {
        for (int channel = 0; channel < OUTPUTS; channel++) {
            int32_t acc = biases[channel];
            for (int i = 0; i < inputs; i++) {
                acc += (activations[row * inputs + i] - INPUT_OFFSET) * (weights[channel * inputs + i] - offsets[channel]);
            }
            acc = (int32_t)((int64_t)acc * multipliers[channel] >> 32 >> shifts[channel]) + OUTPUT_OFFSET;
            expected[row * OUTPUTS + channel] = (uint8_t)clamp(acc, 0, 255);
        }
    }
}

/* The order in which the library's loads take weights apart: bytes and, in each, bits. */
static void pack(int inputs, int bits)
{
    int per_word = 32 / bits;
    memset(packed, 0, sizeof packed);
    for (int i = 0; i < OUTPUTS * inputs; i++) {
        int in_word = i % per_word, quarter = in_word % 4;
        int place = bits == 8 ? in_word : quarter / 2 * (per_word / 2) + in_word / 4 * 2 + quarter % 2;
        packed[i / per_word * 4 + place * bits / 8] |= (uint8_t)(weights[i] << place * bits % 8);
    }
}

/* For each width its kernel of two rows and its convolution. */
#define WIDTH(bits)                                                                                                    \
    static void two_rows_##bits(const uint8_t *in, int inputs, uint8_t *out)                                           \
    {                                                                                                                  \
        arm_u8_to_int16_reordered(in, buffer, inputs, INPUT_OFFSET);                                                   \
        arm_u8_to_int16_reordered(in + inputs, buffer + inputs, inputs, INPUT_OFFSET);                                 \
        arm_nn_mat_mult_kernel_reordered_u##bits##_int16_u8_PACT_CH_icn(packed, buffer, OUTPUTS, inputs, biases, out,  \
                                                                        offsets, OUTPUT_OFFSET, multipliers, shifts); \
    }                                                                                                                  \
    static void one_row_##bits(int inputs)                                                                             \
    {                                                                                                                  \
        arm_convolve_HWC_u8_u8_u##bits##_PACT_CH_icn(activations, 1, inputs, packed, OUTPUTS, 1, 0, 0, 0, 0, 1, biases, \
                                                     found, 1, INPUT_OFFSET, offsets, OUTPUT_OFFSET, multipliers,      \
                                                     shifts, buffer, NULL);                                            \
    }
WIDTH(8)
WIDTH(4)
WIDTH(2)

static const struct {
    int bits;
    void (*two_rows)(const uint8_t *, int, uint8_t *);
    void (*one_row)(int);
} widths[] = {{8, two_rows_8, one_row_8}, {4, two_rows_4, one_row_4}, {2, two_rows_2, one_row_2}};

static void all_rows(void (*two_rows)(const uint8_t *, int, uint8_t *), int inputs)
{
    for (int row = 0; row < ROWS; row += 2) {
        two_rows(&activations[row * inputs], inputs, &found[row * OUTPUTS]);
    }
}

int main(void)
{
    for (int i = 0; i < SHAPES * 3; i++) {
        int bits = widths[i % 3].bits, at_once = 32 / bits;
        int wanted = INPUTS[i / 3], inputs = (wanted + at_once - 1) / at_once * at_once;
        for (int j = 0; j < ROWS * inputs; j++) {
            activations[j] = (uint8_t)(j % inputs < wanted ? INPUT_OFFSET + between(-127, 127) : INPUT_OFFSET);
        }
        for (int j = 0; j < OUTPUTS * inputs; j++) {
            weights[j] = (uint8_t)between(0, (1 << bits) - 1);
        }
        for (int j = 0; j < OUTPUTS; j++) {
            biases[j] = between(-999, 999);
            offsets[j] = (uint8_t)between(0, (1 << bits) - 1);
            multipliers[j] = between(1 << 30, INT32_MAX);
            shifts[j] = (int8_t)bits;
        }
        pack(inputs, bits);
        layer(inputs, ROWS);
        COUNTED(all_rows(widths[i % 3].two_rows, inputs));
        report("arm_nn_mat_mult_kernel_reordered", bits, wanted, ROWS, found, expected);
        COUNTED(widths[i % 3].one_row(inputs));
        report("arm_convolve_HWC", bits, wanted, 1, found, expected);
    }
    return 0;
}
