#!/usr/bin/env python3
"""Training steps beside PyTorch's on this machine: both take turns, round after round, and the
medians over the rounds are compared. PyTorch runs at its better of one thread and ours.

    step_vs_torch.py BINARY [--models mlp,cnn,resnet20,gpt] [--rounds 5] [--seconds 2] [--threads N]
                     [--precision f32] [--prefix "nice -n -5"]
"""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys

BATCHES = {"mlp": 64, "cnn": 64, "resnet20": 128, "gpt": 8}
GOALS = {"mlp": 2.5, "cnn": 2.0, "resnet20": 2.5, "gpt": 2.5}
TORCH = pathlib.Path(__file__).with_name("torch_step.py")


def find_python():
    """A Python that has PyTorch: the one that runs us, or the system's."""
    for python in (sys.executable, "/usr/bin/python3", shutil.which("python3")):
        if not python or not os.path.exists(python):
            continue
        found = subprocess.run([python, "-c", "import torch"], capture_output=True)
        if found.returncode == 0:
            return python
    return None


def measure(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--models", default="mlp,cnn,resnet20,gpt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--prefix", default="", help="command under which each measurement runs")
    return parser.parse_args()


def main():
    args = parse()
    prefix = shlex.split(args.prefix)
    python = find_python()
    if python is None:
        print("PyTorch is not installed (Debian: python3-torch): nothing to compare with, skipped")
        return
    print(f"{'model':10} {'ours ms':>9} {'torch ms':>9} {'threads':>7} {'ratio':>6} {'goal':>5} "
          f"{'roofline':>8} {'GFLOP/s':>8} {'memory':>7}")
    for model in args.models.split(","):
        batch = str(BATCHES[model])
        ours, torch = [], {count: [] for count in sorted({1, args.threads})}
        for _ in range(args.rounds):
            ours.append(measure(prefix + [
                args.binary, "bench", "step", "--model", model, "--batch", batch, "--threads",
                str(args.threads), "--precision", args.precision, "--seconds", str(args.seconds),
            ]))
            for count, results in torch.items():
                results.append(measure(prefix + [
                    python, str(TORCH), model, batch, str(count), str(args.seconds)
                ]))
        mine = statistics.median(r["step_ms"] for r in ours)
        theirs, count = min(
            (statistics.median(r["step_ms"] for r in results), count)
            for count, results in torch.items()
        )
        roofline = statistics.median(r["roofline"] for r in ours)
        memory = max(r["peak_bytes"] / r["planned_bytes"] for r in ours)
        gflops = statistics.median(r["gflops"] for r in ours)
        print(f"{model:10} {mine:9.2f} {theirs:9.2f} {count:7} {theirs / mine:6.2f} "
              f"{GOALS[model]:5.1f} {100 * roofline:7.0f}% {gflops:8.0f} {memory:7.2f}", flush=True)


if __name__ == "__main__":
    main()
