#!/usr/bin/env python3
"""Measures how data sets are read, on files that it makes, and prints JSON lines.

    measure/data.py STARLING [--megabytes 300] [--pictures 2000] [--keep DIR]

`inspect`: seconds and megabytes a second of `starling data inspect`, and the peak of its anonymous and
mapped memory. `listening`: when a founder listens, and when it has read all. `joining`: the speed of a newcomer while shards
arrive and after that. `step`: what share of the time steps wait for data (data_wait), with the samples of the
repository and the files made here. Compare numbers of one run only.
"""

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def make_text(path, megabytes):
    random.seed(1)
    words = ["".join(random.choices("etaoinshrdlu", k=random.randint(2, 9))) for _ in range(5000)]
    with open(path, "w") as out:
        while out.tell() < megabytes * 1000000:
            out.write(" ".join(random.choices(words, k=20000)) + "\n")


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


def memory(pid):
    """Returns anonymous and mapped megabytes of a process."""
    found = {}
    with open(f"/proc/{pid}/status") as lines:
        for line in lines:
            if line.startswith(("RssAnon", "RssFile")):
                found[line.split(":")[0]] = int(line.split()[1]) / 1000
    return found.get("RssAnon", 0), found.get("RssFile", 0)


def size_of(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(f"{d}/{f}") for d, _, files in os.walk(path) for f in files)


def inspect(starling, spec, path):
    begin = time.monotonic()
    run = subprocess.Popen([starling, "data", "inspect", spec], stdout=subprocess.DEVNULL)
    anonymous = mapped = 0
    while run.poll() is None:
        try:
            now = memory(run.pid)
        except OSError:
            break
        anonymous, mapped = max(anonymous, now[0]), max(mapped, now[1])
        time.sleep(0.005)
    run.wait()
    seconds = time.monotonic() - begin
    megabytes = size_of(path) / 1e6
    print(json.dumps({
        "bench": "inspect", "dataset": spec.split(":")[0], "megabytes": round(megabytes, 1),
        "seconds": round(seconds, 2), "mb_per_s": round(megabytes / seconds, 1),
        "anonymous_mb": round(anonymous, 1), "mapped_mb": round(mapped, 1), "rc": run.returncode,
    }), flush=True)


def step(starling, spec, model, batch):
    args = [starling, "bench", "step", "--dataset", spec, "--model", model, "--batch", str(batch), "--seconds", "3",
            "--optimizer", "adamw?lr=0.001"]
    done = subprocess.run(args, capture_output=True, text=True)
    if done.returncode != 0:
        print(json.dumps({"bench": "step", "model": model, "error": done.stderr.strip()}), flush=True)
        return
    out = json.loads(done.stdout.strip().splitlines()[-1])
    keys = ("bench", "model", "batch", "threads", "step_ms", "per_s", "data_wait")
    print(json.dumps({"dataset": spec.split(":")[0], **{k: out.get(k) for k in keys}}), flush=True)


def end(process):
    process.terminate()
    process.wait()


def start(starling, *arguments):
    """Starts a peer that prints JSON lines."""
    return subprocess.Popen(
        [starling, "peer", "--json", "--threads", "1", *arguments], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )


def events(process, seconds):
    """Yields what a peer prints, with the seconds since now, for so long."""
    begin = time.monotonic()
    for line in process.stdout:
        now = time.monotonic() - begin
        yield now, json.loads(line)
        if now > seconds:
            return


def listening(starling, spec, model):
    """When a founder listens, and when it has read its data."""
    founder = start(starling, "--dataset", spec, "--model", model)
    out = {"bench": "listening", "dataset": spec.split(":")[0]}
    for now, event in events(founder, 600):
        if event["event"] in ("listening", "founded"):
            out[f"{event['event']}_s"] = round(now, 2)
        if event["event"] == "founded":
            break
    end(founder)
    print(json.dumps(out), flush=True)


def joining(starling, spec, model, folder):
    """How fast a newcomer trains while shards still arrive, compared with itself when all are there, for ten seconds.
    Both write their shards to the disk; the slowest second shows what that costs a step."""
    founder = start(starling, "--dataset", spec, "--model", model, "--state", f"{folder}/founder")
    address = next(event["listen"] for _, event in events(founder, 600) if event["event"] == "listening")
    next(event for _, event in events(founder, 600) if event["event"] == "founded")
    most = next(event["held"] for _, event in events(founder, 600) if event["event"] == "progress")
    # Nobody reads its lines any more; it drops and counts them.
    joiner = start(
        starling, "--join", address, "--key", f"{folder}/founder/swarm.key", "--state", f"{folder}/joiner"
    )
    speeds = []
    for now, event in events(joiner, 600):
        if event["event"] == "progress" and event["steps"] > 0:
            speeds.append((round(now, 1), event["held"], event["samples_per_s"]))
            whole = next((at for at, held, _ in speeds if held == most), None)
            if whole is not None and now - whole > 10:
                break
    end(joiner)
    end(founder)
    early = [speed for _, held, speed in speeds[1:] if held < most]
    late = [speed for _, held, speed in speeds if held == most]
    print(json.dumps({
        "bench": "joining", "dataset": spec.split(":")[0], "shards": most, "seconds_of_arrivals": len(early),
        "per_s_meanwhile": round(sum(early) / max(1, len(early))), "per_s_after": round(sum(late) / max(1, len(late))),
        "slowest_s_meanwhile": round(min(early, default=0)), "first_step_s": speeds[0][0],
    }), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starling")
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=2000)
    flags = parser.parse_args()
    starling = os.path.abspath(flags.starling)
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        text, table, pictures = (f"{folder}/{name}" for name in ("text.txt", "table.csv", "pictures"))
        make_text(text, flags.megabytes)
        make_table(table, flags.megabytes)
        make_pictures(pictures, flags.pictures)
        inspect(starling, f"text:{text}", text)
        inspect(starling, f"csv:{table}", table)
        inspect(starling, f"images:{pictures}", pictures)
        listening(starling, f"text:{text}", "gpt?layers=1&heads=2&dim=32&context=64")
        listening(starling, f"csv:{table}", "tabular")
        joining(starling, f"text:{text}", "gpt?layers=1&heads=2&dim=32&context=64", folder)
        step(starling, "idx:data/samples", "mlp", 64)
        step(starling, "csv:data/samples/digits.csv.gz", "tabular", 256)
        step(starling, "audio:data/samples/spoken-digits-5lang.tar.gz", "cnn?channels=16,32&hidden=64", 16)
        step(starling, f"images:{pictures}?size=64&flip=1&pad=4", "cnn?channels=16,32&hidden=64", 32)
        step(starling, "text:data/samples/moby-dick.txt.gz", "gpt?layers=2&heads=4&dim=128&context=128", 8)


if __name__ == "__main__":
    sys.exit(main())
