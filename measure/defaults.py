#!/usr/bin/env python3
"""Writes docs/results/defaults.md: K peers with no mixing flag at all beside one peer with the K-fold batch.

    measure/defaults.py --data DIR                 all cells, three seeds; goes on where it was cut
    measure/defaults.py --data DIR --cells 'gpt K2,gpt batch x2' --seeds 1 --scale 0.02

DIR holds tinyshakespeare/input.txt.gz and cifar10/; Fashion-MNIST is the Debian package dataset-fashion-mnist. Cells
whose data are not there are left out, and the page says which. Each run is one line of build/learn.jsonl, as with
`scripts/dev learn`, and is not made again.
"""

import argparse
import fnmatch
import pathlib
import sys

from defaults_cells import cells
from learn import ROOT, run_cell
from learn_report import of_cell, read_results, write

TABLE = "defaults"


def missing(cell, options):
    """Returns the data that a cell lacks here, or nothing."""
    needed = cell["flags"]["dataset"]
    needed = needed.replace("{shakespeare}", options.shakespeare).replace("{cifar10}", options.cifar10)
    path = pathlib.Path(needed.split(":", 1)[1])
    return None if path.exists() else str(path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog=__doc__.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR", help="folder of data sets")
    parser.add_argument("--cells", default="*", help="cells by name, comma-separated, * and ? allowed")
    parser.add_argument("--seeds", default="1,2,3", help="seeds, comma-separated (1,2,3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps (1)")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/learn.jsonl", help="JSON lines")
    parser.add_argument("--binary", default=str(ROOT / "build/release/peer/starling"))
    parser.add_argument("--patience", type=float, default=4 * 3600, help="seconds that one run may take")
    options = parser.parse_args()
    options.shakespeare = str(options.data / "tinyshakespeare" / "input.txt.gz")
    options.cifar10 = str(options.data / "cifar10")
    patterns = options.cells.split(",")
    chosen = {
        name: cell for name, cell in cells().items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
    if not chosen:
        parser.error(f"--cells {options.cells}: no cell has such a name")
    for name, cell in list(chosen.items()):
        if lacking := missing(cell, options):
            print(f"{name}: left out, there is no {lacking}", flush=True)
            del chosen[name]
    for seed in map(int, options.seeds.split(",")):
        for name, cell in chosen.items():
            done = of_cell(read_results(options.results), TABLE, name, options.scale)
            if seed not in {run["seed"] for run in done}:
                run_cell(options, TABLE, name, cell, seed, options.results)
    write(TABLE, read_results(options.results), options.scale)
    return 0


if __name__ == "__main__":
    sys.exit(main())
