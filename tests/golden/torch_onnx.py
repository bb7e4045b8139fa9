"""Writes tests/golden/onnx: small nets as PyTorch exports them, each with samples and its scores.

    /usr/bin/python3 tests/golden/torch_onnx.py      (Debian's python3-torch)

NAME.onnx is the model, NAME.shape the samples' shape, NAME.values and NAME.scores raw floats."""

import math
import pathlib

import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "onnx"


class Attention(nn.Module):
    """Causal attention as minimal GPT codes write it: one product for queries, keys and values."""

    def __init__(self, dim, heads, tokens):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.register_buffer("seen", torch.tril(torch.ones(tokens, tokens)).bool()[None, None])

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).split(d, dim=2)
        q, k, v = (y.view(n, t, self.heads, d // self.heads).transpose(1, 2) for y in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(d // self.heads))
        scores = scores.masked_fill(~self.seen[:, :, :t, :t], float("-inf"))
        y = torch.softmax(scores, dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(n, t, d))


class Block(nn.Module):
    def __init__(self, dim=8, heads=2, tokens=6):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, tokens)
        self.mlp = nn.Sequential(nn.Linear(dim, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, dim))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self, tokens=6, words=11, dim=8):
        super().__init__()
        self.words, self.places = nn.Embedding(words, dim), nn.Embedding(tokens, dim)
        self.block, self.norm = Block(dim), nn.LayerNorm(dim)
        self.head = nn.Linear(dim, words, bias=False)

    def forward(self, numbers):
        places = torch.arange(numbers.shape[1])[None]
        return self.head(self.norm(self.block(self.words(numbers) + self.places(places))))


class Separate(nn.Module):
    """Three products, and a mask of floats that is longer than needed."""

    def __init__(self, dim=8, heads=2, longest=16):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))
        self.register_buffer("bias", torch.tril(torch.ones(longest, longest)).view(1, 1, longest, longest))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (f(x).view(n, t, self.heads, d // self.heads).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = self.hide(q @ k.transpose(-2, -1) / math.sqrt(d // self.heads), self.bias[:, :, :t, :t])
        y = torch.softmax(scores, dim=-1) @ v
        return x + y.transpose(1, 2).contiguous().view(n, t, d)

    def hide(self, scores, seen):
        return scores.masked_fill(seen == 0, float("-inf"))


class Multiplied(Separate):
    """The mask as the first GPT-2 codes had it."""

    def hide(self, scores, seen):
        return scores * seen - 1e4 * (1 - seen)


class Multihead(nn.Module):
    """PyTorch's own module under a mask."""

    def __init__(self, dim=8, heads=2, tokens=6):
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.register_buffer("mask", torch.triu(torch.full((tokens, tokens), float("-inf")), 1))

    def forward(self, x):
        return x + self.attention(x, x, x, attn_mask=self.mask, need_weights=False)[0]


class Head(nn.Module):
    """One head alone, its scores divided by the root of the whole width."""

    def __init__(self, dim=8, size=4, tokens=6):
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(dim, size, bias=False) for _ in range(3))
        self.register_buffer("tril", torch.tril(torch.ones(tokens, tokens)))

    def forward(self, x):
        t, d = x.shape[1:]
        scores = self.query(x) @ self.key(x).transpose(-2, -1) * d**-0.5
        scores = scores.masked_fill(self.tril[:t, :t] == 0, float("-inf"))
        return torch.softmax(scores, dim=-1) @ self.value(x)


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList([Head(), Head()])

    def forward(self, x):
        return x + torch.cat([head(x) for head in self.heads], dim=-1)


def grouped():
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.SiLU(),
        nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1), nn.InstanceNorm2d(4, affine=True),
        nn.ELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def mobile():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Upsample(scale_factor=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.PReLU(8),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(8 * 16, 5))


def write(name, net, values, opset, dynamic):
    net.eval()
    # The exporter merges parameters that are equal, as those of fresh normalisations are.
    for parameter in net.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    with torch.no_grad():
        scores = net(values)
    torch.onnx.export(
        net, values, str(FOLDER / f"{name}.onnx"), opset_version=opset, input_names=["values"],
        output_names=["scores"], dynamic_axes={"values": {0: "n"}} if dynamic else None)
    (FOLDER / f"{name}.shape").write_text(",".join(map(str, values.shape)))
    (FOLDER / f"{name}.values").write_bytes(values.float().numpy().astype("<f4").tobytes())
    (FOLDER / f"{name}.scores").write_bytes(scores.numpy().astype("<f4").tobytes())


def main():
    FOLDER.mkdir(exist_ok=True)
    torch.manual_seed(1)
    with torch.no_grad():
        for opset in (13, 17):
            tokens = torch.randint(0, 11, (3, 6))
            write(f"gpt{opset}", Gpt(), tokens, opset, False)
            write(f"gpt{opset}free", Gpt(), tokens, opset, True)
            write(f"grouped{opset}", grouped(), torch.randn(2, 2, 6, 6), opset, True)
            write(f"mobile{opset}", mobile(), torch.randn(2, 3, 8, 8), max(opset, 14), False)
        for opset in (13, 17):
            attentions = nn.Sequential(Separate(), Multiplied(), Multihead(), Heads())
            write(f"attention{opset}", attentions, torch.randn(3, 6, 8), opset, opset == 17)


main()
