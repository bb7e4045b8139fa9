#!/usr/bin/env python3
"""How much slower two peers train while they exchange without a pause over a slow link.

Two namespaces joined by a veth pair with a token bucket; a peer with one thread in each. The same
pair trains with `--mix none` and with `--mix-every 1`, in turns; steps per second are read from
/metrics. With --iperf also with `--mix none` while iperf3 moves as much as the exchanges did: what
the kernel alone takes from training. The kernel cuts packets of up to 64 KiB, which a network card
would cut, in front of a small bucket; with --offload the bucket is large enough to let them through
whole. Needs root, iproute2 and dataset-fashion-mnist, for --iperf also iperf3.

    measure/train_shaped.py --rate 100 --model cnn --seconds 20 --rounds 2
    measure/train_shaped.py --model gpt --batch 4 --seconds 45 \\
        --dataset 'text:data/samples/moby-dick.txt.gz?context=256' --offload

Prints one JSON object: {"model", "mbit", "offload", "steps_per_s_none", "steps_per_s_mixing",
"ratio", "exchange_mbit_per_s", "ratio_iperf"}; exits 1 below --goal.
"""

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time

import links

FETCH = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())"
PORT = 7500
WHOLE_PACKETS = 70_000


def metrics(space):
    out = subprocess.run(
        ["ip", "netns", "exec", space.name, sys.executable, "-c", FETCH,
         "http://127.0.0.1:7501/metrics"],
        check=True, capture_output=True, timeout=30,
    ).stdout.decode()  # fmt: skip
    return {m[1]: float(m[2]) for m in re.finditer(r"^starling_(\S+) (\S+)$", out, re.M)}


def start(arguments, space, mixing, seed_address=None, extra=()):
    command = [arguments.binary, "peer", "--json", "--threads", "1",
               "--listen", f"{space.address}:{PORT}", "--http", "127.0.0.1:7501",
               "--dataset", arguments.dataset, *extra]  # fmt: skip
    if seed_address:
        command += ["--join", seed_address]
    else:
        command += ["--model", arguments.model, "--batch", str(arguments.batch),
                    "--mix-every", "1", "--encoding", arguments.encoding,
                    "--mix", "pairwise" if mixing else "none"]  # fmt: skip
    return space.popen(command, stdout=subprocess.DEVNULL)


def wait_for_training(spaces, peers):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(peer.poll() is not None for peer in peers):
            raise RuntimeError("a peer ended")
        try:
            if all(metrics(space).get("steps_total", 0) > 20 for space in spaces):
                return
        except subprocess.CalledProcessError:
            pass
        time.sleep(0.5)
    raise RuntimeError("the peers do not train")


@contextlib.contextmanager
def traffic(one, other, bits, seconds):
    """iperf3 moves so many bits per second in each direction meanwhile; 0: nothing does."""
    if bits <= 0:
        yield
        return
    server = other.popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
    links.wait_until_listening(other, server, 5201)
    client = one.popen(
        ["iperf3", "-c", other.address, "--bidir", "-b", str(int(bits)), "-t", str(int(seconds))],
        stdout=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        yield
    finally:
        for process in (client, server):
            process.kill()
            process.wait()


@contextlib.contextmanager
def pair(arguments, one, other, mixing, extra=()):
    """A peer in each namespace; both train while it lasts."""
    peers = [start(arguments, one, mixing, extra=extra)]
    try:
        links.wait_until_listening(one, peers[0], PORT)
        peers.append(start(arguments, other, mixing, f"{one.address}:{PORT}", extra))
        wait_for_training((one, other), peers)
        yield
    finally:
        for peer in peers:
            peer.terminate()
        for peer in peers:
            peer.wait()


def speed(arguments, one, other, mixing, bits=0):
    """Steps per second of both peers together, and exchanged bits per second of one."""
    with pair(arguments, one, other, mixing), traffic(one, other, bits, arguments.seconds + 5):
        begin = time.monotonic()
        before = [metrics(space) for space in (one, other)]
        time.sleep(arguments.seconds)
        elapsed = time.monotonic() - begin
        after = [metrics(space) for space in (one, other)]

    def grown(name):
        return sum(b[name] - a[name] for a, b in zip(before, after)) / elapsed

    # Each peer counts what it sends and what it receives.
    return grown("steps_total"), 4 * grown("exchange_payload_bytes_total")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="build/release/peer/starling")
    parser.add_argument("--dataset", default="idx:/usr/share/datasets/fashion-mnist")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--encoding", default="f32")
    parser.add_argument("--rate", type=int, default=100, help="Mbit/s each way")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--goal", type=float, default=0.95)
    parser.add_argument("--offload", action="store_true", help="whole packets pass the bucket")
    parser.add_argument("--iperf", action="store_true", help="measure beside iperf3, too")
    arguments = parser.parse_args()
    none, mixing, bits, beside = [], [], [], []
    with links.shaped(arguments.rate, WHOLE_PACKETS if arguments.offload else 0) as (one, other):
        for _ in range(arguments.rounds):
            none.append(speed(arguments, one, other, False)[0])
            steps, exchanged = speed(arguments, one, other, True)
            mixing.append(steps)
            bits.append(exchanged)
            if arguments.iperf:
                beside.append(speed(arguments, one, other, False, exchanged / 2)[0])
    ratio = statistics.median(mixing) / statistics.median(none)
    print(
        json.dumps(
            {
                "model": arguments.model,
                "mbit": arguments.rate,
                "offload": arguments.offload,
                "steps_per_s_none": round(statistics.median(none), 2),
                "steps_per_s_mixing": round(statistics.median(mixing), 2),
                "ratio": round(ratio, 3),
                "exchange_mbit_per_s": round(statistics.median(bits) / 1e6, 1),
                **({"ratio_iperf": round(statistics.median(beside) / statistics.median(none), 3)}
                   if beside else {}),  # fmt: skip
            }
        )
    )
    return 0 if ratio >= arguments.goal else 1


if __name__ == "__main__":
    sys.exit(main())
