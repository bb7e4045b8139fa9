"""Writes tests/golden/media: small pictures, each with what Pillow or numpy reads from it.

    /usr/bin/python3 tests/golden/images.py      (Debian's python3-pil and python3-numpy)

NAME.jpg or NAME.png is the picture, NAME.pnm what it shows: P5 grey or P6 RGB, upright."""

import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).parent / "media"
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def write(name, data, pixels):
    """pixels: u8, (H, W) or (H, W, 3)."""
    assert len(data) < 3000, (name, len(data))
    (FOLDER / name).write_bytes(data)
    height, width = pixels.shape[:2]
    head = f"P{5 if pixels.ndim == 2 else 6}\n{width} {height}\n255\n".encode()
    stem = name.rsplit(".", 1)[0]
    (FOLDER / f"{stem}.pnm").write_bytes(head + pixels.astype(np.uint8).tobytes())


def scene(height, width):
    """A smooth colourful picture without any symmetry."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    y, x = y / height, x / width
    red = 200 * x + 40 * np.sin(5 * y)
    green = 180 * y * (1 - x) + 50
    blue = 120 + 100 * np.sin(4 * x + 3 * y)
    return np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8)


# JPEG: Pillow writes and reads.


def jpeg(name, image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    data = out.getvalue()
    seen = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    write(f"{name}.jpg", data, np.asarray(seen if seen.mode == "L" else seen.convert("RGB")))
    return data


def turn_tag(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif.tobytes()


def jpegs():
    photo = Image.fromarray(scene(17, 26))
    jpeg("subsampled", photo, quality=90, subsampling=2)
    jpeg("full", photo, quality=95, subsampling=0)
    jpeg("progressive", photo, quality=90, progressive=True)
    jpeg("grey", photo.convert("L"), quality=90)
    jpeg("cmyk", photo.convert("CMYK"), quality=92)
    for turn in range(1, 9):
        jpeg(f"turn{turn}", Image.fromarray(scene(8, 12)), quality=90, exif=turn_tag(turn))
    large = jpeg("large", Image.fromarray(scene(48, 70)), quality=80)
    for name, size in (("half", (35, 24)), ("quarter", (17, 12)), ("eighth", (8, 6))):
        small = Image.open(io.BytesIO(large))
        small.draft("RGB", size)
        write(f"large_{name}.jpg", large, np.asarray(small))
        (FOLDER / f"large_{name}.jpg").unlink()


# PNG: written here, since Pillow writes neither 16 bits of RGB nor interlaced files.


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def rows(samples, depth):
    """Packed rows, each behind the number of its filter; samples: (H, W, C)."""
    out = b""
    for row in samples:
        flat = row.reshape(-1)
        if depth == 16:
            out += b"\0" + flat.astype(">u2").tobytes()
        else:
            bits = ((flat[:, None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(-1)
            out += b"\0" + np.packbits(bits.astype(np.uint8)).tobytes()
    return out


def png(samples, depth, colour, interlaced=False, before=b""):
    height, width = samples.shape[:2]
    if interlaced:
        passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7]
        raw = b"".join(rows(part, depth) for part in passes if part.size)
    else:
        raw = rows(samples, depth)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    body = chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def over_white(values, alpha):
    """Values and alpha of 8 bits, rounded."""
    return np.floor((values * alpha + 255 * (255 - alpha)) / 255 + 0.5)


def pngs():
    photo = scene(11, 13).astype(int)
    grey = photo[..., 1]
    wide = photo * 257 - (photo > 0) * ((photo * 37) % 200)
    alpha = (np.arange(11)[:, None] * 23 + np.arange(13) * 11) % 256
    alpha[0, :4] = [0, 255, 0, 255]
    for depth in (1, 2, 4):
        small = grey >> (8 - depth)
        write(f"grey{depth}.png", png(small[..., None], depth, 0), small * 255 // (2**depth - 1))
    write("grey8.png", png(grey[..., None], 8, 0), grey)
    write("grey16.png", png(wide[..., 1:2], 16, 0), np.floor(wide[..., 1] / 257 + 0.5))
    write("rgb8.png", png(photo, 8, 2), photo)
    write("rgb16.png", png(wide, 16, 2), np.floor(wide / 257 + 0.5))
    write("interlaced.png", png(photo, 8, 2, True), photo)
    gamma = chunk(b"gAMA", struct.pack(">I", 45455))
    write("gamma.png", png(photo, 8, 2, False, gamma), photo)
    both = np.concatenate([photo, alpha[..., None]], -1)
    shown = over_white(photo, alpha[..., None])
    write("rgba8.png", png(both, 8, 6), shown)
    write("rgba8_interlaced.png", png(both, 8, 6, True, gamma), shown)
    both = np.stack([grey, alpha], -1)
    write("greya8.png", png(both, 8, 4), over_white(grey, alpha))
    both = np.concatenate([wide, alpha[..., None] * 257], -1)
    write("rgba16.png", png(both, 16, 6), over_white(np.floor(wide / 257 + 0.5), alpha[..., None]))
    exif = chunk(b"eXIf", turn_tag(6)[6:])
    write("turned.png", png(photo, 8, 2, False, exif), np.rot90(photo, -1))
    palettes(photo)
    keyed(photo, grey)


def palettes(photo):
    colours = (np.arange(16)[:, None] * np.array([17, 5, 11]) + 3).astype(int)
    index = photo[..., 0] >> 4
    plte = chunk(b"PLTE", colours.astype(np.uint8).tobytes())
    write("palette4.png", png(index[..., None], 4, 3, False, plte), colours[index])
    fade = np.full(16, 255)
    fade[:5] = [0, 60, 120, 200, 254]
    trns = plte + chunk(b"tRNS", fade[:5].astype(np.uint8).tobytes())
    shown = over_white(colours[index], fade[index][..., None])
    write("palette4_clear.png", png(index[..., None], 4, 3, True, trns), shown)


def keyed(photo, grey):
    """One colour of the file is transparent."""
    shown = grey.copy()
    shown[grey == grey[3, 4]] = 255
    trns = chunk(b"tRNS", struct.pack(">H", grey[3, 4]))
    write("grey8_key.png", png(grey[..., None], 8, 0, False, trns), shown)
    small = grey >> 6
    trns = chunk(b"tRNS", struct.pack(">H", small[3, 4]))
    shown = np.where(small == small[3, 4], 255, small * 85)
    write("grey2_key.png", png(small[..., None], 2, 0, False, trns), shown)
    shown = photo.copy()
    shown[2, 5] = 255
    trns = chunk(b"tRNS", struct.pack(">HHH", *photo[2, 5]))
    write("rgb8_key.png", png(photo, 8, 2, False, trns), shown)


# Sizes: Pillow's BILINEAR, in which the filter widens as the picture shrinks.


def sizes():
    large = Image.open(FOLDER / "large.pnm")
    small = Image.open(FOLDER / "turn1.pnm")

    def keep(name, image):
        pixels = np.asarray(image)
        head = f"P{5 if pixels.ndim == 2 else 6}\n{image.width} {image.height}\n255\n".encode()
        (FOLDER / f"resized_{name}.pnm").write_bytes(head + pixels.tobytes())

    keep("down", large.resize((31, 20), Image.BILINEAR))
    keep("up", small.resize((31, 20), Image.BILINEAR))
    keep("tall", large.resize((9, 60), Image.BILINEAR))
    keep("wide", large.resize((100, 7), Image.BILINEAR))
    keep("grey", large.convert("L").resize((40, 33), Image.BILINEAR))
    keep("grey_pixel", large.convert("L").resize((1, 1), Image.BILINEAR))
    keep("region", large.resize((16, 12), Image.BILINEAR, box=(3.25, 2.5, 50.75, 40.0)))
    keep("box", large.crop((20, 10, 61, 40)).resize((16, 12), Image.BILINEAR))


def check_with_pillow():
    for name in ("grey8", "rgb8", "interlaced", "palette4", "gamma", "grey1"):
        seen = Image.open(FOLDER / f"{name}.png")
        told = np.asarray(Image.open(FOLDER / f"{name}.pnm"))
        mode = "L" if told.ndim == 2 else "RGB"
        assert np.array_equal(np.asarray(seen.convert(mode)), told), name


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    jpegs()
    pngs()
    sizes()
    check_with_pillow()
