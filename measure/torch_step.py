#!/usr/bin/env python3
"""One training step of our named models in PyTorch: the same nets, shapes, padding and optimizer as
`starling bench step`, and the same JSON line. Run by step_vs_torch.py.

    torch_step.py MODEL BATCH THREADS SECONDS
"""

import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def mlp():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 512), nn.ReLU(),
        nn.Linear(512, 256), nn.ReLU(),
        nn.Linear(256, 10),
    )


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128), nn.ReLU(),
        nn.Linear(128, 10),
    )


class Residual(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or inputs != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    inputs = 16
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(3):
            layers.append(Residual(inputs, channels, 2 if stage > 0 and block == 0 else 1))
            inputs = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Attention(nn.Module):
    def __init__(self, dim, heads, context):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(dim, 3 * dim)
        self.c_proj = nn.Linear(dim, dim)
        mask = torch.tril(torch.ones(context, context)) == 0
        self.register_buffer("mask", mask.view(1, 1, context, context))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (
            part.view(n, t, self.heads, d // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(d, dim=2)
        )
        scores = (q @ k.transpose(-2, -1)) * (d // self.heads) ** -0.5
        weights = F.softmax(scores.masked_fill(self.mask[:, :, :t, :t], float("-inf")), dim=-1)
        return self.c_proj((weights @ v).transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):
    def __init__(self, dim, heads, context):
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads, context)
        self.ln_2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    def __init__(self, layers=6, heads=6, dim=384, context=256, vocabulary=65):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, dim)
        self.wpe = nn.Embedding(context, dim)
        self.blocks = nn.Sequential(*(Block(dim, heads, context) for _ in range(layers)))
        self.ln_f = nn.LayerNorm(dim)
        for p in (self.wte.weight, self.wpe.weight):
            nn.init.normal_(p, std=0.02)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        x = self.ln_f(self.blocks(x))
        return F.linear(x, self.wte.weight).view(-1, self.wte.weight.shape[0])


MODELS = {"mlp": mlp, "cnn": cnn, "resnet20": resnet20, "gpt": Gpt}


def batch_of(model, count):
    if model == "gpt":
        tokens = torch.randint(65, (count, 257))
        return tokens[:, :-1].contiguous(), tokens[:, 1:].reshape(-1)
    shape = (3, 32, 32) if model == "resnet20" else (1, 28, 28)
    return torch.rand(count, *shape), torch.randint(10, (count,))


def main():
    model, count, threads, seconds = sys.argv[1], *map(float, sys.argv[2:5])
    torch.manual_seed(7)
    torch.set_num_threads(int(threads))
    net = MODELS[model]()
    x, y = batch_of(model, int(count))
    if model == "gpt":
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.0003, weight_decay=0.0)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(3):
        step()
    times = []
    end = time.monotonic() + seconds
    while not times or time.monotonic() < end:
        start = time.perf_counter()
        loss = step()
        times.append(time.perf_counter() - start)
    median = statistics.median(times)
    print(json.dumps({
        "bench": "torch-step", "model": model, "batch": int(count), "threads": int(threads),
        "params": sum(p.numel() for p in net.parameters()), "step_ms": 1e3 * median,
        "best_ms": 1e3 * min(times), "per_s": y.numel() / median, "loss": loss,
    }))


if __name__ == "__main__":
    main()
