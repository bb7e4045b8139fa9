#!/usr/bin/env python3
"""Exchange throughput beside iperf3 --bidir in the same run, as a ratio per encoding.

Both push payload in both directions at once between two processes over loopback. They alternate, so
that whatever else the machine does strikes both; each line holds the medians.

    measure/exchange_vs_iperf.py --binary build/release/peer/starling --seconds 3 --rounds 3

Prints one JSON object a line: {"encoding", "gbit_per_s", "iperf_gbit_per_s", "ratio",
"params_per_s"}; gbit_per_s counts payload of both directions, as iperf3's sum does.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_open(server, port):
    for _ in range(100):
        if server.poll() is not None:
            raise RuntimeError("iperf3 -s ended at once")
        with open("/proc/net/tcp") as table:
            if f":{port:04X} 00000000:0000 0A" in table.read():
                return
        with open("/proc/net/tcp6") as table:
            if f":{port:04X} 00000000000000000000000000000000:0000 0A" in table.read():
                return
        time.sleep(0.05)
    raise RuntimeError("iperf3 -s does not listen")


def iperf(seconds):
    port = free_port()
    server = subprocess.Popen(
        ["iperf3", "-s", "-1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_open(server, port)
        out = subprocess.run(
            ["iperf3", "-c", "127.0.0.1", "-p", str(port), "--bidir", "-t", str(seconds), "-J"],
            check=True,
            capture_output=True,
            timeout=60 + seconds,
        ).stdout
        end = json.loads(out)["end"]
        there = end["sum_received"]["bits_per_second"]
        back = end["sum_received_bidir_reverse"]["bits_per_second"]
        return (there + back) / 1e9
    finally:
        server.kill()
        server.wait()


def exchange(arguments, encoding):
    out = subprocess.run(
        [arguments.binary, "bench", "exchange", "--plain-tcp", "--encoding", encoding]
        + ["--params", str(arguments.params), "--seconds", str(arguments.seconds)],
        check=True,
        capture_output=True,
        timeout=120 + arguments.seconds,
    ).stdout
    line = json.loads(out)
    return line["gbit_per_s"], line["params_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="build/release/peer/starling")
    parser.add_argument("--params", type=int, default=100_000_000)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encodings", default="f32,bf16,lattice8,lattice4")
    arguments = parser.parse_args()
    reached = True
    for encoding in arguments.encodings.split(","):
        ours, rates, theirs = [], [], []
        for _ in range(arguments.rounds):
            gbit, params = exchange(arguments, encoding)
            ours.append(gbit)
            rates.append(params)
            theirs.append(iperf(arguments.seconds))
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(
            json.dumps(
                {
                    "encoding": encoding,
                    "gbit_per_s": round(statistics.median(ours), 2),
                    "iperf_gbit_per_s": round(statistics.median(theirs), 2),
                    "ratio": round(ratio, 3),
                    "params_per_s": round(statistics.median(rates)),
                }
            ),
            flush=True,
        )
        if encoding == "f32":
            reached = ratio >= 1.0
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
