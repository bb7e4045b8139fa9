#!/usr/bin/env python3
"""How long a peer's network thread lets others wait while it exchanges at full rate on loopback.

Two peers exchange a large model without a pause; meanwhile each is asked for /healthz on a new
connection every few milliseconds. That takes three turns of the same loop that answers membership's
probes in one, so it is an upper bound of the time that a probe's answer takes.

    tests/bench/answer_latency.py --seconds 20

Prints one JSON object: {"p50_ms", "p99_ms", "max_ms", "exchange_gbit_per_s", "asked"}; exits 1 when
p99 is not below --goal.
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
import time


def start(arguments, *more):
    command = [arguments.binary, "peer", "--json", "--threads", "1",
               "--dataset", arguments.dataset, *more]  # fmt: skip
    peer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while True:
        line = json.loads(peer.stdout.readline())
        if line["event"] == "listening":
            return peer, line


def fetch(address, path):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", path)
    body = connection.getresponse().read().decode()
    connection.close()
    return body


def metric(address, name):
    return float(re.search(rf"^starling_{name} (\S+)$", fetch(address, "/metrics"), re.M)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="build/release/peer/starling")
    parser.add_argument("--dataset", default="idx:/usr/share/datasets/fashion-mnist")
    parser.add_argument("--model", default="mlp?hidden=2048,2048")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--encoding", default="f32")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--every-ms", type=float, default=5)
    parser.add_argument("--goal", type=float, default=20, help="p99 in ms")
    arguments = parser.parse_args()
    one, first = start(arguments, "--model", arguments.model, "--batch", str(arguments.batch),
                       "--mix-every", "1", "--encoding", arguments.encoding)  # fmt: skip
    other, second = start(arguments, "--join", first["listen"])
    try:
        addresses = [first["http"], second["http"]]
        while min(metric(a, "exchanges_committed_total") for a in addresses) < 3:
            time.sleep(0.2)
        begin, before = time.monotonic(), metric(addresses[0], "exchange_payload_bytes_total")
        waits = []
        while time.monotonic() - begin < arguments.seconds:
            asked = time.monotonic()
            fetch(addresses[len(waits) % 2], "/healthz")
            waits.append(1e3 * (time.monotonic() - asked))
            time.sleep(arguments.every_ms / 1e3)
        elapsed = time.monotonic() - begin
        moved = metric(addresses[0], "exchange_payload_bytes_total") - before
    finally:
        for peer in (one, other):
            peer.terminate()
        for peer in (one, other):
            peer.wait()
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)]
    print(
        json.dumps(
            {
                "p50_ms": round(waits[len(waits) // 2], 2),
                "p99_ms": round(p99, 2),
                "max_ms": round(waits[-1], 2),
                "exchange_gbit_per_s": round(8e-9 * moved / elapsed, 2),
                "asked": len(waits),
            }
        )
    )
    return 0 if p99 < arguments.goal else 1


if __name__ == "__main__":
    sys.exit(main())
