#!/usr/bin/env python3
"""A stand-in for `starling peer` that trains nothing. It prints the lines that scripts rely on.

A peer holds one TCP connection to the peer by which it joined, so that it notices the crash of that
peer as real members do. The founder tells joiners how many steps to make, as a swarm's descriptor
does. STARLING_FAKE contains `key=value` pairs, separated by commas, that say what goes wrong, and
for which seed. `wait` is the number of joiners for which the founder waits. `linger` is the seed of
a peer that waits for one newcomer. `victim` is the seed of a peer that does not end by itself; the
peers that joined by it wait for its end.
"""

import hashlib
import json
import os
import select
import socket
import sys


def say(event, **fields):
    print(json.dumps({"event": event, "id": own_id, **fields}), flush=True)


def parse_flags(words):
    return {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("--")}


def connect(address):
    host, port = address.rsplit(":", 1)
    link = socket.create_connection((host, int(port)))
    hello = b""
    while not hello.endswith(b"\n"):  # and not a byte more: a goodbye may follow at once
        byte = link.recv(1)
        if not byte:
            sys.exit(f"{address} hung up")
        hello += byte
    return link, json.loads(hello)


def id_of(seed):
    return hashlib.sha256(seed.encode()).hexdigest()


flags = parse_flags(sys.argv[2:])
fake = dict(pair.split("=") for pair in os.environ.get("STARLING_FAKE", "").split(",") if pair)
seed = flags["--seed"]
own_id = id_of(seed)
if fake.get("refuse") == seed:
    sys.exit(print("--model: there is no 'nonsense'", file=sys.stderr) or 2)
server = socket.create_server(("127.0.0.1", 0))
until = {"steps": 300}
seed_link, seed_id = None, None
if "--join" in flags:
    seed_link, hello = connect(flags["--join"])
    seed_id, until = hello["id"], hello["until"]
elif "--until" in flags:
    key, value = flags["--until"].split("=")
    until = {"steps": 300, key: float(value)}

say("listening", listen="127.0.0.1:%d" % server.getsockname()[1], http="127.0.0.1:1")
say("joined" if seed_link else "founded", arguments=sys.argv[1:], omp=os.environ["OMP_NUM_THREADS"])
links, steps = [], 0
# The founder counts its joiners, and a joiner all of them until it sees one die.
members = int(fake.get("wait", 0)) + 1


def serve(patience):
    global seed_link, members
    readable, _, _ = select.select(
        [server] + ([seed_link] if seed_link else []), [], [], patience
    )
    if server in readable:
        link, _ = server.accept()
        link.sendall((json.dumps({"id": own_id, "until": until}) + "\n").encode())
        links.append(link)
    if seed_link in readable:
        if not seed_link.recv(16):  # a peer that leaves says goodbye
            event = {"event": "member", "what": "failed", "id": seed_id}
            print(json.dumps(event), flush=True)
            members -= 1
        seed_link.close()
        seed_link = None


while "--join" not in flags and len(links) < int(fake.get("wait", 0)):
    serve(1)
while steps < until["steps"]:
    serve(0.002)
    steps += 1
    if fake.get("crash") == seed and steps == 50:
        sys.exit(print("out of cheese", file=sys.stderr) or 3)
    if steps % 10 == 0:
        say("progress", state="training", steps=steps, samples=32 * steps, samples_per_s=100.0,
            loss=1.0 / steps, accuracy=None if steps < 100 else 0.9, spread=0.01, exchanges=steps,
            shards=4, held=4, members=members, swarm_samples=32 * steps, target=steps >= 100)
while fake.get("victim") == seed or (seed_link and seed_id == id_of(fake.get("victim", ""))):
    serve(1)
while fake.get("linger") == seed and not links:
    serve(1)
if fake.get("silent") != seed:
    say("final", accuracy=0.9, loss=0.1, samples=32 * steps, steps=steps, spread=0.01, seconds=1.0,
        bytes=1000, exchanges=steps)
for link in links:
    try:
        link.sendall(b"bye")
    except OSError:
        pass
