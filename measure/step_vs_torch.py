#!/usr/bin/env python3
"""Training steps beside PyTorch's on this machine: both take turns, round after round, and the
medians over the rounds are compared; ours in each of the precisions. PyTorch runs at its better of
one thread and ours, and where OPENBLAS_* is set, which binds its products to a processor that may
not be this one, also without.

The column `rounds` is the least and the greatest ratio of a single round. The column `memory` is
what the peak leaves for the plan, (peak resident - 64 MiB) / (arenas + activations + packed
weights): the goal is at most 1.15.

    step_vs_torch.py BINARY [--models mlp,cnn,resnet20,gpt] [--rounds 5] [--seconds 2] [--threads N]
                     [--precision f32,bf16] [--prefix "nice -n -5"]
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
GOALS = {
    "f32": {"mlp": 2.5, "cnn": 2.0, "resnet20": 2.5, "gpt": 2.5},
    "bf16": {"cnn": 4.0, "resnet20": 4.0, "gpt": 5.0},
}
SLACK = 64 << 20  # bytes of program and libraries
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


def measure(command, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def median(results, key):
    return statistics.median(result[key] for result in results)


def torch_settings(threads):
    """Pairs of a thread count and an environment to try."""
    environments = [dict(os.environ)]
    bare = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    if bare != environments[0]:
        environments.append(bare)
    return [(count, env) for count in sorted({1, threads}) for env in environments]


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--models", default="mlp,cnn,resnet20,gpt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", default="f32", help="or several, with commas")
    parser.add_argument("--prefix", default="", help="command under which each measurement runs")
    return parser.parse_args()


def measure_rounds(args, model, python):
    """One list of results for each of our precisions, and one for each of PyTorch's settings."""
    prefix = shlex.split(args.prefix)
    batch = str(BATCHES[model])
    settings = torch_settings(args.threads)
    ours = {precision: [] for precision in args.precision.split(",")}
    torch = [[] for _ in settings]
    for _ in range(args.rounds):
        for precision, results in ours.items():
            results.append(measure(prefix + [
                args.binary, "bench", "step", "--model", model, "--batch", batch, "--threads",
                str(args.threads), "--precision", precision, "--seconds", str(args.seconds),
            ]))
        for (count, environment), results in zip(settings, torch):
            results.append(measure(prefix + [
                python, str(TORCH), model, batch, str(count), str(args.seconds)
            ], environment))
    return ours, list(zip(settings, torch))


def main():
    args = parse()
    python = find_python()
    if python is None:
        print("PyTorch is not installed (Debian: python3-torch): nothing to compare with, skipped")
        return
    print(f"{'model':10} {'precision':9} {'ours ms':>9} {'torch ms':>9} {'threads':>7} "
          f"{'ratio':>6} {'rounds':>11} {'goal':>5} {'roofline':>8} {'GFLOP/s':>8} {'memory':>7}")
    for model in args.models.split(","):
        ours, torch = measure_rounds(args, model, python)
        (count, _), best = min(torch, key=lambda pair: median(pair[1], "step_ms"))
        theirs = median(best, "step_ms")
        for results in ours.values():
            mine = median(results, "step_ms")
            ratios = [t["step_ms"] / r["step_ms"] for t, r in zip(best, results)]
            memory = max((r["peak_bytes"] - SLACK) / r["planned_bytes"] for r in results)
            precision = results[0]["precision"]
            goal = GOALS[precision].get(model)
            print(f"{model:10} {precision:9} {mine:9.2f} {theirs:9.2f} {count:7} "
                  f"{theirs / mine:6.2f} {min(ratios):5.2f}-{max(ratios):5.2f} {goal or '-':>5} "
                  f"{100 * median(results, 'roofline'):7.0f}% {median(results, 'gflops'):8.0f} "
                  f"{max(memory, 0):7.2f}", flush=True)


if __name__ == "__main__":
    main()
