//! microflow's fully connected layer on int8: checked against plain Rust, and counted. Prints what each region was, in
//! their order: function, bits of a weight, inputs, outputs, rows.
#![no_std]
#![no_main]

use core::hint::black_box;

use chord_kernel_bench::{Random, counted};
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;
use microflow::activation::FusedActivation;
use microflow::buffer::Buffer2D;
use microflow::ops::{FullyConnectedOptions, fully_connected};
use microflow::tensor::Tensor2D;

const OUTPUTS: usize = 64;

#[entry]
fn main() -> ! {
    let mut random = Random(1);
    let right = layer::<50, 64>(&mut random)
        && layer::<1, 64>(&mut random)
        && layer::<50, 50>(&mut random)
        && layer::<1, 50>(&mut random)
        && layer::<50, 128>(&mut random)
        && layer::<1, 128>(&mut random)
        && layer::<50, 200>(&mut random)
        && layer::<1, 200>(&mut random);
    loop {
        debug::exit(if right { EXIT_SUCCESS } else { EXIT_FAILURE });
    }
}

/// Whether the outputs are the expected ones.
#[inline(never)]
fn layer<const ROWS: usize, const INPUTS: usize>(random: &mut Random) -> bool {
    let mut code = |_, _| (random.below(255) as i16 - 127) as i8;
    let codes: Buffer2D<i8, ROWS, INPUTS> = Buffer2D::from_fn(&mut code);
    let weights: Buffer2D<i8, INPUTS, OUTPUTS> = Buffer2D::from_fn(code);
    let biases: Buffer2D<f32, OUTPUTS, 1> = Buffer2D::from_fn(|_, _| 9.0 * random.signed());
    // The weights' zero point is 3: the constants hold what does not depend on the tokens.
    let (zero_point, scale, output_zero_point) = (3, 0.001, -5);
    let sums: Buffer2D<i32, 1, OUTPUTS> =
        Buffer2D::from_fn(|_, j| 2 * weights.column(j).iter().map(|&w| i32::from(w)).sum::<i32>());
    let all = 2 * zero_point * INPUTS as i32;
    let expected: Buffer2D<i8, ROWS, OUTPUTS> = Buffer2D::from_fn(|i, j| {
        let product = |k: usize| (i32::from(codes[(i, k)]) - 2) * (i32::from(weights[(k, j)]) - zero_point);
        let sum: i32 = (0..INPUTS).map(product).sum();
        libm::roundf(output_zero_point as f32 + biases[j] + scale * sum as f32) as i8
    });
    let input = Tensor2D::new(codes, [0.1], [2]);
    let weights = Tensor2D::new(weights, [0.1], [zero_point as i8]);
    let constants = (biases, scale, sums, all);
    let (input, weights) = (black_box(input), black_box(weights));
    let mut found = None;
    counted(|| found = Some(multiply(input, &weights, output_zero_point as i8, constants)));
    hprintln!("fully_connected 8 {} {} {}", INPUTS, OUTPUTS, ROWS);
    found.is_some_and(|found| found.buffer == expected)
}

/// Apart from the layer's reference, so that the compiler sees the library's function alone.
#[inline(never)]
fn multiply<const ROWS: usize, const INPUTS: usize>(
    input: Tensor2D<i8, ROWS, INPUTS, 1>,
    weights: &Tensor2D<i8, INPUTS, OUTPUTS, 1>,
    output_zero_point: i8,
    constants: (Buffer2D<f32, OUTPUTS, 1>, f32, Buffer2D<i32, 1, OUTPUTS>, i32),
) -> Tensor2D<i8, ROWS, OUTPUTS, 1> {
    let options = FullyConnectedOptions { fused_activation: FusedActivation::None };
    fully_connected(input, weights, [1.0], [output_zero_point], options, constants)
}
