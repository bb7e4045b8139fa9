"""The runs of learning tables: real peers as child processes, and how a cell is played through with them."""

import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time

FASHION = "idx:/usr/share/datasets/fashion-mnist"


class Peer:
    """One `starling peer` process and what it says."""

    def __init__(self, binary, arguments):
        self.events = {}  # the last one of each kind
        self.exchanged_at = time.monotonic()
        self.verified_at = None  # the whole test set says that the target is met
        self.gap = 0.0
        self.exchanges = 0
        self.errors = []
        self.process = subprocess.Popen(
            [binary, "peer", "--json", "--threads", "1", *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._complain)]
        for thread in self.threads:
            thread.start()

    def _listen(self):
        for line in self.process.stdout:
            event = json.loads(line)
            self.events[event["event"]] = event
            if event.get("state") == "lingering" and self.verified_at is None:
                self.verified_at = time.monotonic()
            if event.get("exchanges", self.exchanges) > self.exchanges:
                self.exchanges = event["exchanges"]
                self.exchanged_at = time.monotonic()

    def _complain(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip())

    def wait_for(self, kind, seconds):
        deadline = time.monotonic() + seconds
        while kind not in self.events:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no '{kind}' from a peer: {' | '.join(self.errors[-3:])}")
            time.sleep(0.05)
        return self.events[kind]

    @property
    def address(self):
        return self.events["listening"]["listen"]

    @property
    def progress(self):
        return self.events.get("progress", {})

    def running(self):
        return self.process.poll() is None

    def send(self, number):
        if self.running():
            self.process.send_signal(number)

    def end(self):
        self.send(signal.SIGKILL)
        self.process.wait()
        for thread in self.threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()


class Swarm:
    """Founds a swarm of peers that begin together; ends whatever is left of it."""

    def __init__(self, binary, peers, founder, seed, state=None):
        self.binary, self.seed, self.state, self.founder, self.peers = binary, seed, state, founder, []
        self.directories = {}
        self.begun = time.monotonic()
        try:
            self.start(["--wait-for", peers, *founder])
            for _ in range(peers - 1):
                self.join()
        except BaseException:
            self.end()
            raise

    def start(self, arguments):
        number = len(self.peers) + 1
        arguments = ["--seed", self.seed * 1000 + number, "--profile", "local", *arguments]
        if self.state:
            directory = pathlib.Path(self.state) / f"peer-{number}"
            arguments += ["--state", directory]
        peer = Peer(self.binary, arguments)
        self.peers.append(peer)
        if self.state:
            self.directories[peer] = directory
        peer.wait_for("listening", 120)
        return peer

    def join(self):
        via = [peer for peer in self.peers if peer.running()]
        key = ["--key", self.directories[self.peers[0]] / "swarm.key"] if self.state else []
        dataset = self.founder[self.founder.index("--dataset") + 1]
        return self.start(["--join", ",".join(peer.address for peer in via[:3]), "--dataset", dataset, *key])

    def wait(self, seconds):
        """Waits for all finals; a peer that fails fails the run."""
        deadline = time.monotonic() + seconds
        while any(peer.running() for peer in self.peers):
            for peer in self.peers:
                if peer.process.poll() not in (None, 0):
                    raise RuntimeError(f"a peer ended with {peer.process.returncode}: {' | '.join(peer.errors[-3:])}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not done after {seconds:.0f} s")
            time.sleep(0.1)
        return [peer.events["final"] for peer in self.peers]

    def verified_after(self):
        """Seconds until the first peer had measured the target on the whole test set."""
        return round(min(peer.verified_at for peer in self.peers if peer.verified_at) - self.begun, 1)

    def end(self):
        for peer in self.peers:
            peer.send(signal.SIGCONT)
            peer.end()


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def summary(finals):
    """One line for a run: means over its peers, which hold one model but for the settled distance."""
    return {
        "accuracy": mean(final["accuracy"] for final in finals),
        "loss": mean(final["loss"] for final in finals),
        "spread": max(final["spread"] or 0.0 for final in finals),
        "steps": mean(final["steps"] for final in finals),
        "samples": sum(final["samples"] for final in finals),
        "exchanges": sum(final["exchanges"] for final in finals),
        "bytes": sum(final["bytes"] for final in finals),
        "seconds": max(final["seconds"] for final in finals),
    }


def train(options, cell, seed):
    """A swarm to its end."""
    peers = cell.get("peers", 1)
    swarm = Swarm(options.binary, peers, arguments_of(cell, options), seed)
    try:
        return {**summary(swarm.wait(options.patience)), "verified_s": swarm.verified_after()}
    finally:
        swarm.end()


def straggle(options, cell, seed):
    """Like train, with the last peer stopped for nine tenths of the time, in slices too short for anybody to call it
    dead. Its share of the processor goes to the others unless there is a core for each."""
    peers = cell["peers"]
    swarm = Swarm(options.binary, peers, arguments_of(cell, options), seed)
    done = threading.Event()

    def slow():
        while not done.wait(0.01):
            swarm.peers[-1].send(signal.SIGSTOP)
            done.wait(0.09)
            swarm.peers[-1].send(signal.SIGCONT)

    thread = threading.Thread(target=slow)
    try:
        for peer in swarm.peers:
            wait_for(lambda peer=peer: peer.progress.get("steps", 0) > 0, 300)
        thread.start()
        return {**summary(swarm.wait(options.patience)), "verified_s": swarm.verified_after()}
    finally:
        done.set()
        if thread.ident:
            thread.join()
        swarm.end()


def live_for(options, cell, seed):
    """A swarm that runs for a time, while a random peer is killed or one is started every five seconds; then every
    survivor leaves and its checkpoint is evaluated on the whole test set."""
    duration = cell["duration"] * options.scale
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="starling-learn-") as state:
        swarm = Swarm(options.binary, cell["peers"], arguments_of(cell, options), seed, state)
        try:
            for peer in swarm.peers:
                wait_for(lambda peer=peer: peer.progress.get("steps", 0) > 0, 300)
            gap, kills, begun = 0.0, 0, time.monotonic()
            next_strike = begun + 5
            while time.monotonic() - begun < duration:
                time.sleep(0.2)
                now = time.monotonic()
                alive = [peer for peer in swarm.peers if peer.running()]
                gap = max(gap, now - max(peer.exchanged_at for peer in alive))
                if not cell.get("churn") or now < next_strike:
                    continue
                next_strike += 5
                if len(alive) >= cell["peers"] or (len(alive) > cell["peers"] // 2 and generator.random() < 0.5):
                    generator.choice(alive).send(signal.SIGKILL)
                    kills += 1
                else:
                    swarm.join()
            alive = [peer for peer in swarm.peers if peer.running()]
            for peer in alive:
                peer.send(signal.SIGTERM)
            for peer in alive:
                peer.process.wait(60)
            judged = [evaluate(options, swarm.directories[peer]) for peer in alive if peer.progress.get("steps", 0)]
            return {
                "accuracy": mean(result["accuracy"] for result in judged),
                "loss": mean(result["loss"] for result in judged),
                "peers_at_the_end": len(alive), "kills": kills, "longest_gap_s": round(gap, 2),
                "samples": sum(peer.progress.get("samples", 0) for peer in swarm.peers), "seconds": duration,
            }
        finally:
            swarm.end()


def evaluate(options, state):
    line = subprocess.run(
        [options.binary, "eval", "--state", str(state), "--dataset", FASHION, "--threads", "1"],
        capture_output=True, text=True, check=True,
    ).stdout
    return json.loads(line)


def wait_for(predicate, seconds):
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise RuntimeError(f"peers did not begin within {seconds} s")
        time.sleep(0.05)


def arguments_of(cell, options):
    """The founder's flags. `steps` shrink with --scale, and with them whatever a schedule counts."""
    flags = []
    steps = cell.get("steps")
    for key, value in cell["flags"].items():
        if steps:
            value = str(value).replace("{steps}", str(scaled(steps, options)))
            value = value.replace("{warmup}", str(max(1, scaled(steps, options) // 20)))
        flags += ["--" + key, value]
    if steps:
        flags += ["--until", f"steps={scaled(steps, options)}"]
    return flags


def scaled(steps, options):
    return max(20, round(steps * options.scale))
