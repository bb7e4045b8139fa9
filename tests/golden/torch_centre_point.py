#!/usr/bin/env python3
"""Computes the loss of a detector and its gradient in PyTorch, and writes them beside this file.

    /usr/bin/python3 tests/golden/torch_centre_point.py

The heat maps are drawn as in CenterNet's program (Zhou et al., "Objects as Points"), with the right
roots for the radius; the loss is the paper's. The inputs are in the file, too. Needs Debian's
python3-torch.
"""

import json
import math
import pathlib

import torch

OVERLAP = 0.7


def radius(width, height):
    """Returns the largest shift of both corners that keeps an overlap of 0.7, rounded down."""
    w, h = math.ceil(width), math.ceil(height)
    b = w + h
    shifted = (b - math.sqrt(b * b - 4 * w * h * (1 - OVERLAP) / (1 + OVERLAP))) / 2
    inside = (2 * b - math.sqrt(4 * b * b - 16 * (1 - OVERLAP) * w * h)) / 8
    outside = (-2 * OVERLAP * b + math.sqrt(4 * OVERLAP ** 2 * b * b + 16 * OVERLAP * (1 - OVERLAP) * w * h)) / (
        8 * OVERLAP
    )
    return max(0, int(min(shifted, inside, outside)))


def centres(boxes, height, width):
    """Yields picture, class, row, column and the four numbers of each box."""
    for n in range(boxes.shape[0]):
        for c, x, y, w, h in boxes[n].tolist():
            if c < 0:
                continue
            column, row = min(int(x * width), width - 1), min(int(y * height), height - 1)
            yield n, int(c), row, column, (w * width, h * height, x * width - column, y * height - row)


def wanted_heat(boxes, classes, height, width):
    heat = torch.zeros(boxes.shape[0], classes, height, width, dtype=torch.float64)
    down = torch.arange(height).view(-1, 1)
    across = torch.arange(width).view(1, -1)
    for n, c, row, column, (w, h, _, _) in centres(boxes, height, width):
        r = radius(w, h)
        sigma = (2 * r + 1) / 6
        away = (down - row) ** 2 + (across - column) ** 2
        bump = torch.exp(-away.double() / (2 * sigma ** 2))
        bump[((down - row).abs() > r) | ((across - column).abs() > r)] = 0
        heat[n, c] = torch.maximum(heat[n, c], bump)
    return heat


def loss(scores, boxes):
    classes, height, width = scores.shape[1] - 4, *scores.shape[2:]
    heat = wanted_heat(boxes, classes, height, width)
    p = torch.sigmoid(scores[:, :classes])
    hit = -((1 - p) ** 2) * torch.log(p)
    miss = -((1 - heat) ** 4) * p ** 2 * torch.log(1 - p)
    total = torch.where(heat == 1, hit, miss).sum()
    found = list(centres(boxes, height, width))
    for n, _, row, column, numbers in found:
        off = (scores[n, classes:, row, column] - torch.tensor(numbers, dtype=torch.float64)).abs()
        total = total + 0.1 * off[:2].sum() + off[2:].sum()
    return total / max(1, len(found))


def case(pictures, classes, height, width, rows, present):
    scores = 2.0 * torch.randn(pictures, classes + 4, height, width)
    boxes = torch.rand(pictures, rows, 5)
    boxes[:, :, 0] = torch.randint(0, classes, (pictures, rows)).float()
    boxes[:, :, 3:] *= 0.9
    boxes[torch.rand(pictures, rows) >= present] = torch.tensor([-1.0, 0.0, 0.0, 0.0, 0.0])
    exact = scores.double().requires_grad_()
    value = loss(exact, boxes.double())
    value.backward()
    return {
        "scores_shape": list(scores.shape),
        "boxes_shape": list(boxes.shape),
        "scores": scores.flatten().tolist(),
        "boxes": boxes.flatten().tolist(),
        "loss": value.item(),
        "gradient": [float("%.9g" % g) for g in exact.grad.flatten().tolist()],
    }


def main():
    torch.manual_seed(1)
    cases = [
        case(2, 3, 5, 7, 4, 0.8),
        case(1, 1, 12, 9, 3, 1.0),
        case(2, 2, 3, 3, 2, 0.0),
    ]
    target = pathlib.Path(__file__).with_name("torch_centre_point.json")
    lines = ",\n".join(json.dumps(entry) for entry in cases)
    target.write_text('{"torch": "%s", "cases": [\n%s\n]}\n' % (torch.__version__, lines))
    print(f"written: {target}")


if __name__ == "__main__":
    main()
