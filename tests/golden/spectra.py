"""Writes tests/golden/media/logmel.f32: log-mel spectra of a clip that a formula makes, by numpy.

    /usr/bin/python3 tests/golden/spectra.py      (Debian's python3-numpy)"""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "media"


def clip(count):
    i = np.arange(count, dtype=np.int64)
    return ((i * i * 7 + i * 13) % 2001 - 1000) / 1000


def mel_filters(bins, low, high, bands, rate):
    """torchaudio.functional.melscale_fbanks with mel_scale="htk" and norm=None."""
    frequencies = np.linspace(0, rate // 2, bins)
    mels = np.linspace(*(2595 * np.log10(1 + f / 700) for f in (low, high)), bands + 2)
    corners = 700 * (10 ** (mels / 2595) - 1)
    slopes = corners[None, :] - frequencies[:, None]
    down = -slopes[:, :-2] / np.diff(corners)[:-1]
    up = slopes[:, 2:] / np.diff(corners)[1:]
    return np.maximum(0, np.minimum(down, up))


def log_mel(samples, rate, window, hop, bands, low, high):
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = 1 + (len(samples) - window) // hop
    cut = np.stack([samples[f * hop : f * hop + window] * hann for f in range(frames)])
    power = np.abs(np.fft.rfft(cut)) ** 2
    filters = mel_filters(power.shape[1], low, high, bands, rate)
    return np.log(np.maximum(power @ filters, 1e-10))


if __name__ == "__main__":
    out = log_mel(clip(1500), 16000, 400, 160, 40, 20, 7600)
    (FOLDER / "logmel.f32").write_bytes(out.astype("<f4").tobytes())
    print(out.shape)
