//! The marks that the counting plugin knows, and a kernel whose calls lie between them.

use core::arch::asm;

use chord_plan::bundle::{Floats, LayerView};
use chord_plan::manifest::{Activation, Layer};
use chord_runtime::Widths;
use chord_runtime::kernels::{Linear, Native, Tokens, Tokenwise};
use semihosting::println;

// The marks: hints without a meaning, which cores execute as a nop. A Cortex-M0+ has no such hint, but the Cortex-M3 that
// runs its code has.
#[cfg(target_arch = "arm")]
macro_rules! mark {
    ($number:literal) => {
        concat!(".short 0xf3af, 0x80", $number)
    };
}
#[cfg(target_arch = "riscv32")]
macro_rules! mark {
    ($number:literal) => {
        concat!("slti x0, x0, 0x", $number)
    };
}

/// Calls `region` between the marks, and names it.
#[inline(always)]
pub(crate) fn counted(network: &str, name: &str, region: impl FnOnce()) {
    // SAFETY: a hint.
    unsafe { asm!(mark!("40"), options(nomem, nostack, preserves_flags)) };
    region();
    // SAFETY: a hint.
    unsafe { asm!(mark!("41"), options(nomem, nostack, preserves_flags)) };
    println!("{network} {name}");
}

/// The target's kernel, each call counted and named; of a network.
pub(crate) struct Marked(pub(crate) &'static str);

impl Tokenwise for Marked {
    fn quantise(&self, x: &[f32], out: &mut [i8]) -> f32 {
        let mut scale = 0.0;
        counted(self.0, "quantisation", || scale = Native::default().quantise(x, out));
        scale
    }

    fn activate(&self, activation: Activation, x: &mut [f32]) {
        counted(self.0, "activation", || Native::default().activate(activation, x));
    }

    fn layer_norm(&self, x: &[f32], gamma: Floats<'_>, beta: Floats<'_>, epsilon: f32, out: &mut [f32]) {
        counted(self.0, "norms", || Native::default().layer_norm(x, gamma, beta, epsilon, out));
    }

    fn attend(
        &self,
        query: &[f32],
        keys: &[f32],
        values: &[f32],
        stride: usize,
        scale: f32,
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        counted(self.0, "attention", || {
            Native::default().attend(query, keys, values, stride, scale, scores, out);
        });
    }
}

impl Linear for Marked {
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        counted(self.0, "layers", || Native::default().layer(tokens, layer, widths, scratch, out));
    }

    fn pack(&self, layer: &LayerView<'_>, widths: Widths<'_>, packed: &mut [u32]) {
        Native::default().pack(layer, widths, packed);
    }

    fn packed_layer(
        &self,
        tokens: Tokens<'_>,
        layer: &Layer,
        packed: &[u32],
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        Native::default().packed_layer(tokens, layer, packed, scratch, out);
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        let mut result = 0;
        counted(self.0, "candidates", || result = Native::default().dot(token, codes));
        result
    }

    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        let mut result = 0;
        counted(self.0, "filters", || result = Native::default().filter_row(token, codes, bits));
        result
    }
}
