#!/bin/sh
# Times a ranking of chord-runtime beside ONNX Runtime on this machine; arguments go to bench.py, which prints results.md.
#   VENV: where ONNX Runtime is or will be (target/onnx-venv).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cores=$here/../cores
VENV=${VENV:-$here/../../target/onnx-venv}
if [ ! -x "$VENV/bin/python" ]; then
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet onnxruntime onnx numpy
fi
cargo build --quiet --release --locked --manifest-path "$cores/Cargo.toml" --bin ranking
target=$(cargo metadata --manifest-path "$cores/Cargo.toml" --format-version 1 --no-deps |
    "$VENV/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
exec "$VENV/bin/python" -B "$here/bench.py" --binary "$target/release/ranking" "$@"
