"""Writes tests/golden/media: short sounds, each with the samples that wave and numpy know of it.

    /usr/bin/python3 tests/golden/sounds.py      (Debian's python3-numpy and libsndfile1)

NAME.wav, .flac, .ogg or .mp3 is the sound, NAME.f32 the mean of its channels as raw floats. What the
module wave cannot write is put together here; FLAC, Ogg and MP3 are written by libsndfile."""

import ctypes
import io
import pathlib
import struct
import wave

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "media"


def clip(frames, channels, top):
    """Integers below `top`: tones that fade, and both ends of the range."""
    t = np.arange(frames)[:, None]
    k = np.arange(1, channels + 1)
    tones = np.sin(t * 0.05 * k + k) * np.exp(-t / frames) * 0.7
    out = np.round(tones * (top - 1)).astype(np.int64)
    out[3], out[5] = top - 1, -top
    return out


def write(name, data, values):
    assert len(data) < 5000, (name, len(data))
    (FOLDER / name).write_bytes(data)
    (FOLDER / (name.rsplit(".", 1)[0] + ".f32")).write_bytes(values.astype("<f4").tobytes())


def packed(samples, width):
    if width == 1:
        return (samples + 128).astype(np.uint8).tobytes()
    raw = samples.astype("<i4").tobytes()
    return b"".join(raw[i : i + width] for i in range(0, len(raw), 4))


def integers(name, frames, channels, width, rate):
    top = 1 << (8 * width - 1)
    samples = clip(frames, channels, top)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(packed(samples, width))
    # libsndfile gives floats of each sample; their mean is taken in doubles.
    values = (samples / top).astype(np.float32).astype(np.float64).mean(1)
    write(f"{name}.wav", out.getvalue(), values)


def floats(name, dtype, samples):
    data = samples.astype(dtype).tobytes()
    size = np.dtype(dtype).itemsize
    head = struct.pack("<HHIIHH", 3, 1, 16000, 16000 * size, size, 8 * size)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    write(f"{name}.wav", b"RIFF" + struct.pack("<I", len(body)) + body, samples)


class Info(ctypes.Structure):
    _fields_ = [("frames", ctypes.c_int64), *((n, ctypes.c_int) for n in ("rate", "channels", "format", "sections", "seekable"))]


def encoded(name, kind, samples, rate):
    library = ctypes.CDLL("libsndfile.so.1")
    library.sf_open.restype = ctypes.c_void_p
    path = str(FOLDER / name)
    info = Info(rate=rate, channels=samples.shape[1], format=kind)
    file = ctypes.c_void_p(library.sf_open(path.encode(), 0x20, ctypes.byref(info)))
    assert file, name
    raw = samples.astype("<i2").tobytes()
    library.sf_writef_short(file, raw, ctypes.c_int64(len(samples)))
    library.sf_close(file)
    write(name, pathlib.Path(path).read_bytes(), (samples / 32768).astype(np.float32).astype(np.float64).mean(1))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    integers("pcm8", 300, 1, 1, 8000)
    integers("pcm16", 300, 1, 2, 16000)
    integers("pcm16_stereo", 200, 2, 2, 44100)
    integers("pcm24_surround", 90, 6, 3, 96000)
    integers("pcm32", 200, 1, 4, 48000)
    floats("float32", "<f4", clip(200, 1, 32768)[:, 0] / 32768)
    floats("float64", "<f8", clip(200, 1, 32768)[:, 0] / 32768)
    encoded("lossless.flac", 0x170000 | 2, clip(400, 2, 32768), 16000)
    encoded("vorbis.ogg", 0x200000 | 0x60, clip(1600, 1, 20000), 16000)
    encoded("layer3.mp3", 0x230000 | 0x82, clip(3000, 1, 20000), 16000)
