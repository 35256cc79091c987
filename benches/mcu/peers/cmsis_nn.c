/* CMSIS-NN's layers on int8 activations, 8- and 4-bit weights: each checked against plain C, and counted. */
#include "arm_nnfunctions.h"
#include "arm_nnsupportfunctions.h"
#include "bench.h"

static int8_t activations[ROWS * WIDEST], weights[OUTPUTS * WIDEST], packed[OUTPUTS * WIDEST / 2];
static int8_t expected[ROWS * OUTPUTS], found[ROWS * OUTPUTS];
static int32_t biases[OUTPUTS], multipliers[OUTPUTS], shifts[OUTPUTS], sums[OUTPUTS];

enum { INPUT_OFFSET = 3, OUTPUT_OFFSET = -5 };

/* Round(acc * multiplier / 2^(31 - shift)) in the two steps of TensorFlow Lite. */
static int32_t requantise(int32_t acc, int32_t multiplier, int32_t shift)
{
    int64_t high = ((int64_t)acc * multiplier + (1 << 30)) >> 31;
    int64_t half = (int64_t)1 << (-shift - 1);
    return (int32_t)(high < 0 ? -((-high + half) >> -shift) : (high + half) >> -shift);
}

/* The outputs, with a multiplier for each channel or the first one for all. */
static void layer(int inputs, int rows, int per_channel)
{
    for (int row = 0; row < rows; row++) {
        for (int channel = 0; channel < OUTPUTS; channel++) {
            int32_t acc = biases[channel];
            for (int i = 0; i < inputs; i++) {
                acc += (activations[row * inputs + i] + INPUT_OFFSET) * weights[channel * inputs + i];
            }
            int scale = per_channel ? channel : 0;
            acc = requantise(acc, multipliers[scale], shifts[scale]) + OUTPUT_OFFSET;
            expected[row * OUTPUTS + channel] = (int8_t)clamp(acc, -128, 127);
        }
    }
}

static void shape(int inputs, int rows)
{
    const cmsis_nn_fc_params fc = {INPUT_OFFSET, 0, OUTPUT_OFFSET, {-128, 127}};
    const cmsis_nn_conv_params conv = {INPUT_OFFSET, OUTPUT_OFFSET, {1, 1}, {0, 0}, {1, 1}, {-128, 127}};
    const cmsis_nn_per_channel_quant_params channel = {multipliers, shifts};
    const cmsis_nn_dims fc_in = {rows, 1, 1, inputs}, fc_filter = {inputs, 1, 1, OUTPUTS}, out = {rows, 1, 1, OUTPUTS};
    const cmsis_nn_dims conv_in = {1, 1, rows, inputs}, conv_filter = {OUTPUTS, 1, 1, inputs};
    const cmsis_nn_dims conv_out = {1, 1, rows, OUTPUTS}, bias = {1, 1, 1, OUTPUTS};
    const cmsis_nn_context none = {NULL, 0}, with_sums = {sums, sizeof sums};

    for (int i = 0; i < rows * inputs; i++) {
        activations[i] = (int8_t)between(-127, 127);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        biases[i] = between(-9999, 9999);
        multipliers[i] = between(1 << 30, INT32_MAX);
        shifts[i] = -10;
    }
    for (int i = 0; i < OUTPUTS * inputs; i++) {
        weights[i] = (int8_t)between(-127, 127);
    }
    /* What a program computes once for a model. */
    arm_vector_sum_s8(sums, inputs, OUTPUTS, weights, INPUT_OFFSET, 0, biases);
    const cmsis_nn_per_tensor_quant_params tensor = {multipliers[0], shifts[0]};
    layer(inputs, rows, 0);
    COUNTED(arm_fully_connected_s8(&with_sums, &fc, &tensor, &fc_in, activations, &fc_filter, weights, &bias, biases,
                                   &out, found));
    report("arm_fully_connected_s8", 8, inputs, rows, found, expected);
    layer(inputs, rows, 1);
    COUNTED(arm_convolve_1x1_s8_fast(&none, &conv, &channel, &conv_in, activations, &conv_filter, weights, &bias,
                                     biases, &conv_out, found));
    report("arm_convolve_1x1_s8_fast", 8, inputs, rows, found, expected);

    for (int i = 0; i < OUTPUTS * inputs; i += 2) {
        weights[i] = (int8_t)between(-8, 7);
        weights[i + 1] = (int8_t)between(-8, 7);
        packed[i / 2] = (int8_t)((weights[i] & 0xf) | weights[i + 1] << 4);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        shifts[i] = -6;
    }
    const cmsis_nn_per_tensor_quant_params tensor_s4 = {multipliers[0], shifts[0]};
    layer(inputs, rows, 0);
    COUNTED(arm_fully_connected_s4(&none, &fc, &tensor_s4, &fc_in, activations, &fc_filter, packed, &bias, biases, &out,
                                   found));
    report("arm_fully_connected_s4", 4, inputs, rows, found, expected);
    layer(inputs, rows, 1);
    COUNTED(arm_convolve_1x1_s4_fast(&none, &conv, &channel, &conv_in, activations, &conv_filter, packed, &bias, biases,
                                     &conv_out, found));
    report("arm_convolve_1x1_s4_fast", 4, inputs, rows, found, expected);
}

int main(void)
{
    for (int i = 0; i < SHAPES; i++) {
        shape(INPUTS[i], ROWS);
        shape(INPUTS[i], 1);
    }
    return 0;
}
