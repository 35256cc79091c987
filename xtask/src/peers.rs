//! Other libraries' layers on the same cores: checked, counted, and written beside ours to `benches/mcu/peers.md`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::bench_mcu::{Case, Region, cargo_build, count, layers, version};
use crate::boards::{BOARDS, Board};
use crate::test::{run_command, workspace};

/// Checkouts of other libraries, to be counted too.
#[derive(Args, Debug)]
pub struct Peers {
    /// Checkout of ARM-software/CMSIS-NN: its 8- and 4-bit layers on a Cortex-M4F and a Cortex-M55.
    #[arg(long, value_name = "PATH")]
    cmsis_nn: Option<PathBuf>,
    /// Checkout of EEESlab/CMix-NN: its 8-, 4- and 2-bit layers on a Cortex-M4F.
    #[arg(long, value_name = "PATH")]
    cmix_nn: Option<PathBuf>,
    /// Checkout of matteocarnelos/microflow-rs: its 8-bit layer on a Cortex-M4F.
    #[arg(long, value_name = "PATH")]
    microflow: Option<PathBuf>,
}

const M4: &Board = &BOARDS[0];
pub(crate) const M55: &Board = &BOARDS[3];

const COMPILER: &str = "arm-none-eabi-gcc";

/// A library in C: its program in `benches/mcu/peers/`, where its headers lie, what of it is compiled, and how.
struct Library {
    name: &'static str,
    program: &'static str,
    headers: &'static str,
    sources: &'static [&'static str],
    /// What its own build asks for.
    optimisation: &'static str,
}

const CMSIS_NN: Library = Library {
    name: "CMSIS-NN",
    program: "cmsis_nn.c",
    headers: "Include",
    sources: &[
        "Source/FullyConnectedFunctions/arm_fully_connected_s8.c",
        "Source/FullyConnectedFunctions/arm_fully_connected_s4.c",
        "Source/FullyConnectedFunctions/arm_vector_sum_s8.c",
        "Source/ConvolutionFunctions/arm_convolve_1x1_s8_fast.c",
        "Source/ConvolutionFunctions/arm_convolve_1x1_s4_fast.c",
        "Source/NNSupportFunctions/arm_nn_mat_mult_nt_t_s8.c",
        "Source/NNSupportFunctions/arm_nn_mat_mult_nt_t_s4.c",
        "Source/NNSupportFunctions/arm_nn_vec_mat_mult_t_s8.c",
        "Source/NNSupportFunctions/arm_nn_vec_mat_mult_t_s4.c",
    ],
    optimisation: "-Ofast",
};

const CMIX_NN: Library = Library {
    name: "CMix-NN",
    program: "cmix_nn.c",
    headers: "inc",
    sources: &[
        "src/NNSupportFunctions/arm_u8_to_int16_reordered.c",
        "src/ConvolutionFunctions/arm_convolve_HWC_u8_u8_u8_PACT_CH_icn.c",
        "src/ConvolutionFunctions/arm_convolve_HWC_u8_u8_u4_PACT_CH_icn.c",
        "src/ConvolutionFunctions/arm_convolve_HWC_u8_u8_u2_PACT_CH_icn.c",
        "src/ConvolutionFunctions/arm_nn_mat_mult_kernel_reordered_u8_int16_u8_PACT_CH_icn.c",
        "src/ConvolutionFunctions/arm_nn_mat_mult_kernel_reordered_u4_int16_u8_PACT_CH_icn.c",
        "src/ConvolutionFunctions/arm_nn_mat_mult_kernel_reordered_u2_int16_u8_PACT_CH_icn.c",
    ],
    optimisation: "-O3",
};

const MICROFLOW: &str = "microflow";

impl Peers {
    /// Counts the peers that have a path and writes them beside `ours`, the layers on a Cortex-M4F.
    ///
    /// Errors: a path without the sources, a compiler that is missing or fails, a layer with a wrong result.
    pub(crate) fn run(&self, ours: &[Case], target_dir: &Path, plugin: &Path) -> Result<()> {
        let libraries = [(&CMSIS_NN, &self.cmsis_nn), (&CMIX_NN, &self.cmix_nn)];
        let libraries: Vec<_> =
            libraries.iter().filter_map(|&(library, path)| Some((library, path.as_deref()?))).collect();
        let (mut on_m4, mut on_m55) = (Vec::new(), Vec::new());
        for &(library, path) in &libraries {
            let layers = |board| {
                let elf = compile(library, path, board, target_dir)?;
                count(&elf, board, target_dir, plugin)?
                    .iter()
                    .map(|region| layer(library.name, region))
                    .collect()
            };
            let layers: [Result<Vec<Layer>>; 2] = [M4, M55].map(layers);
            let [m4, m55] = layers;
            on_m4.extend(m4?);
            // CMix-NN has no code for vectors: a Cortex-M55 runs what a Cortex-M4 does.
            if library.name == CMSIS_NN.name {
                on_m55.extend(m55?);
            }
        }
        if let Some(path) = &self.microflow {
            let regions = count(&microflow(path, target_dir)?, M4, target_dir, plugin)?;
            for region in &regions {
                on_m4.push(layer(MICROFLOW, region)?);
            }
        }
        if on_m4.is_empty() {
            return Ok(());
        }
        let mut text = HEAD.to_owned();
        let sources = libraries.iter().map(|&(library, path)| (library.name, path));
        for (name, path) in sources.chain(self.microflow.as_deref().map(|path| (MICROFLOW, path))) {
            writeln!(text, "- {name}: {}", commit(path))?;
        }
        let versions = [version(COMPILER)?, version("rustc")?, version(M4.qemu)?];
        writeln!(text, "- {}", versions.join(", "))?;
        text += &table("Cortex-M4F", ours, &on_m4)?;
        if !on_m55.is_empty() {
            text += &table("Cortex-M55, MVE", &layers(M55, target_dir, plugin)?, &on_m55)?;
        }
        fs::write(workspace().join("benches/mcu/peers.md"), &text)?;
        println!("{text}");
        Ok(())
    }
}

const HEAD: &str = "# Beside other libraries\n\n\
    Written by `cargo xtask bench-mcu --cmsis-nn PATH --cmix-nn PATH --microflow PATH`. Instructions executed per\n\
    multiplication-accumulation of a whole layer with 64 outputs, in brackets cycles of the rough model of the core, then\n\
    how many times ours that is, packed, at the same width. Every result of a peer was compared with plain code: all right.\n\n\
    What differs: theirs requantise to int8 with given scales, ours give f32 and take a scale for each row. CMSIS-NN's fully\n\
    connected layers and microflow have one scale for all channels, the others one for each. CMix-NN's figures of 50 rows are\n\
    those of its inner kernel, without its convolution's way around an image; inputs that its kernels do not take are filled\n\
    up with zeros. The sums of CMSIS-NN's weights that MVE needs are computed before, as are our packed layers; in place we\n\
    read the 8-bit master at whatever width and have nothing precomputed. Peers are compiled as their own builds ask.\n\n";

/// A counted layer of a peer.
struct Layer {
    peer: &'static str,
    function: String,
    bits: String,
    inputs: u64,
    rows: u64,
    /// Instructions and cycles per multiplication-accumulation.
    per_mac: [f64; 2],
}

fn layer(peer: &'static str, region: &Region) -> Result<Layer> {
    let [function, bits, inputs, outputs, rows] = &region.words[..] else {
        bail!("not a layer of {peer}: {:?}", region.words);
    };
    let [inputs, outputs, rows]: [u64; 3] = [inputs.parse()?, outputs.parse()?, rows.parse()?];
    let per_mac = [region.instructions, region.cycles].map(|n| n as f64 / (inputs * outputs * rows) as f64);
    Ok(Layer { peer, function: function.clone(), bits: bits.clone(), inputs, rows, per_mac })
}

/// Compiles a library and its program for a board; returns the ELF.
fn compile(library: &Library, path: &Path, board: &Board, target_dir: &Path) -> Result<PathBuf> {
    let folder = workspace().join("benches/mcu/peers");
    let build = target_dir.join("peers").join(board.name);
    fs::create_dir_all(&build)?;
    let map = workspace().join(format!("firmware-example/boards/{}.x", board.name));
    fs::copy(map, build.join("board.x"))?;
    let elf = build.join(library.program).with_extension("elf");
    let mut command = Command::new(COMPILER);
    command
        .args([&format!("-mcpu={}", board.core), "-mfpu=auto", "-mfloat-abi=hard", "-mthumb"])
        // They read words through pointers to bytes.
        .args(["-std=gnu11", "-fno-strict-aliasing", library.optimisation, "-w"])
        .args(["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-Wl,-z,noexecstack"])
        .args(["--specs=nano.specs", "--specs=rdimon.specs", "-nostartfiles", "-T"])
        .arg(folder.join("peers.ld"))
        .arg("-L")
        .arg(&build);
    for headers in [path.join(library.headers), folder.join("include"), folder.clone()] {
        command.arg("-I").arg(headers);
    }
    command.arg(folder.join(library.program)).arg(workspace().join("c-api/example/startup.c"));
    command.args(library.sources.iter().map(|source| path.join(source))).arg("-o").arg(&elf);
    run_command(&mut command).with_context(|| library.name)?;
    Ok(elf)
}

/// Builds microflow's program as a package of its own, which has the checkout among its dependencies; returns the ELF.
fn microflow(path: &Path, target_dir: &Path) -> Result<PathBuf> {
    let package = target_dir.join("peers/microflow");
    fs::create_dir_all(&package)?;
    let benches = workspace().join("benches/mcu");
    let path = path.canonicalize().with_context(|| path.display().to_string())?;
    let manifest = format!(
        "[package]\nname = \"microflow-bench\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [[bin]]\nname = \"microflow-bench\"\npath = {:?}\n\n[dependencies]\nmicroflow = {{ path = {path:?} }}\n\
         chord-kernel-bench = {{ path = {:?} }}\ncortex-m = \"0.7\"\ncortex-m-rt = \"0.7\"\n\
         cortex-m-semihosting = \"0.6\"\nlibm = \"0.2\"\n\n[profile.release]\nlto = true\ncodegen-units = 1\npanic = \"abort\"\n",
        benches.join("peers/microflow.rs"),
        benches.join("firmware"),
    );
    fs::write(package.join("Cargo.toml"), manifest)?;
    let flags = format!("target.{}.rustflags=[\"-Clink-arg=-Tlink.x\", \"-Clink-arg=--nmagic\"]", M4.target);
    let mut command = cargo_build(target_dir);
    command.args(["--target", M4.target, "--config", &flags]);
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    run_command(command.current_dir(package)).context(MICROFLOW)?;
    Ok(target_dir.join(M4.target).join("release/microflow-bench"))
}

/// What a checkout is of.
fn commit(path: &Path) -> String {
    let output = Command::new("git").arg("-C").arg(path).args(["rev-parse", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => {
            format!("commit {}", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => "no git checkout".into(),
    }
}

fn table(core: &str, ours: &[Case], peers: &[Layer]) -> Result<String> {
    let inputs = [64, 50, 128, 200];
    let mut text = format!("\n## {core}\n\n| rows | bits | layer |");
    for inputs in inputs {
        write!(text, " K = {inputs} |")?;
    }
    writeln!(text, "\n|--:|--:|---|{}", "--:|".repeat(inputs.len()))?;
    let cell = |[instructions, cycles]: [f64; 2]| format!("{instructions:.3} [{cycles:.2}]");
    let our = |held: &str, bits: &str, inputs: u64, rows: u64| {
        let wanted = ours.iter().find(|case| {
            let Case { held: of, activations, plan, .. } = case;
            (of.as_str(), activations.as_str(), plan.as_str()) == (held, "uniform", bits)
                && case.kernel != "scalar"
                && (case.inputs, case.rows) == (inputs, rows)
        });
        let case =
            wanted.with_context(|| format!("our layer of {inputs} inputs, {rows} rows, {bits} bits"))?;
        anyhow::Ok([case.instructions, case.cycles].map(|n| case.per_mac(n)))
    };
    for rows in [50, 1] {
        for bits in ["8", "4", "2", "mix"] {
            for held in ["packed", "in-place"] {
                write!(text, "| {rows} | {bits} | **ours, {held}** |")?;
                for inputs in inputs {
                    write!(text, " {} |", cell(our(held, bits, inputs, rows)?))?;
                }
                text.push('\n');
            }
            let mut names: Vec<_> = Vec::new();
            for layer in peers.iter().filter(|layer| layer.rows == rows && layer.bits == bits) {
                let name = (layer.peer, layer.function.as_str());
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            for (peer, function) in names {
                write!(text, "| {rows} | {bits} | {peer} `{function}` |")?;
                for inputs in inputs {
                    let is_cell = |layer: &&Layer| {
                        let Layer { bits: of, inputs: k, rows: r, .. } = *layer;
                        (layer.peer, layer.function.as_str()) == (peer, function)
                            && (of, *k, *r) == (&bits.to_owned(), inputs, rows)
                    };
                    let Some(layer) = peers.iter().find(is_cell) else {
                        write!(text, " |")?;
                        continue;
                    };
                    let times = layer.per_mac[0] / our("packed", bits, inputs, rows)?[0];
                    write!(text, " {}, {times:.2} |", cell(layer.per_mac))?;
                }
                text.push('\n');
            }
        }
    }
    Ok(text)
}
