#!/bin/sh
# Times CHORD's training steps against PyTorch's on this machine's CPU; arguments go to bench.py. JSON lines.
# On Linux PyPI's PyTorch brings its CUDA libraries along: 3 GB to fetch, 5 GB in the venv, none of it used here.
#   VENV: where PyTorch is or will be (target/bench-venv); PROFILE: of cargo (release; dev only to see that it runs).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
VENV=${VENV:-$root/target/bench-venv}
PROFILE=${PROFILE:-release}
if [ ! -x "$VENV/bin/python" ]; then
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet torch numpy safetensors
fi
cargo build --quiet --manifest-path "$root/Cargo.toml" --package chord-trainer --example bench --profile "$PROFILE"
target=$(cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --no-deps |
    "$VENV/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
[ "$PROFILE" = dev ] && folder=debug || folder=$PROFILE
exec "$VENV/bin/python" -B "$here/bench.py" --binary "$target/$folder/examples/bench" "$@"
