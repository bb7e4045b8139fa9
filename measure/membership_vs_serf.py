#!/usr/bin/env python3
"""Starling's membership beside serf's (memberlist with Lifeguard), one table.

Agents of one kind run in one network namespace, each on an address of its own, so that all they say
crosses that namespace's loopback; for the halves they run in two, joined by a bridge. A cell is one
swarm: kind, size, profile, part, round. Cells are measured in turn, serf's and ours, and each is
appended to a file as one line of JSON; what stands there is not measured again, so an interrupted
run goes on where it stopped, and the table is made of the file.

    measure/membership_vs_serf.py --starling build/release/peer/starling --agents 16 48

Parts:
    idle    time until all see all; after a while bytes, CPU and memory, headers of IP included
    kills   kill -9 of one, five times: when the first suspects, the first knows, all know; then its
            restart under the same name, until all see all
    load    every core busy with a loop for a minute: who is called failed
    pauses  a tenth stopped for 3 s, three times: who is called failed
    halves  two halves cut from each other for a minute (packets vanish), then whole again
Needs root or namespaces for users, ip, iptables, serf. Numbers mean something on a quiet machine.
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "system"))
import namespaces  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


class Agent:
    """One process whose output lines become events (time, kind, name of the member)."""

    def __init__(self, index, machine, directory):
        self.index = index
        self.machine = machine
        self.host = machine.add_address()
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
            [*self.machine.enter, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.set_blocking(self.process.stdout.fileno(), False)


class Serf(Agent):
    label = "serf"
    pattern = re.compile(r"EventMember(Join|Failed|Leave|Update): (\S+)|Suspect (\S+) has failed")
    kinds = {"Join": "up", "Failed": "failed", "Leave": "left", "Update": "update"}

    @property
    def name(self):
        return f"agent-{self.index}"

    def start(self, seed, profile):
        self.spawn([
            "serf", "agent", f"-node={self.name}", f"-bind={self.host}:7946",
            f"-rpc-addr={self.host}:7373", f"-profile={profile}",
            *([f"-join={seed.host}"] if seed else []),
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

    def start(self, seed, profile):
        state = self.directory / f"peer-{self.index}"
        joining = []
        if seed:
            key = self.directory / "peer-0" / "swarm.key"
            while not key.exists():
                time.sleep(0.01)
            joining = ["--join", f"{seed.host}:7946", "--key", key]
        self.spawn([
            self.binary, "peer", "--json", "--membership-only", "--threads", "1", "--state", state,
            "--profile", profile, "--listen", f"{self.host}:7946", *joining,
        ])

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
    def __init__(self, kind, count, profile, seed, machines):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="membership-"))
        self.profile = profile
        self.luck = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.machines = machines
        self.agents = [
            kind(index, machines[index * len(machines) // count], self.directory)
            for index in range(count)
        ]

    def start(self, agent, seed):
        agent.start(seed, self.profile)
        self.selector.register(agent.process.stdout, selectors.EVENT_READ, agent)

    def form(self):
        """Starts all of them; returns the time from the first start until all see all."""
        # Whoever joins by an address where nobody listens yet gives up (serf) or waits (starling).
        begin = time.monotonic()
        founder, *others = self.agents
        self.start(founder, None)
        self.watch(self.whole, 10)
        for agent in others:
            self.start(agent, founder)
        self.watch(self.whole, 90)
        return time.monotonic() - begin if self.whole() else math.inf

    def restart(self, agent):
        """Returns the time until all see all again."""
        self.start(agent, next(other for other in self.agents if other is not agent))
        return self.watch(self.whole, 90)

    def watch(self, condition, seconds):
        """Reads events until the condition holds; returns the time that took, infinite if it never did."""
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
                return math.inf

    def pass_time(self, seconds):
        self.watch(None, seconds)

    def sees_all(self, agents):
        names = {agent.name for agent in agents}
        return None not in names and all(agent.alive == names for agent in agents)

    def whole(self):
        return self.sees_all([agent for agent in self.agents if agent.process])

    def kill(self, agent):
        """Returns when the first suspects, the first and the last knows, in seconds."""
        begin = time.monotonic()
        name = agent.name
        agent.process.kill()
        agent.process.wait()
        others = [other for other in self.agents if other is not agent]
        self.watch(lambda: all(name not in other.alive for other in others), 60)

        def first(other, kind):
            return min(
                (at - begin for at, what, who in other.events
                 if who == name and what == kind and at >= begin),
                default=math.inf,
            )

        failed = [first(other, "failed") for other in others]
        return min(first(other, "suspected") for other in others), min(failed), max(failed)

    def failures(self, since, excuse=lambda agent, name: False):
        return sum(
            1
            for agent in self.agents
            for at, what, who in agent.events
            if at >= since and what == "failed" and not excuse(agent, who)
        )

    def end(self):
        for agent in self.agents:
            if agent.process is None or agent.process.poll() is not None:
                continue
            agent.process.send_signal(signal.SIGCONT)
            agent.process.kill()
            agent.process.wait()
        self.selector.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def received(pid):
    """Bytes that the loopback device of a process's namespace has received."""
    for line in pathlib.Path(f"/proc/{pid}/net/dev").read_text().splitlines():
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


def measure_idle(swarm):
    swarm.pass_time(15)
    pids = [agent.process.pid for agent in swarm.agents]
    bytes_before, at = received(pids[0]), time.monotonic()
    cpu_before = sum(map(cpu_seconds, pids))
    swarm.pass_time(45)
    share = (time.monotonic() - at) * len(pids)
    sizes = [memory(pid) for pid in pids]
    return {
        "bytes_per_s": (received(pids[0]) - bytes_before) / share,
        "cpu_percent": 100 * (sum(map(cpu_seconds, pids)) - cpu_before) / share,
        "anonymous_mib": statistics.mean(size[0] for size in sizes),
        "pss_mib": statistics.mean(size[1] for size in sizes),
        "false_idle": swarm.failures(at),
    }


def measure_kills(swarm):
    found = {"suspected": [], "first_knows": [], "all_know": [], "restart": []}
    false = 0
    swarm.pass_time(2)
    for _ in range(5):
        victim = swarm.luck.choice(swarm.agents)
        at, name = time.monotonic(), victim.name
        for key, value in zip(found, swarm.kill(victim)):
            found[key].append(value)
        swarm.pass_time(1)
        found["restart"].append(swarm.restart(victim))
        swarm.pass_time(swarm.luck.uniform(1, 2))
        false += swarm.failures(at, lambda _, who: who == name)
    return {**found, "false_kills": false}


def measure_load(swarm):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    try:
        at = time.monotonic()
        swarm.pass_time(60)
        return {"false_load": swarm.failures(at)}
    finally:
        for loop in busy:
            loop.kill()
            loop.wait()


def measure_pauses(swarm):
    at = time.monotonic()
    for _ in range(3):
        stopped = swarm.luck.sample(swarm.agents, math.ceil(len(swarm.agents) / 10))
        for agent in stopped:
            agent.process.send_signal(signal.SIGSTOP)
        swarm.pass_time(3)
        for agent in stopped:
            agent.process.send_signal(signal.SIGCONT)
        swarm.pass_time(5)
    return {"false_pauses": swarm.failures(at)}


def measure_halves(swarm):
    halves = [[a for a in swarm.agents if a.machine is machine] for machine in swarm.machines]
    half_of = {agent.name: agent.machine for agent in swarm.agents}
    swarm.pass_time(5)
    at = time.monotonic()
    for machine in swarm.machines:
        machine.filter("INPUT", "-i", "eth0", "-j", "DROP")
    apart = swarm.watch(lambda: all(swarm.sees_all(half) for half in halves), 60)
    swarm.pass_time(at + 60 - time.monotonic())
    for machine in swarm.machines:
        machine.heal()
    return {
        "apart": apart,
        "healed": swarm.watch(swarm.whole, 150),
        "false_halves": swarm.failures(at, lambda agent, who: half_of[who] is not agent.machine),
    }


# What each part is measured by, in how many rounds, and about how long one takes, in seconds.
PARTS = {
    "kills": (measure_kills, 4, lambda count: 60 + count // 2),
    "idle": (measure_idle, 1, lambda count: 70),
    "pauses": (measure_pauses, 1, lambda count: 35),
    "halves": (measure_halves, 1, lambda count: 100 + count),
    "load": (measure_load, 1, lambda count: 75),
}
# Cells are the same when these are.
CELL = ("kind", "agents", "profile", "part", "round")


def measure(kind, agents, profile, part, number):
    machines = [namespaces.Machine() for _ in range(2 if part == "halves" else 1)]
    swarm = Swarm(kind, agents, profile, number, machines)
    try:
        cell = dict(zip(CELL, (kind.label, agents, profile, part, number)))
        cell["formed"] = swarm.form()
        cell.update(PARTS[part][0](swarm))
        return cell
    finally:
        swarm.end()
        for machine in machines:
            machine.remove()


def read_cells(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def wanted_cells(options):
    """All that are asked for, serf's and ours in turn."""
    for part in options.parts:
        for agents in options.agents:
            for number in range(1, (options.rounds or PARTS[part][1]) + 1):
                for kind in KINDS:
                    yield kind, agents, options.profile, part, number


def measure_missing(options):
    """Returns whether all is measured, and not only what fits the time."""
    begin = time.monotonic()
    known = {tuple(cell[key] for key in CELL) for cell in read_cells(options.results)}
    for kind, agents, profile, part, number in wanted_cells(options):
        if (kind.label, agents, profile, part, number) in known:
            continue
        if time.monotonic() - begin + PARTS[part][2](agents) > options.seconds:
            return False
        cell = measure(kind, agents, profile, part, number)
        print(json.dumps(cell), file=sys.stderr, flush=True)
        with options.results.open("a") as results:
            results.write(json.dumps(cell) + "\n")
    return True


def trio(values):
    values = sorted(values)
    return f"{values[0]:.2f} / {statistics.median(values):.2f} / {values[-1]:.2f} ({len(values)})"


def spread_row(key):
    def row(cells):
        values = [v for c in cells for v in (c[key] if isinstance(c[key], list) else [c[key]])]
        return trio(values), statistics.median(values)

    return key, row


def mean_row(key, digits):
    def row(cells):
        value = statistics.mean(cell[key] for cell in cells)
        return f"{value:.{digits}f}", value

    return key, row


def sum_row(key):
    return key, lambda cells: (str(sum(cell[key] for cell in cells)), None)


# Label of the row; what it is made of; most that ours over serf's may be, by the medians or means.
ROWS = (
    ("all see all, s", spread_row("formed"), None),
    ("bytes/s each, one way", mean_row("bytes_per_s", 0), 1.0),
    ("CPU each, % of a core", mean_row("cpu_percent", 2), 0.5),
    ("anonymous memory each, MiB", mean_row("anonymous_mib", 1), 0.7),
    ("PSS each, MiB", mean_row("pss_mib", 1), None),
    ("kill -9: first suspects, s", spread_row("suspected"), None),
    ("kill -9: first knows, s", spread_row("first_knows"), None),
    ("kill -9: all know, s", spread_row("all_know"), 0.8),
    ("restart: all see all, s", spread_row("restart"), None),
    ("halves cut: apart after, s", spread_row("apart"), None),
    ("halves cut 60 s: whole again, s", spread_row("healed"), None),
    ("false failures: idle", sum_row("false_idle"), None),
    ("false failures: kills", sum_row("false_kills"), None),
    ("false failures: all cores busy", sum_row("false_load"), None),
    ("false failures: 10 % paused 3 s", sum_row("false_pauses"), None),
    ("false failures: within a half", sum_row("false_halves"), None),
)


def print_table(cells, agents, profile):
    columns = [
        [c for c in cells if (c["kind"], c["agents"], c["profile"]) == (kind.label, agents, profile)]
        for kind in KINDS
    ]
    if not any(columns):
        return
    print(f"\n{agents} agents, profile {profile}; min / median / max (of)")
    print(f"{'':34}{'serf':>28}{'starling':>28}{'ratio':>8}{'goal':>6}")
    for label, (key, row), goal in ROWS:
        shown = []
        for column in columns:
            having = [cell for cell in column if key in cell]
            shown.append(row(having) if having else ("-", None))
        (theirs, a), (ours, b) = shown
        ratio = f"{b / a:.2f}" if a and b else ""
        print(f"{label:34}{theirs:>28}{ours:>28}{ratio:>8}{goal or '':>6}")


KINDS = (Serf, Starling)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starling", default="build/release/peer/starling")
    parser.add_argument("--agents", type=int, nargs="+", default=[16, 48])
    parser.add_argument("--profile", default="lan", choices=("lan", "local"))
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--rounds", type=int, help="of five kills each; default 4")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="begin nothing that would end later"
    )
    parser.add_argument(
        "--results", type=pathlib.Path, default=pathlib.Path("build/membership_vs_serf.jsonl")
    )
    parser.add_argument("--table", action="store_true", help="measure nothing")
    options = parser.parse_args()
    complete = True
    if not options.table:
        namespaces.enter()
        Starling.binary = str(pathlib.Path(options.starling).resolve())
        complete = measure_missing(options)
    cells = read_cells(options.results)
    for agents in sorted({cell["agents"] for cell in cells}):
        for profile in ("lan", "local"):
            print_table(cells, agents, profile)
    if not complete:
        print("\nnot complete: run again for the rest")


if __name__ == "__main__":
    main()
