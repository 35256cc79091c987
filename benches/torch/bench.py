"""Training steps of CHORD's trainer against PyTorch's: same model, batch and threads, in turns in one session.

Prints, for each case, median milliseconds of both and the median over rounds of (PyTorch / CHORD), with its quartiles:
1 is as fast as PyTorch, 2 twice as fast.
A round runs a few steps of one and then of the other, so that what else the machine does hits both. On a busy machine
PyTorch's threads wait for each other and lose more than ours; the `cpu` figures, processor time of all threads, do not
count waiting that sleeps (OMP_WAIT_POLICY=passive), and with `--threads 1` there is none.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

sys.path.append(str(Path(__file__).parents[2] / "interop"))
from caser import Caser
from chord import Chord
from sasrec import SasRec

WINDOW, CLIP, NEGATIVES = 50, 5.0, 1024
# Name: backbone, stage, items, loss.
CASES = {
    f"{backbone}-{stage}-{size}{ending}": (backbone, stage, items, loss)
    for backbone in ["sasrec", "caser"]
    for stage in ["fp32", "static", "personal"]
    for size, items, losses in [("1.7k", 1_700, ["softmax"]), ("35k", 35_000, ["softmax", "sampled-softmax"])]
    for loss, ending in [(loss, "" if loss == "softmax" else "-sampled") for loss in losses]
}


class Torch:
    """Training in this process."""

    def __init__(self, backbone, stage, items, loss, batch):
        torch.manual_seed(0)
        self.model = SasRec(items, window=WINDOW) if backbone == "sasrec" else Caser(items)
        self.table = self.model.items.weight
        if stage != "fp32":
            self.model = Chord(self.model, self.table.shape[1], stage == "personal")
        self.stage, self.items, self.loss, self.batch = stage, items, loss, batch
        learns = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(learns, 1e-3, fused=True)
        self.data = torch.randint(items, (4 * batch, WINDOW + 1))
        self.number = 0

    def step(self):
        start = self.number % 4 * self.batch
        sequences = self.data[start : start + self.batch]
        rows, targets = sequences[:, :-1], sequences[:, 1:]
        arguments, counts = [rows, torch.ones_like(rows, dtype=torch.bool)], torch.ones_like(rows, dtype=torch.bool)
        if self.stage == "personal":
            # As in the trainer: a split in the first half, profile before, targets from it on; a quarter left out.
            split = torch.randint(3, WINDOW // 2 + 2, (self.batch, 1))
            places = torch.arange(WINDOW)
            counts = places >= split - 1
            thinned = [s[:m][torch.rand(m) >= 0.25] for s, m in zip(sequences, split.flatten().tolist())]
            # Padding after and not before the items: the same work for the GRU.
            profiles = nn.utils.rnn.pad_sequence(thinned, batch_first=True)
            lengths = torch.tensor([len(s) for s in thinned])[:, None]
            arguments += [profiles, torch.arange(profiles.shape[1]) < lengths]
        hidden, targets = self.model(*arguments)[counts], targets[counts]
        loss = functional.cross_entropy(*self.logits(hidden, targets))
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.optimiser.param_groups[0]["params"], CLIP)
        self.optimiser.step()
        self.number += 1
        return loss.item()

    def logits(self, hidden, targets):
        if self.loss == "softmax":
            return hidden @ self.table.T, targets
        negatives = torch.randperm(self.items)[:NEGATIVES]
        logits = hidden @ functional.embedding(negatives, self.table).T
        logits = logits + torch.tensor(self.items / NEGATIVES).log()
        logits = logits.masked_fill(targets[:, None] == negatives, -1e9)
        own = (hidden * functional.embedding(targets, self.table)).sum(1, keepdim=True)
        return torch.cat([own, logits], dim=1), torch.zeros_like(targets)

    def run(self, steps):
        self.model.train()
        times = []
        for _ in range(steps):
            began = time.perf_counter()
            loss = self.step()
            times.append((time.perf_counter() - began) * 1e3)
        trained = sum(p.numel() for p in self.model.parameters() if p.grad is not None)
        return {"ms": times, "loss": loss, "trained": trained}

    def cpu(self):
        return time.process_time()


class Trainer:
    """Training by CHORD, in a process that waits for its turn."""

    def __init__(self, binary, backbone, stage, items, loss, batch, threads):
        window = WINDOW if backbone == "sasrec" else 5
        sets = {
            "model.backbone": backbone, "model.window": window, "train.stretch": WINDOW, "train.batch": batch,
            "train.shards": threads, "train.loss.kind": loss, "train.loss.negatives": NEGATIVES, "train.clip": CLIP,
        }  # fmt: skip
        command = [binary, "steps", "--items", str(items), "--stage", stage]
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def cpu(self):
        # The clock of another process, as clock_getcpuclockid(3) makes it on Linux.
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(case, options):
    """The table row of a case."""
    trainer = Trainer(options.binary, *CASES[case], options.batch, options.threads)
    sides = {"chord": trainer, "torch": Torch(*CASES[case], options.batch)}
    first = {name: side.run(options.warm) for name, side in sides.items()}
    assert first["chord"]["trained"] == first["torch"]["trained"], f"{case}: not the same model: {first}"
    figures = {name: {"wall": [], "cpu": []} for name in sides}
    for number in range(options.rounds):
        for name in sorted(sides, reverse=number % 2 == 1):
            began = sides[name].cpu()
            figures[name]["wall"].append(statistics.median(sides[name].run(options.steps)["ms"]))
            figures[name]["cpu"].append((sides[name].cpu() - began) * 1e3 / options.steps)
            time.sleep(0.05)  # PyTorch's threads spin for a moment after their work.
    trainer.close()
    row = {"case": case}
    for kind in ["wall", "cpu"]:
        chord, torch_ = (figures[name][kind] for name in ["chord", "torch"])
        low, middle, high = statistics.quantiles([t / c for c, t in zip(chord, torch_)], n=4)
        row[kind] = {
            "chord_ms": round(statistics.median(chord), 1),
            "torch_ms": round(statistics.median(torch_), 1),
            "ratio": round(middle, 2),
            "quartiles": [round(low, 2), round(high, 2)],
        }
    return row | {"first_losses": [round(first[name]["loss"], 2) for name in sides]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the example bench of the trainer")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=21, help="at least 2")
    parser.add_argument("--steps", type=int, default=5, help="of each side in a round")
    parser.add_argument("--warm", type=int, default=5, help="steps that are not timed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps({"torch": torch.__version__, **vars(options)}), flush=True)
    for case in options.cases:
        print(json.dumps(compare(case, options)), flush=True)


if __name__ == "__main__":
    main()
