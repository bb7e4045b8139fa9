#!/usr/bin/python3
"""What blocks of another size, and other margins, would leave of the distance of peers on four bits.

Three replicas of a small gpt train on data/samples and average in turn, exactly. Before each exchange the program
looks at what they differ by, and computes what each way of sending it would round away and how much would have to
be sent again, with scales from the exchange before and 48 samples, as docs/decisions/0049-samples.md has it.

    measure/four_bits.py --every 24 --steps 280
"""

import argparse
import gzip
import math
import pathlib
import typing

import numpy as np
import torch
from torch import nn
from torch.nn import functional

TEXT = pathlib.Path(__file__).resolve().parent.parent / "data/samples/moby-dick.txt.gz"
PEERS = 3
BATCH = 12
CONTEXT = 64
SAMPLES = 48


class Scheme(typing.NamedTuple):
    bits: int
    block: int
    margin: float
    power_of_two: bool = False

    def __str__(self):
        scale = ", scales of one byte" if self.power_of_two else ""
        return f"{self.bits} bits, blocks of {self.block:,}, margin {self.margin}{scale}"


SCHEMES = (
    Scheme(8, 4096, 4),
    Scheme(4, 4096, 2),
    Scheme(4, 4096, 1.5),
    Scheme(4, 1024, 1.5),
    Scheme(4, 256, 2),
    Scheme(4, 256, 1.5),
    Scheme(4, 256, 1.5, True),
    Scheme(4, 256, 1.25, True),
)


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm, self.norm_up = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        cut = self.qkv(self.norm(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = cut.permute(2, 0, 3, 1, 4)
        later = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)
        weights = (q @ k.transpose(-1, -2)) / math.sqrt(width // self.heads)
        mixed = weights.masked_fill(later, -math.inf).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm_up(x))))


class Gpt(nn.Module):
    def __init__(self, characters, width=64):
        super().__init__()
        self.token, self.place = nn.Embedding(characters, width), nn.Embedding(CONTEXT, width)
        self.layers = nn.Sequential(Layer(width, 2), Layer(width, 2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters)

    def forward(self, x):
        x = self.token(x) + self.place(torch.arange(x.shape[1]))
        return self.head(self.norm(self.layers(x)))


def values_of(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()]).numpy().copy()


def load(model, values):
    nn.utils.vector_to_parameters(torch.from_numpy(values), model.parameters())


def exchanges(every, steps, seed):
    """Trains, and yields who meets whom and their difference before it is averaged away."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    characters, text = np.unique(
        np.frombuffer(gzip.decompress(TEXT.read_bytes()), np.uint8), return_inverse=True
    )
    text = torch.from_numpy(text.astype(np.int64))
    models = [Gpt(len(characters)) for _ in range(PEERS)]
    for model in models[1:]:
        load(model, values_of(models[0]))
    optimizers = [torch.optim.AdamW(model.parameters(), lr=2e-3) for model in models]
    for step in range(1, steps + 1):
        for model, optimizer in zip(models, optimizers):
            starts = rng.integers(0, len(text) - CONTEXT - 1, BATCH)
            windows = torch.stack([text[at : at + CONTEXT + 1] for at in starts])
            scores = model(windows[:, :-1]).flatten(0, 1)
            optimizer.zero_grad()
            functional.cross_entropy(scores, windows[:, 1:].flatten()).backward()
            optimizer.step()
        if step % (every // PEERS):
            continue
        one = step // (every // PEERS) % PEERS
        other = (one + int(rng.integers(1, PEERS))) % PEERS
        mine, theirs = values_of(models[one]), values_of(models[other])
        yield one, other, theirs.astype(np.float64) - mine
        for who in (one, other):
            load(models[who], (mine + theirs) / 2)


def blocks_of(difference, size):
    return np.pad(difference, (0, -len(difference) % size)).reshape(-1, size)


def gaps_of(difference):
    cut = {size: blocks_of(difference, size) for size in {s.block for s in SCHEMES}}
    return {size: (np.abs(b).max(1), np.sqrt((b**2).mean(1))) for size, b in cut.items()}


def ratio_by_samples(difference, before, rng):
    at = rng.integers(0, len(difference), SAMPLES)
    return np.clip(np.sqrt(np.mean((difference[at] / before[4096][1][at // 4096]) ** 2)), 0.5, 32)


def lost(scheme, difference, before, now, ratio):
    """Returns the share of the squared distance that rounding leaves, and the share of the values that go again:
    whole chunks of 16 blocks as today, single blocks where they are smaller."""
    top = 2 ** (scheme.bits - 1) - 1
    scale = scheme.margin * before[scheme.block][0] * ratio / top
    if scheme.power_of_two:
        scale = 2.0 ** np.ceil(np.log2(scale))
    again = now[scheme.block][0] > scale * (top + 0.5)
    if scheme.block == 4096:
        starts = np.arange(0, len(again), 16)
        again = np.repeat(np.maximum.reduceat(again, starts), 16)[: len(again)]
    noise = np.where(again, 0, scale**2 / 6 * scheme.block).sum() / (difference**2).sum()
    return noise, np.repeat(again, scheme.block)[: len(difference)].mean()


def head_bits(scheme):
    """Bits of scale and hash for each value, on the mean of both ways: only offers have them."""
    head = 128 if scheme.block == 4096 else 32 + (8 if scheme.power_of_two else 32)
    return head / scheme.block / 2


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=24, help="steps between two exchanges of a peer")
    parser.add_argument("--steps", type=int, default=280)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    last = {}
    rows = {scheme: [] for scheme in SCHEMES}
    for one, other, difference in exchanges(options.every, options.steps, options.seed):
        now = gaps_of(difference)
        before = last.get(one)
        # A block that has never moved has no scale.
        if before is not None and before[256][1].min() > 0:
            ratio = ratio_by_samples(difference, before, rng)
            for scheme, row in rows.items():
                row.append(lost(scheme, difference, before, now, ratio))
        last[one] = last[other] = now
    print(f"{len(rows[SCHEMES[0]])} exchanges")
    print("| | noise / squared distance | sent again | bits | distance / f32's |\n|---|---|---|---|---|")
    for scheme, row in rows.items():
        noise, again = np.median([n for n, _ in row]), np.mean([a for _, a in row])
        bits = scheme.bits + head_bits(scheme) + again * 16
        distance = 1 / math.sqrt(1 - min(noise, 0.99))
        print(f"| {scheme} | {noise:.3f} | {100 * again:.1f} % | {bits:.2f} | {distance:.2f} |")


if __name__ == "__main__":
    main()
