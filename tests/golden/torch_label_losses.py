#!/usr/bin/env python3
"""Computes the losses of each kind of labels and their gradients in PyTorch, and writes them beside
this file.

    /usr/bin/python3 tests/golden/torch_label_losses.py

The inputs are in the file, too, so that the test that reads it needs no generator of PyTorch's.
Needs Debian's python3-torch.
"""

import json
import pathlib

import torch
from torch.nn import functional as F


def case(name, scores, targets, loss, **settings):
    scores = scores.clone().requires_grad_()
    value = loss(scores)
    value.backward()
    return {
        "name": name,
        "rows": scores.shape[0],
        "classes": scores.shape[1],
        "scores": scores.flatten().tolist(),
        "targets": targets.flatten().tolist(),
        "loss": value.item(),
        "gradient": scores.grad.flatten().tolist(),
        **settings,
    }


def main():
    torch.manual_seed(1)
    scores = 3.0 * torch.randn(6, 4)
    scores[0, 0] = 0.0
    extreme = scores.clone()
    extreme[1] = torch.tensor([90.0, -90.0, 30.0, -30.0])
    held = (torch.rand(6, 4) < 0.4).float()
    soft = torch.rand(6, 4)
    numbers = torch.randn(6, 4)
    labels = torch.randint(0, 4, (6,))
    weights = torch.tensor([0.5, 1.0, 2.0, 8.0])
    bce = F.binary_cross_entropy_with_logits
    cases = [
        case("Class", scores, labels, lambda x: F.cross_entropy(x, labels)),
        case("Class", scores, labels, lambda x: F.cross_entropy(x, labels, weight=weights),
             weights=weights.tolist()),
        case("Classes", extreme, held, lambda x: bce(x, held)),
        case("Classes", extreme, soft, lambda x: bce(x, soft)),
        case("Classes", extreme, held, lambda x: bce(x, held, pos_weight=weights),
             weights=weights.tolist()),
        case("Classes", extreme, soft, lambda x: bce(x, soft, pos_weight=weights),
             weights=weights.tolist()),
        case("Numbers", scores, numbers, lambda x: F.mse_loss(x, numbers)),
        case("Numbers", scores, numbers, lambda x: F.smooth_l1_loss(x, numbers, beta=1.0),
             beta=1.0),
        case("Numbers", scores, numbers, lambda x: F.smooth_l1_loss(x, numbers, beta=2.5),
             beta=2.5),
    ]
    target = pathlib.Path(__file__).with_name("torch_label_losses.json")
    lines = ",\n".join(json.dumps(entry) for entry in cases)
    target.write_text('{"torch": "%s", "cases": [\n%s\n]}\n' % (torch.__version__, lines))
    print(f"written: {target}")


if __name__ == "__main__":
    main()
