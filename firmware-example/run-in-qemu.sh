#!/bin/sh
# `cargo run` hands the ELF over. xtask is a program of the host: this folder's target must not apply to it.
set -eu
elf=$(realpath "$1")
cd "$(dirname "$0")/.."
exec cargo xtask qemu "$elf"
