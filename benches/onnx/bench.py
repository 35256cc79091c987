"""Ranks with chord-runtime and with ONNX Runtime in turns: one SASRec, the same weights, one thread, batch 1.

History 50, 100 candidates. The ONNX models are fp32 and its dynamic int8 quantisation; their last block computes the last
token only, as chord-runtime's does. Prints the table of results.md.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

DIM, HEADS, BLOCKS, POSITIONS, ITEMS, CANDIDATES = 64, 2, 2, 50, 1000, 100
HISTORY = np.array([7 * i % ITEMS for i in range(POSITIONS)], np.int64)
CHOSEN = np.array([9 * i % ITEMS for i in range(CANDIDATES)], np.int64)


def read_safetensors(path):
    raw = pathlib.Path(path).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    return {
        name: np.frombuffer(data[slice(*info["data_offsets"])], "<f4").reshape(info["shape"])
        for name, info in header.items()
    }


class Graph:
    """Nodes and constants of an ONNX graph."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, array, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op, *inputs, **attributes):
        self.count += 1
        out = f"t{self.count}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=f"{op}_{self.count}", **attributes))
        return out


def sasrec(weights):
    graph = Graph()
    add, constant = graph.add, graph.constant

    def norm(x, name):
        gamma, beta = (constant(weights[f"{name}.{part}"][0]) for part in ("gamma", "beta"))
        return add("LayerNormalization", x, gamma, beta, epsilon=1e-5, axis=-1)

    def linear(x, name):
        x = add("MatMul", x, constant(weights[f"{name}.weight"].T, f"{name}.weight"))
        return add("Add", x, constant(weights[f"{name}.bias"][0]))

    def heads(x, order):
        x = add("Reshape", x, constant(np.array([-1, HEADS, DIM // HEADS], np.int64)))
        return add("Transpose", x, perm=order)

    items = constant(weights["items"], "items")
    x = add("Add", add("Gather", items, "history"), constant(weights["positions"]))
    last = constant(np.array([POSITIONS - 1], np.int64))
    for block in range(BLOCKS):
        h = norm(x, f"{block}.attention")
        key, value = (linear(h, f"block{block}.{kind}") for kind in ("key", "value"))
        mask = np.triu(np.full((POSITIONS, POSITIONS), -1e9, np.float32), 1)
        if block + 1 == BLOCKS:
            x, h, mask = add("Gather", x, last), add("Gather", h, last), mask[-1:]
        query = linear(h, f"block{block}.query")
        scores = add("MatMul", heads(query, [1, 0, 2]), heads(key, [1, 2, 0]))
        scores = add("Mul", scores, constant(np.float32((DIM / HEADS) ** -0.5)))
        scores = add("Softmax", add("Add", scores, constant(mask)), axis=-1)
        context = add("Transpose", add("MatMul", scores, heads(value, [1, 0, 2])), perm=[1, 0, 2])
        context = add("Reshape", context, constant(np.array([-1, DIM], np.int64)))
        x = add("Add", x, linear(context, f"block{block}.output"))
        h = linear(norm(x, f"{block}.feed_forward"), f"block{block}.expand")
        x = add("Add", x, linear(add("Gelu", h), f"block{block}.contract"))
    if BLOCKS == 0:
        x = add("Gather", x, last)
    h = add("Transpose", norm(x, "final"), perm=[1, 0])
    logits = add("MatMul", add("Gather", items, "candidates"), h)
    made = helper.make_graph(
        graph.nodes,
        "sasrec",
        [
            helper.make_tensor_value_info("history", TensorProto.INT64, [POSITIONS]),
            helper.make_tensor_value_info("candidates", TensorProto.INT64, [CANDIDATES]),
        ],
        [helper.make_tensor_value_info(logits, TensorProto.FLOAT, [CANDIDATES, 1])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


class Onnx:
    """A model in ONNX Runtime, inputs and output bound beforehand."""

    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.binding.bind_cpu_input("history", HISTORY)
        self.binding.bind_cpu_input("candidates", CHOSEN)
        self.binding.bind_output(self.session.get_outputs()[0].name, "cpu")

    def logits(self):
        self.session.run_with_iobinding(self.binding)
        return self.binding.copy_outputs_to_cpu()[0].reshape(-1)

    def nanoseconds(self, count):
        run, binding = self.session.run_with_iobinding, self.binding
        start = time.perf_counter_ns()
        for _ in range(count):
            run(binding)
        return time.perf_counter_ns() - start


def processor():
    lines = pathlib.Path("/proc/cpuinfo")
    models = [line for line in lines.read_text().splitlines() if line.startswith("model name")] if lines.exists() else []
    return models[0].split(": ")[1] if models else platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the program `ranking` of benches/cores")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--count", type=int, default=100, help="rankings in a turn")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        chord = subprocess.Popen(
            [arguments.binary, folder / "weights.safetensors"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

        def ask(line):
            print(line, file=chord.stdin, flush=True)
            return chord.stdout.readline()

        kernel = chord.stdout.readline().split()[1]
        logits = np.array(ask("logits").split(), np.float32)
        onnx.save(sasrec(read_safetensors(folder / "weights.safetensors")), folder / "fp32.onnx")
        quantize_dynamic(folder / "fp32.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8)
        peers = {name: Onnx(folder / f"{name}.onnx") for name in ("fp32", "int8")}
        own = ("in-place", "packed")
        times = {name: [] for name in (*own, *peers)}
        for round in range(arguments.rounds + 1):
            for name in times:
                if name in peers:
                    elapsed = peers[name].nanoseconds(arguments.count)
                else:
                    elapsed = int(ask(f"{name} {arguments.count}"))
                # The first round warms up.
                if round:
                    times[name].append(elapsed / arguments.count / 1e3)
        fp32 = peers["fp32"].logits()
        spread = fp32.std()
        errors = {name: np.abs(x - fp32).max() / spread for name, x in
                  (("chord", logits), ("int8", peers["int8"].logits()))}
        correlation = np.corrcoef(logits, fp32)[0, 1]
        chord.stdin.close()
        chord.wait()

    median = {name: statistics.median(values) for name, values in times.items()}

    def ratio(peer, name):
        return statistics.median(a / b for a, b in zip(times[peer], times[name]))

    print("# One SASRec ranking: chord-runtime and ONNX Runtime\n")
    print(
        f"Written by `benches/onnx/bench.sh` on {processor()}, one thread, batch 1; ONNX Runtime {ort.__version__}, "
        f"onnx {onnx.__version__}, numpy {np.__version__}, Python {platform.python_version()}; chord-runtime's kernel: "
        f"{kernel}. SASRec, d = 64, inner 64, 2 blocks, 2 heads, 50 items of history, 100 candidates; random weights at "
        f"3.0 bits, the same values in fp32 in ONNX. {arguments.rounds} rounds of {arguments.count} rankings, in turns; "
        "medians of microseconds and of the rounds' ratios.\n"
    )
    print("| engine | us | beside in place | beside packed |\n|---|--:|--:|--:|")
    for name in own:
        print(f"| chord-runtime, {name} | {median[name]:.1f} | | |")
    for name in peers:
        print(f"| ONNX Runtime {name} | {median[name]:.1f} | {ratio(name, 'in-place'):.2f} | {ratio(name, 'packed'):.2f} |")
    print(
        f"\nLargest distance from the fp32 logits, in their standard deviations: chord-runtime {errors['chord']:.3f}, "
        f"ONNX Runtime int8 {errors['int8']:.3f}; correlation of chord-runtime's with them {correlation:.5f}."
    )
    if correlation < 0.99:
        raise SystemExit("not the same model")


if __name__ == "__main__":
    main()
