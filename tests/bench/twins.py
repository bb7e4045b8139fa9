"""The twins of the recipes in PyTorch: the same nets on the same rows and pictures with the same batch, epochs and optimizer, on one
process. The last line is a JSON object with the qualities of the test part.

    /usr/bin/python3 tests/bench/twins.py fraud --dataset SPEC --seed 1

It needs python3-torch and python3-numpy. measure/recipe_list.py says what is trained; only what a recipe uses is read here.
"""

import argparse
import csv
import gzip
import io
import json
import pathlib
import sys
import tarfile
import time
import wave

import numpy as np
import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "measure"))

from recipe_list import RECIPES  # noqa: E402

CLIP = 8.0


# Data. Each returns train inputs, train labels, test inputs, test labels, number of classes.


def options_of(spec):
    path, _, rest = spec.split(":", 1)[1].partition("?")
    options = dict(part.split("=", 1) for part in rest.split("&") if part)
    return path, options


def rows_of(path, skip, header):
    opened = gzip.open(path, "rt") if path.endswith(".gz") else open(path, encoding="utf-8")
    with opened as file:
        rows = list(csv.reader(file))[skip:]
    names = rows.pop(0) if header else [f"column {i + 1}" for i in range(len(rows[0]))]
    return names, rows


def logarithm(values, train):
    """Starling's log=auto: docs/decisions/0027-tables.md."""
    sizes = np.abs(values[train])
    sizes = sizes[sizes > 0]
    if len(sizes) == 0:
        return values
    middle = np.median(sizes)
    signs = np.sign(values[train])
    one_sided = max((signs >= 0).mean(), (signs <= 0).mean()) >= 0.9
    if np.quantile(sizes, 0.99) <= 10 * middle or not one_sided:
        return values
    return np.sign(values) * np.log1p(np.abs(values) / middle)


def table(spec):
    path, options = options_of(spec)
    names, rows = rows_of(path, int(options.get("skip", 0)), options.get("header", "1") == "1")
    label = options.get("label", names[-1])
    dropped = set(options.get("drop", "").split(",")) | {label}
    words = [name for name in options.get("categories", "").split(",") if name]
    column = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    key, rest = options["split"].split("==")
    by, modulo = key.split("%")
    place = np.arange(len(rows)) if by == "row" else np.array(column[by], float).astype(int)
    test = place % int(modulo) == int(rest)
    train = ~test
    numbers, codes, sizes = [], [], []
    for name in names:
        if name in dropped or name == by:
            continue
        if name in words:
            seen = sorted({value for value, used in zip(column[name], train) if used})
            number = {value: i + 1 for i, value in enumerate(seen)}
            codes.append([number.get(value, len(seen) + 1) for value in column[name]])
            sizes.append(len(seen) + 2)
            continue
        values = logarithm(np.array(column[name], float), train)
        deviation = values[train].std() or 1.0
        numbers.append(np.clip((values - values[train].mean()) / deviation, -CLIP, CLIP))
    kinds = sorted(set(column[label]))
    labels = np.array([kinds.index(value) for value in column[label]])
    inputs = np.concatenate([np.array(codes, float).reshape(len(codes), len(rows)), np.array(numbers)]).T
    inputs = torch.tensor(inputs, dtype=torch.float32)
    labels = torch.tensor(labels)
    return inputs[train], labels[train], inputs[test], labels[test], (len(kinds), sizes)


def medical(spec):
    arrays = np.load(options_of(spec)[0])
    train = arrays["train_images"].astype(np.float32) / 255
    test = arrays["val_images"].astype(np.float32) / 255
    mean, deviation = train.mean(), train.std()

    def tensor(images):
        return torch.tensor((images - mean) / deviation)[:, None]

    labels = [torch.tensor(arrays[name].ravel().astype(np.int64)) for name in ("train_labels", "val_labels")]
    return tensor(train), labels[0], tensor(test), labels[1], (2, [])


def mel_filters(rate, size, mels):
    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    edges = 700 * (10 ** (np.linspace(mel(0), mel(rate / 2), mels + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * rate / size
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall))


def spectrogram(samples, rate, length, mels=40):
    window, hop = rate // 40, rate // 100
    samples = samples[:length]
    own = max(1, 1 + (len(samples) - window) // hop)
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    starts = np.arange(0, length - window + 1, hop)
    frames = padded[starts[:, None] + np.arange(window)] * np.hanning(window)
    size = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames, size)) ** 2
    bands = np.log(power @ mel_filters(rate, size, mels).T + 1e-6).T
    bands -= bands[:, :own].mean(axis=1, keepdims=True)
    bands[:, own:] = 0
    return bands.astype(np.float32)


def speech(spec):
    path, options = options_of(spec)
    rate = int(options["rate"])
    parts = {False: ([], []), True: ([], [])}
    with tarfile.open(path) as archive:
        for member in archive:
            name = pathlib.PurePath(member.name)
            if name.suffix != ".wav":
                continue
            with wave.open(io.BytesIO(archive.extractfile(member).read())) as clip:
                samples = np.frombuffer(clip.readframes(clip.getnframes()), "<i2") / 32768
            digit, _, take = name.stem.split("_")
            inputs, labels = parts[int(take) < 5]
            inputs.append(spectrogram(samples, rate, rate))
            labels.append(int(digit))
    deviation = np.std(np.stack(parts[False][0]))
    tensors = []
    for test in (False, True):
        tensors += [torch.tensor(np.stack(parts[test][0]))[:, None] / deviation, torch.tensor(parts[test][1])]
    return (*tensors, (10, []))


def image(spec):
    folder = pathlib.Path(options_of(spec)[0])
    tensors = []
    for pattern in ("train*", "test*"):
        records = np.concatenate(
            [np.frombuffer(gzip.open(path).read(), np.uint8) for path in sorted(folder.glob(pattern))]
        ).reshape(-1, 3073)
        tensors += [
            torch.tensor(records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255),
            torch.tensor(records[:, 0].astype(np.int64)),
        ]
    mean = tensors[0].mean((0, 2, 3), keepdim=True)
    deviation = tensors[0].std((0, 2, 3), keepdim=True)
    for i in (0, 2):
        tensors[i] = (tensors[i] - mean) / deviation
    return (*tensors, (10, []))


# Nets, as compute/models builds them.


class Tabular(nn.Module):
    def __init__(self, columns, classes, sizes):
        super().__init__()
        widths = [min(32, (size + 1) // 2) for size in sizes]
        self.embeds = nn.ModuleList(nn.Embedding(size, width) for size, width in zip(sizes, widths))
        width = sum(widths) + columns - len(sizes)
        self.layers = nn.Sequential(
            nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(),
            nn.Linear(64, 1 if classes == 2 else classes),
        )

    def forward(self, x):
        named = len(self.embeds)
        parts = [embed(x[:, i].long()) for i, embed in enumerate(self.embeds)]
        scores = self.layers(torch.cat([*parts, x[:, named:]], 1))
        return functional.pad(scores, (1, 0)) if scores.shape[1] == 1 else scores


def medical_net():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 2),
    )


class Audio(nn.Module):
    def __init__(self, bands, classes):
        super().__init__()
        layers, last = [], 1
        for channels in (32, 64, 128):
            layers += [nn.Conv2d(last, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
                       nn.ReLU(), nn.MaxPool2d(2)]
            last = channels
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(last * (bands // 8), 128), nn.ReLU(), nn.Linear(128, classes)
        )

    def forward(self, x):
        return self.head(self.blocks(x).mean(3).flatten(1))


class Block(nn.Module):
    def __init__(self, last, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(last, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Identity()
        if stride != 1 or last != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(last, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    last = 16
    for channels in (16, 32, 64):
        for i in range(3):
            layers.append(Block(last, channels, 2 if i == 0 and channels > 16 else 1))
            last = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


# Changes of training samples.


def flip_and_crop(batch, random):
    mirrored = random.random(len(batch)) < 0.5
    batch = torch.where(torch.tensor(mirrored)[:, None, None, None], batch.flip(3), batch)
    padded = functional.pad(batch, (4, 4, 4, 4))
    moves = random.integers(0, 9, (len(batch), 2))
    return torch.stack([one[:, y : y + 32, x : x + 32] for one, (y, x) in zip(padded, moves)])


def mask_and_shift(batch, random):
    batch = batch.clone()
    for one in batch:
        width = int(random.integers(0, 7))
        begin = int(random.integers(0, one.shape[1] - width + 1))
        one[:, begin : begin + width] = 0
        one[:] = torch.roll(one, int(random.integers(-5, 6)), 2)
    return batch


# Qualities.


def ranking(scores, positive):
    order = np.argsort(-scores, kind="stable")
    hits = positive[order].astype(float)
    values = scores[order]
    last = np.r_[np.nonzero(np.diff(values))[0], len(values) - 1]
    true = np.cumsum(hits)[last]
    false = 1 + last - true
    precision = true / (true + false)
    recall = true / hits.sum()
    area = np.trapz(np.r_[0, recall], np.r_[0, false / (len(hits) - hits.sum())])
    average = np.sum(np.diff(np.r_[0, recall]) * precision)
    f1 = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    return {"auc": float(area), "ap": float(average), "f1": float(f1)}


def qualities(scores, labels):
    answers = scores.argmax(1)
    recalls = [(answers[labels == one] == one).float().mean().item() for one in labels.unique()]
    found = {"accuracy": (answers == labels).float().mean().item(), "balanced": float(np.mean(recalls))}
    if scores.shape[1] == 2:
        log_odds = (scores[:, 1] - scores[:, 0]).numpy().astype(float)
        found.update(ranking(log_odds, (labels == 1).numpy()))
    return found


def optimizer_of(recipe, net, steps):
    name, _, rest = recipe.optimizer.partition("?")
    options = dict(part.split("=") for part in rest.split("&"))
    rate, decay = float(options["lr"]), float(options.get("weight_decay", 0))
    if name == "adamw":
        optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=decay)
    else:
        optimizer = torch.optim.SGD(net.parameters(), rate, float(options.get("momentum", 0)), weight_decay=decay)
    if options.get("schedule") == "cosine":
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    recipe = RECIPES[flags.name]
    readers = {"medical": medical, "speech": speech, "image": image}
    train, labels, test, test_labels, (classes, sizes) = readers.get(flags.name, table)(flags.dataset)
    torch.manual_seed(flags.seed)
    random = np.random.default_rng(flags.seed)
    nets = {"medical": medical_net, "speech": lambda: Audio(train.shape[2], classes), "image": resnet20}
    net = nets.get(flags.name, lambda: Tabular(train.shape[1], classes, sizes))()
    change = {"image": flip_and_crop, "speech": mask_and_shift}.get(flags.name, lambda batch, _: batch)
    steps = recipe.epochs * (len(train) // recipe.batch)
    optimizer, schedule = optimizer_of(recipe, net, steps)
    began = time.monotonic()
    for epoch in range(recipe.epochs):
        net.train()
        order = torch.tensor(random.permutation(len(train)))
        for i in range(len(train) // recipe.batch):
            chosen = order[i * recipe.batch : (i + 1) * recipe.batch]
            loss = functional.cross_entropy(net(change(train[chosen], random)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}", file=sys.stderr, flush=True)
    net.eval()
    with torch.no_grad():
        scores = torch.cat([net(part) for part in test.split(256)])
    found = qualities(scores, test_labels)
    print(json.dumps({**found, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
