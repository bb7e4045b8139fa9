"""The files on which measure/data.py measures how data sets are read. They are made anew each time, always the same."""

import json
import os
import random
import struct
import zlib


def make_text(path, megabytes):
    random.seed(1)
    words = ["".join(random.choices("etaoinshrdlu", k=random.randint(2, 9))) for _ in range(5000)]
    lines = [" ".join(random.choices(words, k=20000)) + "\n" for _ in range(100)]
    with open(path, "w") as out:
        while out.tell() < megabytes * 1000000:
            out.write(random.choice(lines))


def make_table(path, megabytes):
    random.seed(2)
    rows = [
        ",".join(f"{random.gauss(0, 1):.4f}" for _ in range(20)) + f",{random.randint(0, 1)}\n"
        for _ in range(20000)
    ]
    with open(path, "w") as out:
        out.write(",".join(f"v{i}" for i in range(20)) + ",y\n")
        while out.tell() < megabytes * 1000000:
            out.writelines(rows)


def png(side, seed):
    """A colour picture of smooth stripes, which packs as photos of simple things do."""
    rng = random.Random(seed)
    a, b = rng.random() * 0.2, rng.random() * 0.2
    rows = b""
    for y in range(side):
        row = bytes(int(127 + 60 * ((x * a + y * b + c) % 2)) & 255 for x in range(side) for c in range(3))
        rows += b"\0" + row

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")


def make_pictures(folder, count):
    for klass in range(4):
        os.makedirs(f"{folder}/class{klass}", exist_ok=True)
    some = [png(96, seed) for seed in range(32)]
    for i in range(count):
        with open(f"{folder}/class{i % 4}/{i}.png", "wb") as out:
            out.write(some[i % 32])


def make_lines(path, megabytes):
    """JSON lines of ten numbers, a word and a label, as logs and exports have them."""
    random.seed(3)
    rows = []
    for _ in range(20000):
        row = {f"v{i}": round(random.gauss(0, 1), 4) for i in range(10)}
        rows.append(json.dumps({**row, "kind": random.choice(["card", "cash", "debt"]), "y": random.randint(0, 1)}) + "\n")
    with open(path, "w") as out:
        while out.tell() < megabytes * 1000000:
            out.writelines(rows)


def make_tokens(folder, megabytes):
    """nanoGPT's files: bare 16-bit tokens, a hundredth of them for validation."""
    os.makedirs(folder, exist_ok=True)
    random.seed(4)
    some = struct.pack("<500000H", *(random.randrange(50257) for _ in range(500000)))
    for name, share in (("train.bin", 0.99), ("val.bin", 0.01)):
        with open(f"{folder}/{name}", "wb") as out:
            while out.tell() < megabytes * 1000000 * share:
                out.write(some)


def make_photos(folder, count):
    """JPEG pictures of 320 x 240, or nothing without Pillow (python3-pil)."""
    try:
        from PIL import Image, ImageFilter
    except ImportError:
        return False
    rng = random.Random(5)
    some = []
    for i in range(32):
        noise = Image.frombytes("RGB", (80, 60), rng.randbytes(80 * 60 * 3)).resize((320, 240), Image.BICUBIC)
        noise.filter(ImageFilter.GaussianBlur(2)).save(f"{folder}.jpg", quality=85)
        with open(f"{folder}.jpg", "rb") as made:
            some.append(made.read())
    os.remove(f"{folder}.jpg")
    for klass in range(4):
        os.makedirs(f"{folder}/class{klass}", exist_ok=True)
    for i in range(count):
        with open(f"{folder}/class{i % 4}/{i}.jpg", "wb") as out:
            out.write(some[i % 32])
    return True
