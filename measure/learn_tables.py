"""The learning tables: their cells, how each is run, and the columns that are shown."""

import math

from defaults_cells import cells as defaults_cells
from learn_runs import FASHION, live_for, straggle, train


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
    "defaults": {
        "title": "K peers without a mixing flag beside one big batch",
        "cells": defaults_cells,
        "columns": ["loss", "accuracy", "spread", "samples", "bytes", "seconds"],
        "command": "measure/defaults.py --data DIR",
    },
    "gpt": {
        "title": "nanoGPT's CPU recipe on tinyshakespeare",
        "cells": gpt_cells,
        "columns": ["loss", "accuracy", "spread", "steps", "exchanges", "bytes"],
    },
    "niid": {
        "title": "Flower's niid_bench on Fashion-MNIST, without a server",
        "cells": niid_cells,
        "columns": ["accuracy", "loss", "spread", "samples", "exchanges", "bytes"],
    },
    "rules": {
        "title": "Rules and encodings at equal samples a peer",
        "cells": rule_cells,
        "columns": ["accuracy", "loss", "spread", "steps", "bytes"],
    },
    "straggler": {
        "title": "One of eight peers ten times slower",
        "cells": lambda: {"even": to_accuracy(train), "one slow": to_accuracy(straggle)},
        "columns": ["verified_s", "seconds", "accuracy", "samples", "steps"],
    },
    "churn": {
        "title": "A random peer killed or started every five seconds",
        "cells": lambda: {"quiet": churn_cell(False), "churn": churn_cell(True)},
        "columns": ["accuracy", "loss", "longest_gap_s", "kills", "peers_at_the_end", "samples"],
    },
}
