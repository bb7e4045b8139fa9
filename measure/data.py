#!/usr/bin/env python3
"""Measures how data sets are read, on files that it makes, and prints JSON lines.

    measure/data.py STARLING [--megabytes 300] [--pictures 2000] [--only inspect,step] [--bench FOLDER] [--large]

`sha256sum`: how fast that reads the text, to compare with. `inspect`: seconds and megabytes a second of `starling
data inspect`, and the peak of its anonymous and mapped memory. `listening`: when a founder listens, and when it has read
all. `joining`: the speed of a newcomer while shards arrive and after that. `step`: what share of the time steps wait for
data (data_wait), with the samples of the repository and the files made here. `batcher`: the lines of the program that
--bench names, tests/bench/batcher_bench. --large adds 10 GB of text and of tokens, a table of 2 GB and 100,000 JPEG files, and takes
60 GB of disk and some minutes. Compare numbers of one run only.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import data_files

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


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
    """How fast a newcomer trains while shards still arrive, compared with itself when all are there, for half a minute.
    Both write their shards to the disk; the slowest second shows what that costs a step. One second differs from the next by a fifth where two
    peers share two cores, so the means need half a minute at least."""
    founder = start(starling, "--dataset", spec, "--model", model, "--state", f"{folder}/founder")
    address = next(event["listen"] for _, event in events(founder, 600) if event["event"] == "listening")
    next(event for _, event in events(founder, 600) if event["event"] == "founded")
    most = next(event["held"] for _, event in events(founder, 600) if event["event"] == "progress")
    # Nobody reads its lines any more; it drops and counts them.
    joiner = start(
        starling, "--join", address, "--key", f"{folder}/founder/swarm.key", "--state", f"{folder}/joiner"
    )
    speeds, longest = [], []
    for now, event in events(joiner, 600):
        if event["event"] == "progress" and event["steps"] > 0:
            speeds.append((round(now, 1), event["held"], event["samples_per_s"]))
            longest.append((event["held"], event.get("longest_step_ms")))
            whole = next((at for at, held, _ in speeds if held == most), None)
            if whole is not None and now - whole > 30:
                break
    end(joiner)
    end(founder)
    early = [speed for _, held, speed in speeds[1:] if held < most]
    late = [speed for _, held, speed in speeds if held == most]
    print(json.dumps({
        "bench": "joining", "dataset": spec.split(":")[0], "shards": most, "seconds_of_arrivals": len(early),
        "per_s_meanwhile": round(sum(early) / max(1, len(early))), "per_s_after": round(sum(late) / max(1, len(late))),
        "slowest_s_meanwhile": round(min(early, default=0)), "first_step_s": speeds[0][0],
        "longest_step_ms_meanwhile": max((ms for held, ms in longest[6:] if held < most and ms), default=None),
        "longest_step_ms_after": longest[-1][1],
    }), flush=True)


def sha256sum(path):
    begin = time.monotonic()
    subprocess.run(["sha256sum", path], stdout=subprocess.DEVNULL, check=True)
    seconds = time.monotonic() - begin
    print(json.dumps({
        "bench": "sha256sum", "seconds": round(seconds, 2), "mb_per_s": round(size_of(path) / 1e6 / seconds, 1),
    }), flush=True)


def batcher(program):
    for what in ("draws", "change"):
        done = subprocess.run([program, what], capture_output=True, text=True, check=True)
        print(done.stdout.strip(), flush=True)


def steps(starling, folder):
    step(starling, "idx:data/samples", "mlp", 64)
    step(starling, "csv:data/samples/digits.csv.gz", "tabular", 256)
    step(starling, "audio:data/samples/spoken-digits-5lang.tar.gz", "audio", 16)
    step(starling, "audio:data/samples/spoken-digits-5lang.tar.gz", "cnn?channels=16,32&hidden=64", 16)
    step(starling, f"images:{folder}/pictures?size=64&flip=1&pad=4", "cnn?channels=16,32&hidden=64", 32)
    if os.path.isdir(f"{folder}/photos"):
        step(starling, f"images:{folder}/photos?size=224&flip=1&pad=8", "resnet18", 16)
    step(starling, "text:data/samples/moby-dick.txt.gz", "gpt?layers=2&heads=4&dim=128&context=128", 8)
    step(starling, f"bin:{folder}/tokens?context=128&vocab=50257", "gpt?layers=2&heads=4&dim=128&context=128", 8)


def large(starling, folder):
    """What is large is made, read and removed, one after another: not all of it has room on a disk at once."""
    for name, make, spec in (
        ("text.txt", lambda path: data_files.make_text(path, 10000), "text:{}"),
        ("table.csv", lambda path: data_files.make_table(path, 2000), "csv:{}"),
        ("photos", lambda path: data_files.make_photos(path, 100000), "images:{}"),
    ):
        path = f"{folder}/large-{name}"
        if make(path) is False:
            print(json.dumps({"bench": "inspect", "dataset": "images", "error": "python3-pil is missing"}), flush=True)
            continue
        inspect(starling, spec.format(path), path)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
    data_files.make_tokens(f"{folder}/large-tokens", 10000)
    spec = f"bin:{folder}/large-tokens?context=128&vocab=50257"
    inspect(starling, spec, f"{folder}/large-tokens")
    step(starling, spec, "gpt?layers=2&heads=4&dim=128&context=128", 8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starling")
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--only", default="inspect,scan,listening,joining,step,batcher", help="what to measure (all)")
    parser.add_argument("--bench", metavar="FOLDER", help="where table_bench and batcher_bench lie")
    parser.add_argument("--large", action="store_true", help="large files, too")
    parser.add_argument("--folder", help="where the files are made for a while (the folder for temporary files)")
    flags = parser.parse_args()
    starling = os.path.abspath(flags.starling)
    bench = os.path.abspath(flags.bench) if flags.bench else None
    only = flags.only.split(",")
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        text, table, lines = (f"{folder}/{name}" for name in ("text.txt", "table.csv", "lines.jsonl"))
        pictures, tokens = f"{folder}/pictures", f"{folder}/tokens"
        data_files.make_text(text, flags.megabytes)
        data_files.make_table(table, flags.megabytes)
        data_files.make_lines(lines, flags.megabytes)
        data_files.make_tokens(tokens, flags.megabytes)
        data_files.make_pictures(pictures, flags.pictures)
        data_files.make_photos(f"{folder}/photos", flags.pictures)
        model = "gpt?layers=1&heads=2&dim=32&context=64"
        if "inspect" in only:
            sha256sum(text)
            for spec, path in (
                (f"text:{text}", text), (f"csv:{table}", table), (f"jsonl:{lines}", lines),
                (f"bin:{tokens}?vocab=50257", tokens), (f"images:{pictures}", pictures),
            ):
                inspect(starling, spec, path)
        if "scan" in only and bench:
            subprocess.run([f"{bench}/table_bench", table, lines], check=True)
        if "listening" in only:
            listening(starling, f"text:{text}", model)
            listening(starling, f"csv:{table}", "tabular")
        if "joining" in only:
            joining(starling, f"text:{text}", model, folder)
        if "step" in only:
            steps(starling, folder)
        if "batcher" in only and bench:
            batcher(f"{bench}/batcher_bench")
        if flags.large:
            large(starling, folder)


if __name__ == "__main__":
    sys.exit(main())
