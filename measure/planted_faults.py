#!/usr/bin/env python3
"""Which shipped scenarios find which planted faults (base/planted_fault.hpp), in the simulator. Prints a table in
Markdown: a fault a row, with the scenarios that have findings and the first of them. Fails if a fault is found by none,
or if a scenario has findings without one.

    python3 measure/planted_faults.py --binary build/dev/peer/starling

The binary must be built with STARLING_PLANTED_FAULTS, as the preset `dev` does. Takes some ten minutes.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scripts/scenarios"
NONE = "none"


def faults():
    """The names, as the program knows them."""
    text = (ROOT / "base/planted_fault.cpp").read_text()
    listed = re.search(r"kNames = \{(.*?)\};", text, re.DOTALL).group(1)
    return re.findall(r'"([a-z-]+)"', listed)


def findings(binary, fault, file, seed):
    """The findings of one run, or None where the simulator cannot carry the scenario out."""
    environment = dict(os.environ)
    if fault != NONE:
        environment["STARLING_PLANTED_FAULT"] = fault
    done = subprocess.run(
        [binary, "simulate", "--scenario", file, "--seed", str(seed), "--json"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode == 2:
        return None
    return [finding["what"] for finding in json.loads(done.stdout)["findings"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, required=True, help="the starling to run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", help="only this one; may be given again")
    flags = parser.parse_args()
    binary = flags.binary.resolve()
    print("| planted fault | found by | the first finding |")
    print("|---|---|---|")
    sound = True
    for fault in flags.fault or [NONE, *faults()]:
        by, first = [], ""
        for file in sorted(SCENARIOS.glob("*.toml")):
            found = findings(binary, fault, file, flags.seed)
            if found:
                by.append(file.stem)
                first = first or found[0]
        print(f"| {fault} | {', '.join(by) or '-'} | {first or '-'} |", flush=True)
        sound = sound and bool(by) == (fault != NONE)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
