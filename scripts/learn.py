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
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
FASHION = "idx:/usr/share/datasets/fashion-mnist"


# ---------------------------------------------------------------------------------------------------- processes


class Peer:
    """One `starling peer` process and what it says."""

    def __init__(self, binary, arguments):
        self.events = {}  # the last one of each kind
        self.exchanged_at = time.monotonic()
        self.verified_at = None  # the whole test set says that the target is met
        self.gap = 0.0
        self.exchanges = 0
        self.errors = []
        self.process = subprocess.Popen(
            [binary, "peer", "--json", "--threads", "1", *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._complain)]
        for thread in self.threads:
            thread.start()

    def _listen(self):
        for line in self.process.stdout:
            event = json.loads(line)
            self.events[event["event"]] = event
            if event.get("state") == "lingering" and self.verified_at is None:
                self.verified_at = time.monotonic()
            if event.get("exchanges", self.exchanges) > self.exchanges:
                self.exchanges = event["exchanges"]
                self.exchanged_at = time.monotonic()

    def _complain(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip())

    def wait_for(self, kind, seconds):
        deadline = time.monotonic() + seconds
        while kind not in self.events:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no '{kind}' from a peer: {' | '.join(self.errors[-3:])}")
            time.sleep(0.05)
        return self.events[kind]

    @property
    def address(self):
        return self.events["listening"]["listen"]

    @property
    def progress(self):
        return self.events.get("progress", {})

    def running(self):
        return self.process.poll() is None

    def send(self, number):
        if self.running():
            self.process.send_signal(number)

    def end(self):
        self.send(signal.SIGKILL)
        self.process.wait()
        for thread in self.threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()


class Swarm:
    """Founds a swarm of peers that begin together; ends whatever is left of it."""

    def __init__(self, binary, peers, founder, seed, state=None):
        self.binary, self.seed, self.state, self.founder, self.peers = binary, seed, state, founder, []
        self.directories = {}
        self.begun = time.monotonic()
        try:
            self.start(["--wait-for", peers, *founder])
            for _ in range(peers - 1):
                self.join()
        except BaseException:
            self.end()
            raise

    def start(self, arguments):
        number = len(self.peers) + 1
        arguments = ["--seed", self.seed * 1000 + number, "--profile", "local", *arguments]
        if self.state:
            directory = pathlib.Path(self.state) / f"peer-{number}"
            arguments += ["--state", directory]
        peer = Peer(self.binary, arguments)
        self.peers.append(peer)
        if self.state:
            self.directories[peer] = directory
        peer.wait_for("listening", 120)
        return peer

    def join(self):
        via = [peer for peer in self.peers if peer.running()]
        key = ["--key", self.directories[self.peers[0]] / "swarm.key"] if self.state else []
        dataset = self.founder[self.founder.index("--dataset") + 1]
        return self.start(["--join", ",".join(peer.address for peer in via[:3]), "--dataset", dataset, *key])

    def wait(self, seconds):
        """Waits for all finals; a peer that fails fails the run."""
        deadline = time.monotonic() + seconds
        while any(peer.running() for peer in self.peers):
            for peer in self.peers:
                if peer.process.poll() not in (None, 0):
                    raise RuntimeError(f"a peer ended with {peer.process.returncode}: {' | '.join(peer.errors[-3:])}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not done after {seconds:.0f} s")
            time.sleep(0.1)
        return [peer.events["final"] for peer in self.peers]

    def verified_after(self):
        """Seconds until the first peer had measured the target on the whole test set."""
        return round(min(peer.verified_at for peer in self.peers if peer.verified_at) - self.begun, 1)

    def end(self):
        for peer in self.peers:
            peer.send(signal.SIGCONT)
            peer.end()


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def summary(finals):
    """One line for a run: means over its peers, which hold one model but for the settled distance."""
    return {
        "accuracy": mean(final["accuracy"] for final in finals),
        "loss": mean(final["loss"] for final in finals),
        "spread": max(final["spread"] or 0.0 for final in finals),
        "steps": mean(final["steps"] for final in finals),
        "samples": sum(final["samples"] for final in finals),
        "exchanges": sum(final["exchanges"] for final in finals),
        "bytes": sum(final["bytes"] for final in finals),
        "seconds": max(final["seconds"] for final in finals),
    }


# ---------------------------------------------------------------------------------------------------- kinds of runs


def train(options, cell, seed):
    """A swarm to its end."""
    peers = cell.get("peers", 1)
    swarm = Swarm(options.binary, peers, arguments_of(cell, options), seed)
    try:
        return {**summary(swarm.wait(options.patience)), "verified_s": swarm.verified_after()}
    finally:
        swarm.end()


def straggle(options, cell, seed):
    """Like train, with the last peer stopped for nine tenths of the time, in slices too short for anybody to call it
    dead. Its share of the processor goes to the others unless there is a core for each."""
    peers = cell["peers"]
    swarm = Swarm(options.binary, peers, arguments_of(cell, options), seed)
    done = threading.Event()

    def slow():
        while not done.wait(0.01):
            swarm.peers[-1].send(signal.SIGSTOP)
            done.wait(0.09)
            swarm.peers[-1].send(signal.SIGCONT)

    thread = threading.Thread(target=slow)
    try:
        for peer in swarm.peers:
            wait_for(lambda peer=peer: peer.progress.get("steps", 0) > 0, 300)
        thread.start()
        return {**summary(swarm.wait(options.patience)), "verified_s": swarm.verified_after()}
    finally:
        done.set()
        if thread.ident:
            thread.join()
        swarm.end()


def live_for(options, cell, seed):
    """A swarm that runs for a time, while a random peer is killed or one is started every five seconds; then every
    survivor leaves and its checkpoint is evaluated on the whole test set."""
    duration = cell["duration"] * options.scale
    generator = __import__("random").Random(seed)
    with tempfile.TemporaryDirectory(prefix="starling-learn-") as state:
        swarm = Swarm(options.binary, cell["peers"], arguments_of(cell, options), seed, state)
        try:
            for peer in swarm.peers:
                wait_for(lambda peer=peer: peer.progress.get("steps", 0) > 0, 300)
            gap, kills, begun = 0.0, 0, time.monotonic()
            next_strike = begun + 5
            while time.monotonic() - begun < duration:
                time.sleep(0.2)
                now = time.monotonic()
                alive = [peer for peer in swarm.peers if peer.running()]
                gap = max(gap, now - max(peer.exchanged_at for peer in alive))
                if not cell.get("churn") or now < next_strike:
                    continue
                next_strike += 5
                if len(alive) >= cell["peers"] or (len(alive) > cell["peers"] // 2 and generator.random() < 0.5):
                    generator.choice(alive).send(signal.SIGKILL)
                    kills += 1
                else:
                    swarm.join()
            alive = [peer for peer in swarm.peers if peer.running()]
            for peer in alive:
                peer.send(signal.SIGTERM)
            for peer in alive:
                peer.process.wait(60)
            judged = [evaluate(options, swarm.directories[peer]) for peer in alive if peer.progress.get("steps", 0)]
            return {
                "accuracy": mean(result["accuracy"] for result in judged),
                "loss": mean(result["loss"] for result in judged),
                "peers_at_the_end": len(alive), "kills": kills, "longest_gap_s": round(gap, 2),
                "samples": sum(peer.progress.get("samples", 0) for peer in swarm.peers), "seconds": duration,
            }
        finally:
            swarm.end()


def evaluate(options, state):
    line = subprocess.run(
        [options.binary, "eval", "--state", str(state), "--dataset", FASHION, "--threads", "1"],
        capture_output=True, text=True, check=True,
    ).stdout
    return json.loads(line)


def wait_for(predicate, seconds):
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise RuntimeError(f"peers did not begin within {seconds} s")
        time.sleep(0.05)


# ---------------------------------------------------------------------------------------------------- tables


def arguments_of(cell, options):
    """The founder's flags. `steps` shrink with --scale, and with them whatever a schedule counts."""
    flags = []
    steps = cell.get("steps")
    for key, value in cell["flags"].items():
        if steps:
            value = str(value).replace("{steps}", str(scaled(steps, options)))
            value = value.replace("{warmup}", str(max(1, scaled(steps, options) // 20)))
        flags += ["--" + key, value]
    if steps:
        flags += ["--until", f"steps={scaled(steps, options)}"]
    return flags


def scaled(steps, options):
    return max(20, round(steps * options.scale))


def gpt_cells():
    """R7: nanoGPT's recipe for a CPU. A peer of K has batch 12; one peer with batch 12 K is what a perfect all-reduce
    would give. AdamW divides each peer's gradient by the size of its own noise, which is sqrt(K) times that of the
    batch of all, so K peers step as far as one with their common batch at sqrt(K) times its rate (Malladi et al., "On
    the SDEs and Scaling Rules for Adaptive Gradient Algorithms", 2022, the square root rule)."""

    def cell(peers, batch, steps=2000, rate=None):
        rate = rate or round(0.001 * math.sqrt(peers), 6)
        return {
            "run": train, "peers": peers, "steps": steps,
            "flags": {
                "dataset": "text:{shakespeare}", "model": "gpt?layers=4&heads=4&dim=128&context=64&bias=0",
                "optimizer": f"adamw?lr={rate}&beta2=0.99&weight_decay=0.1&decay=matrices&clip=1&schedule=cosine"
                             "&total={steps}&warmup={warmup}&floor=0.1",
                "batch": batch, "mix-every": 1, "partition": f"iid?owners={peers}",
            },
        }

    cells = {"K1": cell(1, 12), "K2": cell(2, 12), "K4": cell(4, 12), "K8": cell(8, 12)}
    cells["K4 1200"] = cell(4, 12, 1200)
    cells.update({"batch 24": cell(1, 24), "batch 48": cell(1, 48), "batch 96": cell(1, 96)})
    # What the rate does by itself.
    cells.update({"K4 lr 0.001": cell(4, 12, rate=0.001), "batch 48 lr 0.002": cell(1, 48, rate=0.002)})
    return cells


def niid_cells():
    """R3: Flower's niid_bench, 10 peers, 50 rounds of 10 local epochs of 6,000 images, batch 64."""
    kinds = {"iid": "iid", "Dirichlet 0.5": "dirichlet?alpha=0.5", "2 labels": "labels?per-peer=2"}
    return {
        name: {
            "run": train, "peers": 10, "steps": 46875,
            "flags": {
                "dataset": FASHION, "model": "cnn?channels=6,16&hidden=120,84&pad=0",
                "optimizer": "sgd?lr=0.01&momentum=0.9", "batch": 64, "mix-every": 8,
                "partition": with_option(kind, "owners=10"),
            },
        }
        for name, kind in kinds.items()
    }


def with_option(spec, option):
    return spec + ("&" if "?" in spec else "?") + option


def rule_cells():
    """Equal samples a peer by every rule and encoding."""
    cells = {}
    for rule, spec in {"pairwise": "pairwise", "push-sum": "push-sum", "noloco": "noloco?h=50"}.items():
        for encoding in ("f32", "bf16", "lattice8", "lattice4"):
            if rule == "push-sum" and encoding.startswith("lattice"):
                continue
            cells[f"{rule} {encoding}"] = {
                "run": train, "peers": 8, "steps": 1000,
                "flags": {
                    "dataset": FASHION, "model": "cnn", "optimizer": "sgd?lr=0.05&momentum=0.9", "batch": 64,
                    "mix": spec, "mix-every": 8, "encoding": encoding, "partition": "iid?owners=8",
                },
            }
    return cells


def to_accuracy(run):
    return {
        "run": run, "peers": 8,
        "flags": {
            "dataset": FASHION, "model": "cnn", "optimizer": "sgd?lr=0.05&momentum=0.9", "batch": 64, "mix-every": 8,
            "until": "accuracy=0.88",
        },
    }


def churn_cell(churn):
    return {
        "run": live_for, "peers": 8, "duration": 600, "churn": churn,
        "flags": {
            "dataset": FASHION, "model": "cnn", "optimizer": "sgd?lr=0.02&momentum=0.9", "batch": 64, "mix-every": 8,
        },
    }


TABLES = {
    "gpt": {
        "title": "nanoGPT's CPU recipe on tinyshakespeare",
        "cells": gpt_cells,
        "columns": ["loss", "accuracy", "spread", "steps", "exchanges", "bytes"],
        "notes": "Validation loss is the mean over all characters of the validation part, in consecutive windows; the last "
                 "51 of 111,540 fill none. PyTorch with this recipe and evaluator: 1.909 with batch 12, 1.650 with batch 48. To reach: one "
                 "peer within 0.01 of PyTorch; K peers within 0.03 of one peer with batch 12 K; 4 peers in 1,200 "
                 "steps no worse than one in 2,000. K peers average after every step; their learning rate is sqrt(K) "
                 "times the recipe's unless the row says otherwise, that of a single peer is the recipe's.",
    },
    "niid": {
        "title": "Flower's niid_bench on Fashion-MNIST, without a server",
        "cells": niid_cells,
        "columns": ["accuracy", "loss", "spread", "samples", "exchanges", "bytes"],
        "notes": "Ten peers. FedAvg in Flower's bench, accuracy: iid 0.8923 (0.0045), Dirichlet 0.5 0.8809, 2 labels "
                 "0.7810. To reach: no worse beyond two standard errors.",
    },
    "rules": {
        "title": "Rules and encodings at equal samples a peer",
        "cells": rule_cells,
        "columns": ["accuracy", "loss", "spread", "steps", "bytes"],
        "notes": "To reach: lattice8 and lattice4 no worse than f32 beyond two standard errors.",
    },
    "straggler": {
        "title": "One of eight peers ten times slower",
        "cells": lambda: {"even": to_accuracy(train), "one slow": to_accuracy(straggle)},
        "columns": ["verified_s", "seconds", "accuracy", "samples", "steps"],
        "notes": "Seconds until the first peer has measured a test accuracy of 0.88 on the whole test set, and until all "
                 "have left, for which the slow one must have measured it too. To reach: the first at most 1.15 times as "
                 "long with the slow peer. On fewer cores than peers the others share what the slow one leaves, which "
                 "favours this table.",
    },
    "churn": {
        "title": "A random peer killed or started every five seconds",
        "cells": lambda: {"quiet": churn_cell(False), "churn": churn_cell(True)},
        "columns": ["accuracy", "loss", "longest_gap_s", "kills", "peers_at_the_end", "samples"],
        "notes": "Ten minutes; the mean over the checkpoints of those that are there at the end. To reach: within "
                 "0.005 of the quiet run, no gap above 10 s without an exchange.",
    },
}


# ---------------------------------------------------------------------------------------------------- results


def read_results(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def of_cell(results, table, cell, scale):
    return [r for r in results if (r["table"], r["cell"], r["scale"]) == (table, cell, scale)]


def render(table, results, scale):
    columns = TABLES[table]["columns"]
    lines = [f"| {table} | runs | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for cell in TABLES[table]["cells"]():
        runs = of_cell(results, table, cell, scale)
        if not runs:
            lines.append(f"| {cell} | 0 |" + " |" * len(columns))
            continue
        lines.append(f"| {cell} | {len(runs)} | " + " | ".join(figure(runs, column) for column in columns) + " |")
    return "\n".join(lines)


def figure(runs, column):
    # A row of an earlier release may lack what later ones measure.
    values = [run["result"][column] for run in runs if column in run["result"]]
    if not values:
        return ""
    middle = mean(values)
    counted = column in ("steps", "samples", "exchanges", "bytes", "kills", "peers_at_the_end")
    digits = 0 if counted else 1 if column in ("seconds", "verified_s") else 4
    text = f"{middle:,.{digits}f}"
    if column == "spread":
        text = f"{middle:.1e}"
    if len(values) > 1 and column in ("loss", "accuracy", "seconds", "verified_s"):
        variance = sum((value - middle) ** 2 for value in values) / (len(values) - 1)
        text += f" ± {math.sqrt(variance / len(values)):.{digits}f}"
    return text


def write(table, results, scale):
    runs = [r for r in results if r["table"] == table and r["scale"] == scale]
    about = TABLES[table]
    commits = sorted({run["commit"] for run in runs})
    machines = sorted({run["machine"] for run in runs})
    text = f"# {about['title']}\n\n{about['notes']}\n\n"
    if scale != 1:
        text += f"**Shortened**: {scale} of the steps.\n\n"
    text += render(table, results, scale)
    text += "\n\nMeans over runs with different seeds, ± standard error where there are several; an empty row has not been "
    text += "run. Exchanges, bytes and samples are those of all peers together.\n\n"
    scale_flag = f" --scale {scale}" if scale != 1 else ""
    text += f"Command: `scripts/dev learn {table}{scale_flag}`. Commits: {', '.join(commits) or 'none'}. "
    text += f"Machine: {'; '.join(machines) or 'none'}; times are of a machine that also did other work.\n"
    path = ROOT / "docs/results" / f"{table}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    print(f"wrote {path.relative_to(ROOT)}")


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
    tables = options.tables or list(TABLES)
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
