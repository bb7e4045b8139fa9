#!/usr/bin/env python3
"""How long a peer's network thread lets others wait while it exchanges at full rate on loopback, or
with --alone while its own training wants all cores.

Two peers exchange a large model without a pause; meanwhile each is asked for /healthz on a new
connection every few milliseconds. That takes three turns of the same loop that answers membership's
probes in one, so it is an upper bound of the time that a probe's answer takes. The peers' own
histogram says besides how late their timers fired.

    measure/answer_latency.py --seconds 20
    measure/answer_latency.py --alone --threads 2 --model gpt --batch 8 --dataset text:FILE

Prints one JSON object: {"p50_ms", "p99_ms", "max_ms", "lag_p99_ms", "lag_max_ms", "timers",
"exchange_gbit_per_s", "asked"}; lag_p99_ms is the bound of a bucket. Exits 1 when p99 is not below
--goal.
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
import time


def start(arguments, *more):
    command = [arguments.binary, "peer", "--json", "--threads", str(arguments.threads),
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
    """A newcomer that has no session yet says nothing of some."""
    found = re.search(rf"^starling_{name} (\S+)$", fetch(address, "/metrics"), re.M)
    return float(found[1]) if found else 0.0


def lag(address):
    """The histogram of how late timers fired: counts up to each bound."""
    found = re.findall(
        r'^starling_loop_lag_seconds_bucket\{le="(.*)"\} (\d+)$', fetch(address, "/metrics"), re.M
    )
    return {float(bound): int(count) for bound, count in found}


def lag_p99(before, after):
    """The bound below which 99 % of what came between two looks lies, and how much came."""
    counts = {bound: after[bound] - before[bound] for bound in after}
    total = max(counts.values())
    return min(bound for bound, count in counts.items() if count >= 0.99 * total), total


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="build/release/peer/starling")
    parser.add_argument("--dataset", default="idx:/usr/share/datasets/fashion-mnist")
    parser.add_argument("--model", default="mlp?hidden=2048,2048")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--encoding", default="f32")
    parser.add_argument("--threads", type=int, default=1, help="of each peer's training")
    parser.add_argument("--alone", action="store_true", help="one peer, which only trains")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--every-ms", type=float, default=5)
    parser.add_argument("--goal", type=float, default=20, help="p99 in ms")
    arguments = parser.parse_args()
    one, first = start(arguments, "--model", arguments.model, "--batch", str(arguments.batch),
                       "--mix-every", "1", "--encoding", arguments.encoding)  # fmt: skip
    peers, addresses = [one], [first["http"]]
    if not arguments.alone:
        other, second = start(arguments, "--join", first["listen"])
        peers.append(other)
        addresses.append(second["http"])
    awaited = ("steps_total", 1) if arguments.alone else ("exchanges_committed_total", 3)
    try:
        while min(metric(a, awaited[0]) for a in addresses) < awaited[1]:
            time.sleep(0.2)
        begin, before = time.monotonic(), metric(addresses[0], "exchange_payload_bytes_total")
        lag_before = lag(addresses[0])
        waits = []
        while time.monotonic() - begin < arguments.seconds:
            asked = time.monotonic()
            fetch(addresses[len(waits) % len(addresses)], "/healthz")
            waits.append(1e3 * (time.monotonic() - asked))
            time.sleep(arguments.every_ms / 1e3)
        elapsed = time.monotonic() - begin
        moved = metric(addresses[0], "exchange_payload_bytes_total") - before
        late, timers = lag_p99(lag_before, lag(addresses[0]))
        latest = metric(addresses[0], "loop_lag_max_seconds")
    finally:
        for peer in peers:
            peer.terminate()
        for peer in peers:
            peer.wait()
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)]
    print(
        json.dumps(
            {
                "p50_ms": round(waits[len(waits) // 2], 2),
                "p99_ms": round(p99, 2),
                "max_ms": round(waits[-1], 2),
                "lag_p99_ms": 1e3 * late,
                "lag_max_ms": round(1e3 * latest, 2),
                "timers": timers,
                "exchange_gbit_per_s": round(8e-9 * moved / elapsed, 2),
                "asked": len(waits),
            }
        )
    )
    return 0 if p99 < arguments.goal else 1


if __name__ == "__main__":
    sys.exit(main())
