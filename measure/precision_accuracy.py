#!/usr/bin/env python3
"""Trainings in f32 and in bf16 from the same seeds, and the accuracies that they reach.

    precision_accuracy.py BINARY [--dataset SPEC] [--model cnn] [--optimizer SPEC] [--seeds 3]
                          [--epochs 3] [--threads N] [--jobs N] [--prefix COMMAND]

One peer each, measured on the whole test set. Both precisions of a seed see the same batches. Exits
with 1 when the means over the seeds are more than 0.3 points apart."""

import argparse
import json
import math
import shlex
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

POINTS = 0.3


def accuracy(options, seed, precision):
    """The accuracy of one training, in points."""
    command = [
        *shlex.split(options.prefix), options.binary, "peer", "--json",
        "--dataset", options.dataset, "--model", options.model, "--optimizer", options.optimizer,
        "--until", f"epochs={options.epochs}", "--seed", str(seed), "--precision", precision,
        "--threads", str(options.threads),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return next(100.0 * event["accuracy"] for event in events if event["event"] == "final")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--dataset", default="idx:/usr/share/datasets/fashion-mnist")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--optimizer", default="sgd?lr=0.02&momentum=0.9")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--prefix", default="", help="put before each command")
    options = parser.parse_args()
    trainings = [(seed, p) for seed in range(1, options.seeds + 1) for p in ("f32", "bf16")]
    reached = {"f32": [], "bf16": []}
    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda training: accuracy(options, *training), trainings)
        for (seed, precision), found in zip(trainings, results):
            reached[precision].append(found)
            print(f"seed {seed}, {precision}: {found:.2f}", flush=True)
    gaps = [b - f for f, b in zip(reached["f32"], reached["bf16"])]
    gap = statistics.mean(gaps)
    spread = statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan
    print(
        f"mean of {len(gaps)} seeds: f32 {statistics.mean(reached['f32']):.2f}, "
        f"bf16 {statistics.mean(reached['bf16']):.2f}, bf16 - f32 {gap:+.2f} +- {spread:.2f} points"
    )
    sys.exit(0 if abs(gap) <= POINTS else 1)


if __name__ == "__main__":
    main()
