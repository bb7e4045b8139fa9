#!/usr/bin/env python3
"""What the shipped scenarios come to, with real peers and in the simulator: findings, the time until all list all again,
and the longest times without an exchange and without a step. Prints a table in Markdown.

    python3 measure/faults.py --binary build/release/peer/starling

Takes as long as the scenarios together, about nine minutes. Leave the machine alone meanwhile. Scenarios that this
machine cannot carry out say why.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scripts/scenarios"
MEASURES = ("whole_within", "no_exchange_for", "training_gap")
SECONDS_MAX = 600


def run(binary, command, file, *flags):
    """Returns the verdict of one run, or why there is none."""
    done = subprocess.run(
        [binary, command, "--scenario", file, "--json", *flags],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        cwd=ROOT,
        check=False,
    )
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if "measures" in event and "findings" in event:
            return event
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1]


def cells(verdict):
    """Findings, then the three times."""
    if isinstance(verdict, str):
        return ["-"] * 4
    return [
        str(len(verdict["findings"])),
        *(f"{verdict['measures'][name]:.1f}" for name in MEASURES),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, required=True, help="the starling to run")
    parser.add_argument("--seeds", type=int, default=20, help="of the simulator, for each scenario")
    flags = parser.parse_args()
    binary = flags.binary.resolve()
    print("| scenario | faults | findings | whole | exchange | step | simulated: findings | whole | exchange | step |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    reasons = []
    clean = True
    for file in sorted(SCENARIOS.glob("*.toml")):
        real = run(binary, "swarm", file)
        simulated = [run(binary, "simulate", file, "--seed", str(seed + 1)) for seed in range(flags.seeds)]
        for verdict in (real, simulated[0]):
            if isinstance(verdict, str):
                reasons.append(f"{file.stem}: {verdict}")
        judged = [verdict for verdict in simulated if not isinstance(verdict, str)]
        worst = {"findings": sum((v["findings"] for v in judged), [])} if judged else "-"
        if judged:
            worst["measures"] = {name: max(v["measures"][name] for v in judged) for name in MEASURES}
        faults = "-" if isinstance(real, str) else str(real["faults_carried_out"])
        print("|", " | ".join([file.stem, faults, *cells(real), *cells(worst)]), "|", flush=True)
        for verdict in [real, *simulated]:
            clean = clean and (isinstance(verdict, str) or not verdict["findings"])
    for reason in reasons:
        print(f"\n{reason}")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
