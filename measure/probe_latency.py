#!/usr/bin/env python3
"""How long membership's probes wait for their answers while two peers exchange without a pause.

Two peers in namespaces, on a pair of links with a token bucket or without a limit, or with --delay
behind a router with a queue of 50 ms, average after every step. What they say in /metrics of their
probes is read before and after: how many were sent, how many were answered directly, and in which
time. Needs root and iproute2.

    measure/probe_latency.py --rate 100 --seconds 120
    measure/probe_latency.py --rate 100 --delay 10 --congestion cubic --goal 50

Prints one JSON object: {"mbit", "probes", "answered", "p99_at_most_ms", "mean_ms",
"max_since_start_ms", "exchange_mbit_per_s"}, of both peers together; p99 is the bound of the bucket
that holds it. Exits 1 when it is above --goal or fewer than 99 % of the probes were answered.
"""

import argparse
import json
import re
import sys
import time

import links
import train_shaped

BUCKET = re.compile(r'probe_rtt_seconds_bucket\{le="(.*)"\}')
UNLIMITED = 100_000  # Mbit/s: no limit to a pair on one machine


def look(spaces):
    """The counters of all peers together, and the longest wait of any since its start."""
    seen = [train_shaped.metrics(space) for space in spaces]
    longest = max(one["probe_rtt_max_seconds"] for one in seen)
    return {name: sum(one[name] for one in seen) for name in seen[0]}, longest


def p99(grown):
    """The bound in seconds of the bucket that holds the 99th of a hundred answers."""
    buckets = [(float(m[1]), count) for name, count in grown.items() if (m := BUCKET.match(name))]
    total = max(count for _, count in buckets)
    return min(bound for bound, count in buckets if count >= 0.99 * total)


def measure(arguments, spaces):
    with train_shaped.pair(arguments, *spaces, True, ["--profile", arguments.profile]):
        begin, (before, _) = time.monotonic(), look(spaces)
        time.sleep(arguments.seconds)
        (after, longest), elapsed = look(spaces), time.monotonic() - begin
    return {name: after[name] - before[name] for name in after}, longest, elapsed


def network(arguments):
    rate = arguments.rate or UNLIMITED
    if arguments.delay > 0:
        return links.routed(arguments.router, rate, arguments.delay)
    return links.shaped(rate)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="build/release/peer/starling")
    parser.add_argument("--dataset", default="idx:/usr/share/datasets/fashion-mnist")
    parser.add_argument("--model", default="mlp?hidden=2048,2048")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--encoding", default="f32")
    parser.add_argument("--profile", default="local", help="membership's timing: local, lan, wan")
    parser.add_argument("--rate", type=int, default=100, help="Mbit/s each way; 0: no limit")
    parser.add_argument("--delay", type=float, default=0, help="round trip in ms, by a router")
    parser.add_argument("--router", default="build/release/tests/bench/tun_router")
    parser.add_argument("--congestion", help="the kernel's congestion control, such as cubic")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--goal", type=float, default=20, help="p99 in ms")
    arguments = parser.parse_args()
    with network(arguments) as spaces:
        for space in spaces if arguments.congestion else ():
            space.sysctl("net.ipv4.tcp_congestion_control", arguments.congestion)
        grown, longest, elapsed = measure(arguments, spaces)
    answered = grown["probe_rtt_seconds_count"]
    bound = 1e3 * p99(grown)
    print(
        json.dumps(
            {
                "mbit": arguments.rate or None,
                "probes": int(grown["probes_total"]),
                "answered": int(answered),
                "p99_at_most_ms": bound,
                "mean_ms": round(1e3 * grown["probe_rtt_seconds_sum"] / answered, 2),
                "max_since_start_ms": round(1e3 * longest, 2),
                # Each peer counts what it sends and what it receives.
                "exchange_mbit_per_s": round(
                    4e-6 * grown["exchange_payload_bytes_total"] / elapsed, 1
                ),
            }
        )
    )
    return 0 if bound <= arguments.goal and answered >= 0.99 * grown["probes_total"] else 1


if __name__ == "__main__":
    sys.exit(main())
