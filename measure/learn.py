#!/usr/bin/env python3
"""Learning tables: real swarms, cell by cell, repeatable and resumable.

A cell is one setting; each of its seeds is one run of real `starling peer` processes on loopback. A finished run is one
JSON line in the results file and is not run again, so the hours that a table takes may be cut anywhere. Nothing is
simulated and nothing is taken from elsewhere but the figures of others that a table names for comparison.

    scripts/dev learn --list                      tables, their cells, and what is done
    scripts/dev learn gpt --cells K1,K2 --seeds 1
    scripts/dev learn niid --scale 0.02           a fiftieth of the steps; kept apart from full runs
    scripts/dev learn gpt --write                 docs/results/gpt.md from the results file; runs nothing
"""

import argparse
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import time

from learn_report import of_cell, read_results, render, write
from learn_tables import TABLES

ROOT = pathlib.Path(__file__).resolve().parents[1]


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{os.cpu_count()} cores of {line.split(':', 1)[1].strip()}"
    return f"{os.cpu_count()} cores"


def commit_of(binary):
    """What the binary was built from, by its own word: `starling 0.1.0 (ef3676f)`."""
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\((.+)\)", done.stdout)
    return found.group(1) if found else done.stdout.split()[-1]


def run_cell(options, table, name, cell, seed, path):
    flags = cell["flags"]
    flags["dataset"] = flags["dataset"].replace("{shakespeare}", options.shakespeare)
    flags["dataset"] = flags["dataset"].replace("{cifar10}", getattr(options, "cifar10", "cifar10"))
    print(f"== {table}: {name}, seed {seed}", flush=True)
    begun = time.monotonic()
    result = cell["run"](options, cell, seed)
    line = {
        "table": table, "cell": name, "seed": seed, "scale": options.scale, "result": result,
        "commit": commit_of(options.binary), "machine": machine(), "wall_s": round(time.monotonic() - begun, 1),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(result), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/dev learn", description=__doc__.split("\n\n")[0])
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all of them without one")
    parser.add_argument("--cells", default="*", help="cells by name, comma-separated, * and ? allowed")
    parser.add_argument("--seeds", default="1,2,3", help="seeds, comma-separated (1,2,3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps and times (1)")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/learn.jsonl", help="JSON lines")
    parser.add_argument("--binary", default=str(ROOT / "build/release/peer/starling"))
    parser.add_argument("--shakespeare", default="input.txt", metavar="FILE", help="tinyshakespeare, plain or .gz")
    parser.add_argument("--patience", type=float, default=4 * 3600, help="seconds that one run may take")
    parser.add_argument("--list", action="store_true", help="say what there is and what is done")
    parser.add_argument("--write", action="store_true", help="write docs/results/TABLE.md and run nothing")
    options = parser.parse_intermixed_args()
    tables = options.tables or [name for name in TABLES if "command" not in TABLES[name]]
    unknown = [table for table in tables if table not in TABLES]
    if unknown:
        parser.error(f"there is no table '{unknown[0]}'; there are {', '.join(TABLES)}")
    wanted = options.cells.split(",")
    for table in tables:
        cells = TABLES[table]["cells"]()
        chosen = [name for name in cells if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)]
        if not options.write and not options.list:
            if table == "gpt" and not pathlib.Path(options.shakespeare).exists():
                parser.error(f"--shakespeare: no file {options.shakespeare}")
            for seed in map(int, options.seeds.split(",")):
                for name in chosen:
                    done = of_cell(read_results(options.results), table, name, options.scale)
                    if seed not in {run["seed"] for run in done}:
                        run_cell(options, table, name, cells[name], seed, options.results)
        results = read_results(options.results)
        if options.write:
            write(table, results, options.scale)
        else:
            print(render(table, results, options.scale), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
