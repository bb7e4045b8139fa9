#!/usr/bin/env python3
"""Exchange throughput on slow links beside iperf3 --bidir on the same link, in the same run.

Two network namespaces; the link between them is a veth pair with a token bucket (--delay 0) or a
userspace router that holds each packet back (--delay MS, round trip). Rounds of both alternate;
each line holds the medians. Needs root, iproute2, iperf3, and for delay the program tun_router.

    measure/exchange_shaped.py --rates 1000,100 --delays 0,100

Prints one JSON object a line: {"mbit", "delay_ms", "encoding", "mbit_per_s", "iperf_mbit_per_s",
"ratio", "goal", "params_per_s"}; mbit_per_s counts payload of both directions, as iperf3's sum does.
Exits 1 when f32 misses a goal: 97 % of iperf3, with delay 90 %.
"""

import argparse
import json
import statistics
import subprocess
import sys

import links

PORT = 7400


def exchange(arguments, encoding, params, one, other):
    common = [arguments.binary, "bench", "exchange", "--plain-tcp", "--encoding", encoding,
              "--params", str(params), "--seconds", str(arguments.seconds)]  # fmt: skip
    at = f"{other.address}:{PORT}"
    server = other.popen([*common, "--listen", at], stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        client = one.popen([*common, "--connect", at], stdout=subprocess.PIPE)
        out, _ = client.communicate(timeout=300 + 4 * arguments.seconds)
        line = json.loads(out)
        return line["bytes_per_s"] * 8, line["params_per_s"]
    finally:
        server.kill()
        server.wait()


def measure(arguments, rate, delay, encoding):
    # An exchange takes two seconds of the link, or sixty round trips, so that its two ends weigh little;
    # 100 M parameters, as on loopback, take longer still on all of these links but the first.
    params = arguments.params or int(rate * 1e6 / 8 * max(2, 0.06 * delay) / 4)
    link = links.routed(arguments.router, rate, delay) if delay else links.shaped(rate)
    ours, rates, theirs = [], [], []
    with link as (one, other):
        for _ in range(arguments.rounds):
            bits, per_s = exchange(arguments, encoding, params, one, other)
            ours.append(bits)
            rates.append(per_s)
            theirs.append(links.iperf_bidir(one, other, arguments.seconds))
    goal = 0.90 if delay else 0.97
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(
        json.dumps(
            {
                "mbit": rate,
                "delay_ms": delay,
                "encoding": encoding,
                "params": params,
                "mbit_per_s": round(statistics.median(ours) / 1e6, 1),
                "iperf_mbit_per_s": round(statistics.median(theirs) / 1e6, 1),
                "ratio": round(ratio, 3),
                "goal": goal,
                "params_per_s": round(statistics.median(rates)),
            }
        ),
        flush=True,
    )
    return encoding != "f32" or ratio >= goal


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="build/release/peer/starling")
    parser.add_argument("--router", default="build/release/tests/bench/tun_router")
    parser.add_argument("--rates", default="1000,100", help="Mbit/s each way")
    parser.add_argument("--delays", default="0,100", help="round trip in ms")
    parser.add_argument("--encodings", default="f32")
    parser.add_argument("--params", type=int, default=0, help="0: two seconds of the link or more")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    reached = [
        measure(arguments, int(rate), int(delay), encoding)
        for delay in arguments.delays.split(",")
        for rate in arguments.rates.split(",")
        for encoding in arguments.encodings.split(",")
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
