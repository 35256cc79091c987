//! One ranking of SASRec between the marks that the counting plugin knows, then its parts, each as often as the ranking
//! does it; prints the name of each region, in their order.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::hint::black_box;

use chord_plan::bundle::{LayerView, Norm};
use chord_plan::manifest::Layer;
use chord_plan::numerics::{attend, gelu, layer_norm, quantise_token, score_scale};
use chord_plan::{Bundle, Plan};
use chord_runtime::kernels::{Linear, Native, Tokens, Tokenwise};
use chord_runtime::{Arithmetic, Engine, Options, Ranked, Widths};
use semihosting::{println, process};

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

#[cfg(target_arch = "arm")]
global_asm!(
    ".section .vectors, \"a\"",
    ".word _stack_start",
    ".word main",
    ".rept 14",
    ".word chord_fault",
    ".endr",
);
#[cfg(target_arch = "riscv32")]
global_asm!(
    ".section .vectors, \"ax\"",
    ".global _start",
    "_start: la t0, chord_fault",
    "csrw mtvec, t0",
    "la sp, _stack_start",
    "j main",
);

/// Calls `region` between the marks.
#[inline(always)]
fn counted(region: impl FnOnce()) {
    // SAFETY: a hint.
    unsafe { asm!(mark!("40"), options(nomem, nostack, preserves_flags)) };
    region();
    // SAFETY: a hint.
    unsafe { asm!(mark!("41"), options(nomem, nostack, preserves_flags)) };
}

#[repr(align(16))]
struct Aligned<T: ?Sized>(T);

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/sasrec.chord")));
static PLAN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sasrec.plan"));

const TOKENS: usize = 50;
const DIM: usize = 64;
const HEADS: usize = 2;
const CANDIDATES: usize = 100;

/// The target's kernel, each call counted and named.
struct Marked;

impl Tokenwise for Marked {}

impl Linear for Marked {
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        counted(|| Native::default().layer(tokens, layer, widths, scratch, out));
        println!("layers");
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
        counted(|| result = Native::default().dot(token, codes));
        println!("candidates");
        result
    }
}

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    process::exit(run().is_none().into());
}

#[unsafe(no_mangle)]
extern "C" fn chord_fault() -> ! {
    process::exit(2);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    process::exit(3);
}

fn run() -> Option<()> {
    static mut ARENA: [u8; 1 << 17] = [0; 1 << 17];
    // SAFETY: nobody else borrows it.
    let arena = unsafe { (&raw mut ARENA).as_mut() }?;
    let mut history = [0; TOKENS];
    history.iter_mut().enumerate().for_each(|(i, item)| *item = (7 * i % 200) as u32);
    let mut candidates = [0; CANDIDATES];
    candidates.iter_mut().enumerate().for_each(|(i, item)| *item = 2 * i as u32);
    let mut ranked = [Ranked::default(); CANDIDATES];

    let bundle = Bundle::parse_trusted(&MODEL.0).ok()?;
    let plan = Plan::parse(PLAN).ok()?;
    let mut engine = Engine::new(bundle, &plan, arena, Options::default()).ok()?;
    let mut succeeded = false;
    counted(|| succeeded = black_box(engine.rank(&history, &candidates, &mut ranked)).is_ok());
    succeeded.then_some(())?;
    println!("ranking");
    let options = Options { arithmetic: Arithmetic::Fixed, ..Options::default() };
    // SAFETY: the first engine is not used again.
    let arena = unsafe { (&raw mut ARENA).as_mut() }?;
    let mut engine = Engine::new(bundle, &plan, arena, options).ok()?;
    counted(|| succeeded = black_box(engine.rank(&history, &candidates, &mut ranked)).is_ok());
    succeeded.then_some(())?;
    println!("fixed");
    // SAFETY: the first engine is not used again.
    let arena = unsafe { (&raw mut ARENA).as_mut() }?;
    let mut engine = Engine::with_kernel(bundle, &plan, arena, Options::default(), Marked).ok()?;
    engine.rank(&history, &candidates, &mut ranked).ok()?;

    // Numbers of the size that a model has.
    let mut x = [[0.0; DIM]; TOKENS];
    for (t, row) in x.iter_mut().enumerate() {
        row.iter_mut().enumerate().for_each(|(i, x)| *x = ((31 * t + 17 * i) % 97) as f32 * 0.02 - 0.97);
    }
    let mut out = [0.0; DIM];
    let (gamma, beta) = bundle.norm(Norm::Final);
    // Two for each token in the first block, then one for each, one more, and the last.
    counted(|| {
        for t in 0..3 * TOKENS + 2 {
            layer_norm(black_box(&x[t % TOKENS]), gamma, beta, 1e-5, &mut out);
        }
    });
    println!("norms");
    let head = DIM / HEADS;
    let mut scores = [0.0; TOKENS];
    let keys = x.as_flattened();
    let scale = score_scale(head);
    // Every token over those before it in the first block, the last one in the second.
    let queries = || (1..=TOKENS).chain([TOKENS]).flat_map(|keys| [keys; HEADS]);
    counted(|| {
        for tokens in queries() {
            let query = black_box(&x[tokens - 1][..head]);
            attend(query, keys, keys, DIM, scale, &mut scores[..tokens], &mut out[..head]);
        }
    });
    println!("attention");
    // Without queries and values the softmax is left.
    scores.iter_mut().enumerate().for_each(|(i, score)| *score = (i % 7) as f32 * 0.3);
    counted(|| {
        for tokens in queries() {
            attend(&[], &[], &[], 1, scale, black_box(&mut scores[..tokens]), &mut []);
        }
    });
    println!("softmax");
    counted(|| {
        for row in x.iter().chain(x.first()) {
            row.iter().zip(&mut out).for_each(|(x, out)| *out = gelu(black_box(*x)));
        }
    });
    println!("gelu");
    let mut codes = [0; DIM];
    // Four for each token in the first block, one for each in the second and three, and the last.
    counted(|| {
        for t in 0..5 * TOKENS + 4 {
            black_box(quantise_token(black_box(&x[t % TOKENS]), &mut codes));
        }
    });
    println!("quantisation");

    // What the fixed-point arithmetic makes of this model and of the example firmware's request.
    // SAFETY: no engine is used again.
    let arena = unsafe { (&raw mut ARENA).as_mut() }?;
    print_ranking(&MODEL.0, PLAN, &history, &candidates, arena)?;
    // SAFETY: that engine is gone.
    let arena = unsafe { (&raw mut ARENA).as_mut() }?;
    print_ranking(&request::MODEL.0, request::PLAN, &request::HISTORY, &request::CANDIDATES, arena)
}

/// Prints the best ten in fixed point, with the bits of their logits.
fn print_ranking(
    model: &[u8],
    plan: &[u8],
    history: &[u32],
    candidates: &[u32],
    arena: &mut [u8],
) -> Option<()> {
    let options = Options { arithmetic: Arithmetic::Fixed, ..Options::default() };
    let plan = Plan::parse(plan).ok()?;
    let mut engine = Engine::new(Bundle::parse_trusted(model).ok()?, &plan, arena, options).ok()?;
    let best = engine.top_items::<10>(history, candidates).ok()?;
    for Ranked { item, logit } in best {
        println!("rank {item} {:08x}", logit.to_bits());
    }
    Some(())
}

/// The example firmware's request.
mod request {
    use super::Aligned;

    include!(concat!(env!("OUT_DIR"), "/request.rs"));
}
