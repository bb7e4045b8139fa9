"""The table `defaults`: K peers with no mixing flag at all beside one peer with the K-fold batch, on loopback and behind
links of 50 Mbit/s, with and without `scale=auto` where the optimizer is AdamW."""

import json
import math
import pathlib
import subprocess
import tempfile

from learn_runs import FASHION, arguments_of, mean, train

PEERS = (2, 4, 8)
LINKS = "50Mbit"


def of_links(options, cell, seed):
    """A swarm whose peers have networks of their own behind links of a rate: `starling swarm --scenario`."""
    flags = arguments_of(cell, options)
    settings = dict(zip((key[2:] for key in flags[::2]), flags[1::2]))
    settings["wait-for"] = cell["peers"]
    text = [
        'name = "defaults"', f"seed = {seed}", 'calm = "1s"', 'start = "5m"', f'limit = "{options.patience:.0f}s"',
        "[swarm]", f"peers = {cell['peers']}", "threads = 1", 'profile = "local"', 'network = "spaces"',
        "[train]", *(f"{key} = {json.dumps(str(value))}" for key, value in settings.items()),
        "[links]", f'rate = "{cell["links"]}"', 'delay = "5ms"',
    ]
    with tempfile.TemporaryDirectory(prefix="starling-defaults-") as directory:
        file = pathlib.Path(directory) / "defaults.toml"
        file.write_text("\n".join(text) + "\n")
        done = subprocess.run(
            [options.binary, "swarm", "--scenario", file, "--report", directory, "--json"],
            capture_output=True, text=True, timeout=options.patience + 600, check=False,
        )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    summaries = [line for line in lines if line.get("event") == "summary"]
    if done.returncode != 0 or not summaries:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-500:]} {done.stdout[-500:]}")
    peers = summaries[-1]["peers"]
    return {
        "accuracy": mean(peer["accuracy"] for peer in peers),
        "loss": mean(peer["loss"] for peer in peers),
        "spread": max(peer["spread"] or 0.0 for peer in peers),
        "samples": sum(peer["samples"] for peer in peers),
        "bytes": summaries[-1]["bytes"], "seconds": summaries[-1]["seconds"],
    }


def tasks():
    """Models with their recipe for one peer: flags, steps, batch, whether AdamW."""
    cosine = "&schedule=cosine&total={steps}&warmup={warmup}&floor=0.1"
    return {
        "gpt": (
            {"dataset": "text:{shakespeare}", "model": "gpt?layers=2&heads=2&dim=64&context=64",
             "optimizer": "adamw?lr={rate}&beta2=0.99&weight_decay=0.1&decay=matrices&clip=1" + cosine}, 2000, 12, 0.001),
        "cnn": (
            {"dataset": FASHION, "model": "cnn", "optimizer": "sgd?lr={rate}&momentum=0.9" + cosine}, 2000, 32, 0.02),
        "resnet20": (
            {"dataset": "cifar:{cifar10}", "model": "resnet20", "augment": "flip,crop=4",
             "optimizer": "sgd?lr={rate}&momentum=0.9&weight_decay=0.0005" + cosine}, 2000, 32, 0.05),
    }


def cells():
    made = {}
    for name, (flags, steps, batch, rate) in tasks().items():
        adam = flags["optimizer"].startswith("adamw")

        def cell(peers, batch, run=train, rate=rate, more="", flags=flags, steps=steps, **other):
            optimizer = flags["optimizer"].replace("{rate}", str(round(rate, 6))) + more
            return {"run": run, "peers": peers, "steps": steps,
                    "flags": {**flags, "optimizer": optimizer, "batch": batch}, **other}

        for peers in PEERS:
            # What suits one peer with the large batch: its rate goes with the root of the batch under AdamW, and
            # with the batch under SGD, up to a point.
            larger = rate * (math.sqrt(peers) if adam else min(peers, 2))
            made[f"{name} batch x{peers}"] = cell(1, batch * peers)
            made[f"{name} batch x{peers}, rate of its own"] = cell(1, batch * peers, rate=larger)
            made[f"{name} K{peers}"] = cell(peers, batch)
            if adam:
                made[f"{name} K{peers}, scale=auto"] = cell(peers, batch, more="&scale=auto")
            made[f"{name} K{peers}, {LINKS}"] = cell(peers, batch, run=of_links, links=LINKS)
            if adam:
                made[f"{name} K{peers}, {LINKS}, scale=auto"] = cell(
                    peers, batch, run=of_links, more="&scale=auto", links=LINKS)
    return made
