#!/bin/sh
# Counts the instructions of AArch64's kernels in QEMU with the project's plugin; prints results.md.
# `cargo xtask setup` installs the target and QEMU.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=aarch64-unknown-linux-musl
folder() {
    cargo metadata --manifest-path "$1/Cargo.toml" --format-version 1 --no-deps |
        sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}
cargo build --quiet --release --locked --manifest-path "$here/../insn-count/Cargo.toml"
cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --bin regions --target $target \
    --config "target.$target.linker='rust-lld'"
plugin=${PLUGIN:-$(folder "$here/../insn-count")/release/libinsn_count.so}
regions=${REGIONS:-$(folder "$here")/$target/release/regions}
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
qemu-aarch64 -cpu max -plugin "$plugin,out=$scratch/counts" "$regions" >"$scratch/names"
cat <<END
# Kernels on AArch64

Written by \`benches/cores/count.sh\` with $(qemu-aarch64 --version | head -n 1), $(rustc --version). Instructions executed
per multiplication-accumulation of a whole layer, requantisation to f32 included; as [benches/mcu](../mcu/results.md)
has it for Cortex-M. *neon* is what a Cortex-A53 runs, *sdot* a Cortex-A76, *i8mm* what came after.

| kernel | held | K | N | rows | 8 | 4 | 2 | mix | alternating | 0 |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
END
paste -d ' ' "$scratch/names" "$scratch/counts" | awk '
    {
        key = "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " |"
        if (!(key in cells)) order[++count] = key
        cells[key] = cells[key] sprintf(" %.3f |", $7 / ($3 * $4 * $5))
    }
    END { for (i = 1; i <= count; i++) print order[i] cells[order[i]] }'
