#!/usr/bin/env python3
"""Repeats our twenty training steps in PyTorch and writes the losses beside this file.

    cmake --build build/dev --target twin_inputs
    mkdir /tmp/twin && build/dev/tests/golden/twin_inputs /tmp/twin
    /usr/bin/python3 tests/golden/torch_twin.py /tmp/twin

The nets are written as functions of parameters by name, so that they read our safetensors files as
they are. Needs Debian's python3-torch. safetensors are read with numpy alone.
"""

import json
import pathlib
import sys

import numpy
import torch
from torch.nn import functional as F

import torch_centre_point

STEPS = 20


def load_safetensors(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = numpy.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
        tensors[name] = torch.tensor(values)
    return tensors


def linear(p, name, x):
    return F.linear(x, p[name + ".weight"], p[name + ".bias"])


def cnn(p, x):
    for layer in ("conv1", "conv2"):
        x = F.conv2d(x, p[layer + ".weight"], p[layer + ".bias"], padding=2)
        x = F.max_pool2d(F.relu(x), 2)
    return linear(p, "fc2", F.relu(linear(p, "fc1", x.flatten(1))))


def conv_norm(p, conv, norm, x, stride=1):
    weight = p[conv + ".weight"]
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)
    return F.batch_norm(
        x, p[norm + ".running_mean"], p[norm + ".running_var"],
        p[norm + ".weight"], p[norm + ".bias"], training=True,
    )


def resnet20(p, x):
    x = F.relu(conv_norm(p, "conv1", "bn1", x))
    for stage in (1, 2, 3):
        for block in (0, 1, 2):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = F.relu(conv_norm(p, name + ".conv1", name + ".bn1", x, stride))
            y = conv_norm(p, name + ".conv2", name + ".bn2", y)
            if stride == 2:
                x = conv_norm(p, name + ".downsample.0", name + ".downsample.1", x, stride)
            x = F.relu(x + y)
    return linear(p, "fc", x.mean((2, 3)))


def residual_block(p, name, x, stride):
    y = F.relu(conv_norm(p, name + ".conv1", name + ".bn1", x, stride))
    y = conv_norm(p, name + ".conv2", name + ".bn2", y)
    if name + ".downsample.0.weight" in p:
        x = conv_norm(p, name + ".downsample.0", name + ".downsample.1", x, stride)
    return F.relu(x + y)


def detector(p, x):
    x = F.relu(conv_norm(p, "backbone.conv1", "backbone.bn1", x, 2))
    maps = []
    for stage in (1, 2, 3):
        for i in (0, 1):
            x = residual_block(p, f"backbone.layer{stage}.{i}", x, 2 if i == 0 else 1)
        maps.append(x)
    for name, fine in (("up2", maps[1]), ("up1", maps[0])):
        x = conv_norm(p, name + ".reduce", name + ".bn1", x)
        x = F.relu(F.interpolate(x, scale_factor=2, mode="nearest") + fine)
        x = F.relu(conv_norm(p, name + ".smooth", name + ".bn2", x))

    def head(name):
        y = F.relu(F.conv2d(x, p[name + ".0.weight"], p[name + ".0.bias"], padding=1))
        return F.conv2d(y, p[name + ".2.weight"], p[name + ".2.bias"])

    return torch.cat([head("heat") - 2.19, head("size"), head("offset")], 1)


def layer_norm(p, name, x):
    return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p[name + ".bias"])


def attention(p, name, x, heads):
    n, t, d = x.shape
    parts = linear(p, name + ".c_attn", x).split(d, dim=2)
    q, k, v = (part.view(n, t, heads, d // heads).transpose(1, 2) for part in parts)
    scores = (q @ k.transpose(2, 3)) / (d // heads) ** 0.5
    later = torch.ones(t, t).triu(1) == 1
    weights = scores.masked_fill(later, float("-inf")).softmax(-1)
    return linear(p, name + ".c_proj", (weights @ v).transpose(1, 2).reshape(n, t, d))


def gpt(p, x, layers=4, heads=4):
    x = p["transformer.wte.weight"][x.long()] + p["transformer.wpe.weight"]
    for i in range(layers):
        name = f"transformer.h.{i}"
        x = x + attention(p, name + ".attn", layer_norm(p, name + ".ln_1", x), heads)
        y = linear(p, name + ".mlp.c_fc", layer_norm(p, name + ".ln_2", x))
        x = x + linear(p, name + ".mlp.c_proj", F.gelu(y))
    return (layer_norm(p, "transformer.ln_f", x) @ p["transformer.wte.weight"].T).flatten(0, 1)


TWINS = {
    "cnn": (cnn, (64, 1, 28, 28), lambda w: torch.optim.SGD(w, lr=0.005, momentum=0.9)),
    "resnet20": (
        resnet20, (32, 3, 32, 32),
        lambda w: torch.optim.SGD(w, lr=0.0001, momentum=0.9, weight_decay=1e-4),
    ),
    "gpt": (
        gpt, (12, 64),
        lambda w: torch.optim.AdamW(w, lr=0.001, betas=(0.9, 0.99), weight_decay=0.1),
    ),
    "detector": (
        detector, (8, 3, 48, 64), lambda w: torch.optim.SGD(w, lr=0.0005, momentum=0.9),
    ),
}


def losses_of(directory, name):
    net, shape, optimizer = TWINS[name]
    parameters = load_safetensors(directory / f"{name}.safetensors")
    weights = [p for key, p in parameters.items() if ".running_" not in key]
    for weight in weights:
        weight.requires_grad_()
    optimizer = optimizer(weights)
    values = numpy.fromfile(directory / f"{name}.values", dtype="<f4")
    if name == "detector":
        labels = numpy.fromfile(directory / f"{name}.targets", dtype="<f4").reshape(STEPS, 8, -1, 5)
    else:
        labels = numpy.fromfile(directory / f"{name}.labels", dtype="<i4").reshape(STEPS, -1)
    losses = []
    for x, y in zip(values.reshape(STEPS, *shape), labels):
        optimizer.zero_grad()
        scores = net(parameters, torch.tensor(x))
        if name == "detector":
            loss = torch_centre_point.loss(scores.double(), torch.tensor(y).double())
        else:
            loss = F.cross_entropy(scores, torch.tensor(y).long())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    directory = pathlib.Path(sys.argv[1])
    golden = {"torch": torch.__version__}
    golden.update((name, losses_of(directory, name)) for name in TWINS)
    target = pathlib.Path(__file__).with_name("torch_losses.json")
    target.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"written: {target}")


if __name__ == "__main__":
    main()
