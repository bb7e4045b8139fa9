#!/usr/bin/env python3
"""Time and bytes until `cnn` has a test accuracy of 0.88 on Fashion-MNIST: four peers of ours beside
four ranks of PyTorch's DistributedDataParallel over gloo, in the same four network namespaces, each
behind a link of its own, with one compute thread each.

Needs root, iproute2, python3-torch and dataset-fashion-mnist.

    measure/time_to_loss.py --rate 50 --target 0.88

Ours is the wall time from the first peer's start until all four have joined, trained, agreed that
the target is met, settled, measured the whole test set and left. PyTorch's is that of its training
steps alone, without loading and evaluations: the steps to the target (an evaluation every 50 steps
says when; the better of --lr and four times that) times the seconds of one step on the shaped link.
The first is counted on links without a limit, the second over --timed-steps on the links in
question, because a whole run there takes many minutes; --whole does it all the same. Bytes are what
the four put on their links in all.

Prints one JSON object a line for each, and one with the ratios; exits 1 below five times the speed
or a fiftieth of the bytes.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time

import links

PORT = 7600
FREE_RATE = 10_000  # Mbit/s: no limit to these four


def output_of(arguments, i):
    """Where peer i writes its lines: kept with --keep."""
    if not arguments.keep:
        return tempfile.TemporaryFile("w+")
    os.makedirs(arguments.keep, exist_ok=True)
    return open(os.path.join(arguments.keep, f"peer-{i}.jsonl"), "w+")


def final_of(output):
    """What a peer says at its end."""
    output.seek(0)
    events = [json.loads(line) for line in output]
    return next(event for event in events if event["event"] == "final")


def start(arguments, spaces, i, seed, output):
    command = [arguments.binary, "peer", "--json", "--threads", "1",
               "--http", "127.0.0.1:0", "--dataset", f"idx:{arguments.dataset}",
               "--listen", f"{spaces[i].address}:{PORT}", "--seed", str(seed),
               "--precision", arguments.precision]  # fmt: skip
    if i == 0:
        command += ["--model", "cnn", "--batch", str(arguments.batch),
                    "--optimizer", arguments.optimizer,
                    "--mix-every", str(arguments.mix_every), "--encoding", arguments.encoding,
                    "--until", f"accuracy={arguments.target}"]  # fmt: skip
    else:
        command += ["--join", f"{spaces[0].address}:{PORT}"]
    return spaces[i].popen(command, stdout=output, text=True)


def ours(arguments, spaces, seed):
    """One swarm from its first process to its last: seconds, bytes, what the founder says."""
    before = sum(links.bytes_sent(space) for space in spaces)
    peers = []
    with contextlib.ExitStack() as files:
        outputs = [files.enter_context(output_of(arguments, i)) for i in range(len(spaces))]
        try:
            began = time.monotonic()
            for i, output in enumerate(outputs):
                peers.append(start(arguments, spaces, i, seed + i + 1, output))
                if i == 0:
                    links.wait_until_listening(spaces[0], peers[0], PORT)
            for peer in peers:
                if peer.wait(timeout=900) != 0:
                    raise RuntimeError(f"a peer ended with {peer.returncode}")
            seconds = time.monotonic() - began
        finally:
            for peer in peers:
                peer.kill()
                peer.wait()
        sent = sum(links.bytes_sent(space) for space in spaces) - before
        return {"seconds": round(seconds, 1), "bytes": sent, "final": final_of(outputs[0])}


def ddp(arguments, rate, lr, steps):
    """One run of DDP on links of a rate: seconds, steps, bytes, whether the target was reached."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_ddp.py")
    with links.star(4, rate) as spaces:
        ranks = [
            space.popen(
                [arguments.torch_python, script, str(rank), str(len(spaces)), spaces[0].address,
                 "eth", str(arguments.batch), str(lr), str(int(arguments.nesterov)),
                 str(arguments.target), str(steps), arguments.dataset],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
            for rank, space in enumerate(spaces)
        ]  # fmt: skip
        try:
            out = [rank.communicate(timeout=3600)[0] for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
                rank.wait()
        line = json.loads(out[0])
        line["bytes"] = sum(links.bytes_sent(space) for space in spaces)
        return line


def theirs(arguments):
    best = None
    rate = arguments.rate if arguments.whole else FREE_RATE
    for lr in (arguments.lr, 4 * arguments.lr):
        # One that takes longer than the best so far need not be waited for.
        run = {"lr": lr, **ddp(arguments, rate, lr, best["steps"] if best else arguments.steps)}
        print(json.dumps({"who": "torch ddp gloo", "whole": arguments.whole, **run}), flush=True)
        if run["reached"] and (best is None or run["steps"] < best["steps"]):
            best = run
    if best is None:
        raise RuntimeError("PyTorch does not reach the target")
    if arguments.whole:
        return best
    timed = ddp(arguments, arguments.rate, best["lr"], arguments.timed_steps)
    each = timed["seconds"] / timed["steps"]
    return {"lr": best["lr"], "steps": best["steps"], "seconds_a_step": round(each, 4),
            "seconds": round(each * best["steps"], 1), "bytes": best["bytes"]}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="build/release/peer/starling")
    parser.add_argument("--torch-python", default="/usr/bin/python3")
    parser.add_argument("--dataset", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--rate", type=float, default=50, help="Mbit/s each way, for each peer")
    parser.add_argument("--target", type=float, default=0.88)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05, help="of PyTorch, with momentum 0.9")
    parser.add_argument("--steps", type=int, default=4000, help="PyTorch gives up after so many")
    parser.add_argument("--timed-steps", type=int, default=100)
    parser.add_argument("--whole", action="store_true", help="PyTorch's whole run on the links")
    parser.add_argument("--optimizer", default="sgd?lr=0.05&momentum=0.9", help="of ours")
    parser.add_argument("--mix-every", type=int, default=20)
    parser.add_argument("--encoding", default="lattice4")
    parser.add_argument("--keep", metavar="DIR", help="keep what our peers say there")
    parser.add_argument("--nesterov", action="store_true", help="Nesterov's momentum for both")
    parser.add_argument("--precision", default="f32", help="of ours")
    parser.add_argument("--rounds", type=int, default=1, help="of ours; the median by time counts")
    parser.add_argument("--only", choices=("ours", "theirs"))
    arguments = parser.parse_args()
    if arguments.nesterov:
        arguments.optimizer += "&nesterov=1"
    us = them = None
    if arguments.only != "theirs":
        rounds = []
        for number in range(arguments.rounds):
            with links.star(4, arguments.rate) as spaces:
                rounds.append(ours(arguments, spaces, 4 * number))
            print(json.dumps({"who": "starling", **rounds[-1]}), flush=True)
        us = sorted(rounds, key=lambda run: run["seconds"])[len(rounds) // 2]
    if arguments.only != "ours":
        them = theirs(arguments)
        print(json.dumps({"who": "torch ddp gloo", **them}), flush=True)
    if not us or not them:
        return 0
    time_ratio = them["seconds"] / us["seconds"]
    byte_ratio = them["bytes"] / us["bytes"]
    print(json.dumps({"faster": round(time_ratio, 2), "fewer_bytes": round(byte_ratio, 1)}))
    return 0 if time_ratio >= 5 and byte_ratio >= 50 else 1


if __name__ == "__main__":
    sys.exit(main())
