//! Whole models between the marks that the counting plugin knows; prints what each region was, in their order:
//! model, holding, rows at once, bytes of the arena, part.
#![no_std]
#![no_main]

use core::hint::black_box;

use chord_kernel_bench::counted;
use chord_plan::bundle::{Floats, LayerView};
use chord_plan::manifest::Layer;
use chord_plan::{Bundle, Plan};
use chord_runtime::kernels::{Linear, Native, Tokens, Tokenwise};
use chord_runtime::{Engine, Holding, Options, Ranked, Requirements, Widths};
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;

#[repr(align(16))]
struct Aligned<T: ?Sized>(T);

static SASREC: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/sasrec.chord")));
static SASREC_PLAN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sasrec.plan"));
static CASER: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/caser.chord")));
static CASER_PLAN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/caser.plan"));

/// Tokens through a layer at once; with the first, the parts are counted too.
const ROWS: [usize; 4] = [4, 10, 26, 50];

const CANDIDATES: usize = 100;

/// The target's kernel, each call counted and named.
struct Marked<'n>(&'n dyn Fn(&dyn core::fmt::Display));

impl Linear for Marked<'_> {
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        counted(|| Native::default().layer(tokens, layer, widths, scratch, out));
        (self.0)(&layer.layer().name);
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
        counted(|| Native::default().packed_layer(tokens, layer, packed, scratch, out));
        (self.0)(&layer.name);
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        let mut result = 0;
        counted(|| result = Native::default().dot(token, codes));
        (self.0)(&"candidates");
        result
    }

    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        let mut result = 0;
        counted(|| result = Native::default().filter_row(token, codes, bits));
        (self.0)(&"filters");
        result
    }
}

impl Tokenwise for Marked<'_> {
    fn quantise(&self, x: &[f32], out: &mut [i8]) -> f32 {
        let mut result = 0.0;
        counted(|| result = Native::default().quantise(x, out));
        (self.0)(&"quantise");
        result
    }

    fn add(&self, x: &mut [f32], y: &[f32]) {
        counted(|| Native::default().add(x, y));
        (self.0)(&"add");
    }

    fn layer_norm(&self, x: &[f32], gamma: Floats<'_>, beta: Floats<'_>, epsilon: f32, out: &mut [f32]) {
        counted(|| Native::default().layer_norm(x, gamma, beta, epsilon, out));
        (self.0)(&"norm");
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
        counted(|| Native::default().attend(query, keys, values, stride, scale, scores, out));
        (self.0)(&"attention");
    }
}

#[entry]
fn main() -> ! {
    static mut ARENA: [u8; 1 << 18] = [0; 1 << 18];
    let mut history = [0; 50];
    history.iter_mut().enumerate().for_each(|(i, item)| *item = (7 * i % 200) as u32);
    let mut candidates = [0; CANDIDATES];
    candidates.iter_mut().enumerate().for_each(|(i, item)| *item = 2 * i as u32);
    let mut ranked = [Ranked::default(); CANDIDATES];
    for (model, bundle, plan) in [("sasrec", &SASREC.0, SASREC_PLAN), ("caser", &CASER.0, CASER_PLAN)] {
        let bundle = Bundle::parse(black_box(bundle)).unwrap();
        // Caser's channels differ in length, so that its plan keeps a little more than 3 bits.
        let max_budget = Some(if model == "caser" { 3001 } else { 3000 });
        for (held, holding) in [("in-place", Holding::InPlace), ("packed", Holding::Packed)] {
            for rows_at_once in ROWS {
                if model == "caser" && rows_at_once != ROWS[0] {
                    continue;
                }
                let options = Options { rows_at_once, holding, max_budget, ..Options::default() };
                let bytes = Requirements::of(&bundle, &options).arena_bytes;
                let name = |part: &dyn core::fmt::Display| {
                    hprintln!("{} {} {} {} {}", model, held, rows_at_once, bytes, part);
                };
                let parsed = Plan::parse(plan).unwrap();
                let mut engine = Engine::new(bundle, &parsed, &mut ARENA[..bytes], options).unwrap();
                counted(|| engine.apply(&Plan::parse(black_box(plan)).unwrap()).unwrap());
                name(&"apply");
                counted(|| {
                    black_box(engine.rank(&history, &candidates, &mut ranked)).unwrap();
                });
                name(&"rank");
                if rows_at_once == ROWS[0] {
                    let arena = &mut ARENA[..bytes];
                    let mut engine =
                        Engine::with_kernel(bundle, &parsed, arena, options, Marked(&name)).unwrap();
                    engine.rank(&history, &candidates, &mut ranked).unwrap();
                }
            }
        }
    }
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}
