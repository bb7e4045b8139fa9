#!/usr/bin/env python3
"""Starling's membership beside serf's (memberlist with Lifeguard) on loopback, one table.

Starts N agents of each kind in turn in a network namespace of their own (root needed) and prints: the
time until all see all; bytes, CPU and memory while idle; the time from `kill -9` to the first and to
the last member that lists it failed, and until a restarted one is known to all; false failures while a
tenth of the agents are stopped for 3 s each. Traffic is what `lo` received, headers of IP included, by
agent and second: one direction.

    sudo tests/bench/membership_vs_serf.py --starling build/release/peer/starling --agents 16 --kills 5
"""

import argparse
import json
import math
import os
import pathlib
import random
import re
import selectors
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


class Agent:
    """One process whose output lines become events (time, kind, name of the member)."""

    def __init__(self, index, directory):
        self.index = index
        self.directory = directory
        self.process = None
        self.alive = set()
        self.events = []
        self.rest = b""

    def feed(self, now, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            event = self.parse(line.decode(errors="replace"))
            if event is None:
                continue
            kind, name = event
            self.events.append((now, kind, name))
            if kind == "up":
                self.alive.add(name)
            elif kind in ("failed", "left"):
                self.alive.discard(name)

    def spawn(self, arguments):
        self.alive = set()
        self.rest = b""
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        os.set_blocking(self.process.stdout.fileno(), False)


class Serf(Agent):
    label = "serf"
    pattern = re.compile(r"EventMember(Join|Failed|Leave|Update): (\S+)|Suspect (\S+) has failed")
    kinds = {"Join": "up", "Failed": "failed", "Leave": "left", "Update": "update"}

    @property
    def name(self):
        return f"agent-{self.index}"

    @property
    def address(self):
        return f"127.0.0.{11 + self.index}"

    def start(self, agents, profile):
        self.spawn([
            "serf", "agent", f"-node={self.name}", f"-bind={self.address}:7946",
            f"-rpc-addr={self.address}:7373", f"-profile={profile}",
            *([f"-join={agents[0].address}"] if self.index else [f"-join={agents[1].address}"]
              if self.events else []),
        ])

    def parse(self, line):
        found = self.pattern.search(line)
        if not found:
            return None
        if found.group(3):
            return "suspected", found.group(3)
        # A line names all members of one event: "a b" never occurs with one address each.
        return self.kinds[found.group(1)], found.group(2)


class Starling(Agent):
    label = "starling"
    binary = "starling"

    name = None

    @property
    def address(self):
        return f"127.0.0.{11 + self.index}:7946"

    def start(self, agents, profile):
        state = self.directory / f"peer-{self.index}"
        arguments = [
            self.binary, "peer", "--json", "--membership-only", "--state", state, "--profile", profile,
            "--listen", self.address, "--threads", "1",
        ]
        if self.index or self.events:
            other = agents[0] if self.index else agents[1]
            key = self.directory / "peer-0" / "swarm.key"
            while not key.exists():
                time.sleep(0.01)
            arguments += ["--join", other.address, "--key", key]
        self.spawn([str(argument) for argument in arguments])

    def parse(self, line):
        if not line.startswith("{"):
            return None
        event = json.loads(line)
        if event["event"] == "listening":
            self.name = event["id"]
            return "up", self.name
        if event["event"] != "member":
            return None
        return event["what"], event["id"]


class Swarm:
    def __init__(self, kind, count, profile, seed):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="membership-"))
        self.profile = profile
        self.luck = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.agents = [kind(index, self.directory) for index in range(count)]

    def start(self, agent):
        agent.start(self.agents, self.profile)
        self.selector.register(agent.process.stdout, selectors.EVENT_READ, agent)

    def watch(self, condition, seconds):
        """Reads events until the condition holds; returns the time that took, or None."""
        begin = time.monotonic()
        while True:
            for key, _ in self.selector.select(0.005):
                data = key.fileobj.read()
                if data == b"":
                    self.selector.unregister(key.fileobj)
                elif data:
                    key.data.feed(time.monotonic(), data)
            passed = time.monotonic() - begin
            if condition is not None and condition():
                return passed
            if passed >= seconds:
                return None

    def living(self):
        return [agent for agent in self.agents if agent.process and agent.process.poll() is None]

    def whole(self):
        living = self.living()
        names = {agent.name for agent in living}
        return None not in names and all(agent.alive >= names for agent in living)

    def kill(self, agent):
        """Returns when the first suspects, the first and the last knows, in seconds."""
        begin = time.monotonic()
        name = agent.name
        agent.process.kill()
        agent.process.wait()
        others = [other for other in self.agents if other is not agent]
        self.watch(lambda: all(name not in other.alive for other in others), 60)

        def times(kind):
            return [
                at - begin
                for other in others
                for at, what, who in other.events
                if who == name and what == kind and at >= begin
            ]

        suspected, failed = times("suspected"), times("failed")
        known = len(failed) >= len(others)
        return (
            min(suspected, default=math.nan),
            min(failed, default=math.nan),
            max(failed) if known else math.nan,
        )

    def false_failures(self, since, paused=frozenset()):
        return sum(
            1
            for agent in self.agents
            for at, what, who in agent.events
            if at >= since and what == "failed"
        )

    def end(self):
        for agent in self.living():
            agent.process.send_signal(signal.SIGCONT)
            agent.process.kill()
            agent.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def received():
    for line in pathlib.Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    return 0


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid):
    """Returns anonymous memory and proportional set size in MiB."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    value = dict(re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE))
    return int(value["Anonymous"]) / 1024, int(value["Pss"]) / 1024


def trio(values):
    values = sorted(values)
    if not values:
        return "-"
    return f"{values[0]:.2f} / {statistics.median(values):.2f} / {values[-1]:.2f}"


def measure(kind, options):
    swarm = Swarm(kind, options.agents, options.profile, options.seed)
    rows = {}
    try:
        begin = time.monotonic()
        for agent in swarm.agents:
            swarm.start(agent)
        formed = swarm.watch(swarm.whole, 90)
        rows["all see all, s"] = "never" if formed is None else f"{time.monotonic() - begin:.2f}"
        swarm.watch(None, options.settle)
        before, at = received(), time.monotonic()
        cpu = sum(cpu_seconds(agent.process.pid) for agent in swarm.agents)
        swarm.watch(None, options.idle)
        seconds = time.monotonic() - at
        count = len(swarm.agents)
        rows["idle: bytes/s each, one way"] = f"{(received() - before) / seconds / count:.0f}"
        cpu = sum(cpu_seconds(agent.process.pid) for agent in swarm.agents) - cpu
        rows["idle: CPU each, % of a core"] = f"{100 * cpu / seconds / count:.2f}"
        sizes = [memory(agent.process.pid) for agent in swarm.agents]
        rows["memory each, MiB: anonymous"] = f"{statistics.mean(size[0] for size in sizes):.1f}"
        rows["memory each, MiB: PSS"] = f"{statistics.mean(size[1] for size in sizes):.1f}"
        rows["idle: false failures"] = str(swarm.false_failures(at))
        kills, restarts = [], []
        for _ in range(options.kills):
            victim = swarm.luck.choice(swarm.agents)
            kills.append(swarm.kill(victim))
            swarm.watch(None, 1)
            swarm.start(victim)
            restarts.append(swarm.watch(swarm.whole, 90) or math.inf)
            swarm.watch(None, swarm.luck.uniform(1, 2))
        for place, label in enumerate(("first suspects", "first knows", "all know")):
            rows[f"kill -9: {label}, s"] = trio([kill[place] for kill in kills])
        rows["restart: all see all, s"] = trio(restarts)
        at = time.monotonic()
        for _ in range(options.pauses):
            stopped = swarm.luck.sample(swarm.agents, math.ceil(count / 10))
            for agent in stopped:
                agent.process.send_signal(signal.SIGSTOP)
            swarm.watch(None, 3)
            for agent in stopped:
                agent.process.send_signal(signal.SIGCONT)
            swarm.watch(None, 5)
        rows["SIGSTOP 3 s: false failures"] = str(swarm.false_failures(at))
    finally:
        swarm.end()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starling", default="build/release/peer/starling")
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--pauses", type=int, default=3)
    parser.add_argument("--idle", type=float, default=30)
    parser.add_argument("--settle", type=float, default=5)
    parser.add_argument("--profile", default="lan", choices=("lan", "local"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("serf", "starling"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv, "--inside"])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Starling.binary = str(pathlib.Path(options.starling).resolve())
    kinds = [kind for kind in (Serf, Starling) if options.only in (None, kind.label)]
    tables = [measure(kind, options) for kind in kinds]
    print(f"{options.agents} agents, profile {options.profile}; min / median / max of {options.kills} kills")
    print(f"{'':32}" + "".join(f"{kind.label:>24}" for kind in kinds))
    for row in tables[0]:
        print(f"{row:32}" + "".join(f"{table[row]:>24}" for table in tables))


if __name__ == "__main__":
    main()
