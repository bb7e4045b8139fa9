#!/usr/bin/env python3
"""Runs the shipped scenarios in the simulator with many seeds and many peers. Prints a table in Markdown: how many
seeds of each were clean, the seconds of processor time that they took, and what was found first. Fails if anything was
found.

    python3 measure/simulate_all.py --binary build/release/peer/starling --run 100x20 --run 3x200

A run SEEDSxPEERS is repeated for each scenario, one process at a time; without --run, the two above. Seeds begin at
--first, so that what has findings can be repeated: starling simulate --scenario FILE --peers PEERS --seed SEED.
"""

import argparse
import json
import pathlib
import re
import resource
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scripts/scenarios"
USUAL = ["100x20", "3x200"]


def parse_run(text):
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or "0" in (found[1], found[2]):
        raise argparse.ArgumentTypeError(f"'{text}' is no run such as 100x20: seeds and peers")
    return int(found[1]), int(found[2])


def processor_time():
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def simulate(binary, file, seeds, peers, first):
    """Returns the seeds that were clean, the first finding of each that was not, and the seconds."""
    before = processor_time()
    done = subprocess.run(
        [
            binary, "simulate", "--scenario", file, "--peers", str(peers),
            "--seed", str(first), "--repeat", str(seeds), "--json",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )  # fmt: skip
    seconds = processor_time() - before
    verdicts = [event for line in done.stdout.splitlines() if "findings" in (event := json.loads(line))]
    if done.returncode not in (0, 1) or len(verdicts) != seeds:
        reason = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return 0, [f"not run: {reason}"], seconds
    found = [f"seed {v['seed']}: {v['findings'][0]['what']}" for v in verdicts if v["findings"]]
    return seeds - len(found), found, seconds


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=pathlib.Path, required=True, help="the starling to run")
    parser.add_argument("--run", type=parse_run, action="append", metavar="SEEDSxPEERS")
    parser.add_argument("--first", type=int, default=1, help="the first seed (%(default)s)")
    parser.add_argument("--scenario", action="append", help="only this one; may be given again")
    flags = parser.parse_args()
    binary = flags.binary.resolve()
    runs = flags.run or [parse_run(text) for text in USUAL]
    files = [SCENARIOS / f"{name}.toml" for name in flags.scenario or []] or sorted(SCENARIOS.glob("*.toml"))
    heads = [f"clean of {seeds} at {peers} peers | seconds" for seeds, peers in runs]
    print("| scenario |", " | ".join(heads), "|")
    print("|---" * (1 + 2 * len(runs)) + "|")
    sums = [[0, 0.0] for _ in runs]
    findings = []
    for file in files:
        cells = []
        for (seeds, peers), total in zip(runs, sums):
            clean, found, seconds = simulate(binary, file, seeds, peers, flags.first)
            cells += [str(clean), f"{seconds:.1f}"]
            total[0] += clean
            total[1] += seconds
            findings += [f"{file.stem} at {peers} peers, {what}" for what in found]
        print("|", " | ".join([file.stem, *cells]), "|", flush=True)
    totals = " | ".join(f"{clean} of {len(files) * seeds} | {seconds:.0f}" for (clean, seconds), (seeds, _) in zip(sums, runs))
    print(f"| all | {totals} |")
    for what in findings:
        print(f"\n{what}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
