"""Real peers as child processes for the system tests.

Goal: a test only says what it starts and what it waits for. Method: every peer runs with --json. Threads read
its lines and wake the test, which waits until a predicate holds or a deadline is over, and never for a fixed
time. At the end of a test the fixture ends only the processes that the test has started, by their id. If the
test has failed, it prints each peer's output.

Environment: STARLING is the binary; for builds with sanitizers, STARLING_TEST_SLOWDOWN multiplies
every deadline.
"""

import atexit
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("STARLING", str(ROOT / "build/dev/peer/starling"))
SLOWDOWN = float(os.environ.get("STARLING_TEST_SLOWDOWN", "1"))
SAMPLES = ROOT / "data/samples"
SAMPLES_SPEC = f"idx:{SAMPLES}"
SANITIZER_MARKS = ("Sanitizer", "runtime error:")
POLL_SECONDS = 0.1
LOG_LINES_MAX = 60


def scaled(seconds):
    return seconds * SLOWDOWN


def environment():
    """Returns an environment with one OpenMP thread: many processes share few cores, and sanitizers do not
    know OpenMP. Peers of other tests are not among those that `starling status` finds."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "XDG_RUNTIME_DIR": runtime_directory()}


@functools.cache
def runtime_directory():
    path = tempfile.mkdtemp(prefix="starling-run-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def run(*arguments, seconds=30, prefix=(), more=None):
    """Runs one command to its end, with `more` in its environment. Its caller looks at exit code, stdout and stderr."""
    return subprocess.run(
        [*prefix, BINARY, *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=scaled(seconds),
        env={**environment(), **(more or {})},
        check=False,
    )


@functools.cache
def samples_per_s_of_a_core():
    """Measures how many samples a second one core of this machine trains with this build."""
    result = run(
        "bench", "step", "--model", "mlp", "--threads", 1, "--seconds", 0.5, seconds=60
    )
    if result.returncode != 0:
        raise AssertionError(f"bench step failed: {result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])["per_s"]


def samples_for(seconds, after=0):
    """Returns a target for `--until` that all cores together reach after `seconds` or later, on any machine and
    with any build. A test uses it if it needs time while a swarm trains. The time begins when the swarm has
    trained `after` samples."""
    rate = samples_per_s_of_a_core() * len(os.sched_getaffinity(0))
    return f"samples={after + int(seconds * rate)}"


def http_get(address, path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=scaled(5)) as reply:
        return reply.read().decode()


class Peer:
    """One child process and everything that it has printed."""

    def __init__(self, news, name, arguments, prefix=()):
        self.name = name
        self.news = news  # one condition variable for the whole test: each line or exit notifies it
        self.events = []
        self.strange_lines = []
        self.errors = []
        self.arguments = [BINARY, *map(str, arguments)]
        self.process = subprocess.Popen(
            [*prefix, *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment(),
        )
        readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in readers:
            reader.start()
        self.code = None
        self._waiter = threading.Thread(target=self._wait, args=(readers,), daemon=True)
        self._waiter.start()

    def _read_events(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
                event["event"]
            except (ValueError, KeyError, TypeError):
                event = None
            with self.news:
                if event is None:
                    self.strange_lines.append(line.rstrip())
                else:
                    event["at"] = time.monotonic()
                    self.events.append(event)
                self.news.notify_all()

    def _read_errors(self):
        for line in self.process.stderr:
            with self.news:
                self.errors.append(line.rstrip())
                self.news.notify_all()

    def _wait(self, readers):
        code = self.process.wait()
        for reader in readers:
            reader.join()
        with self.news:
            self.code = code
            self.news.notify_all()

    # What it has printed. These need no lock: lists only grow, and a test that sees an old one asks again.

    def all(self, kind, **fields):
        return [
            event
            for event in list(self.events)
            if event["event"] == kind and all(event.get(k) == v for k, v in fields.items())
        ]

    def last(self, kind, **fields):
        found = self.all(kind, **fields)
        return found[-1] if found else None

    def ids_that_are(self, what):
        return {event["id"] for event in self.all("member", what=what)}

    @property
    def id(self):
        return self.last("listening")["id"]

    @property
    def address(self):
        return self.last("listening")["listen"]

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    @property
    def http(self):
        return self.last("listening")["http"]

    def progress(self, key, default=0):
        line = self.last("progress")
        value = line[key] if line else None
        return default if value is None else value

    def status(self):
        return json.loads(http_get(self.http, "/status"))

    def metric(self, name):
        for line in http_get(self.http, "/metrics").splitlines():
            if line.startswith(f"starling_{name} "):
                return float(line.split()[1])
        raise AssertionError(f"{self.name} has no metric starling_{name}")

    # Actions on it.

    def send(self, number):
        if self.code is None:
            self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)

    def close(self):
        self.process.wait()
        self._waiter.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def report(self):
        lines = [f"--- {self.name}: {' '.join(self.arguments[1:])}", f"    code {self.code}"]
        said = [json.dumps(event) for event in self.events] + self.strange_lines
        if len(said) > LOG_LINES_MAX:
            said = said[: LOG_LINES_MAX // 3] + ["..."] + said[-LOG_LINES_MAX:]
        lines += [f"    {line}" for line in said]
        lines += [f"  ! {line}" for line in self.errors[-4 * LOG_LINES_MAX :]]
        return "\n".join(lines)


class SwarmTestCase(unittest.TestCase):
    """Starts peers, waits for predicates, ends what it started."""

    def setUp(self):
        self.news = threading.Condition()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="starling-test-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.addCleanup(self._end_all)

    def _end_all(self):
        for peer in self.peers:
            peer.kill()
        for peer in self.peers:
            peer.close()
        broken = [
            peer.name
            for peer in self.peers
            if any(mark in line for line in peer.errors for mark in SANITIZER_MARKS)
        ]
        self.assertFalse(broken, "a sanitizer complained, see below")

    def run(self, result=None):
        def mishaps():
            return len(result.failures) + len(result.errors) if result else 0

        self.peers = []
        before = mishaps()
        result = super().run(result)
        if mishaps() > before:
            for peer in self.peers:
                print(peer.report(), file=sys.stderr)
        return result

    # Starting.

    def start(self, *arguments, name=None, prefix=()):
        """Starts a command of the program that prints JSON lines. `prefix` is put before it, for instance to
        run it in a namespace."""
        peer = Peer(self.news, name or f"process {len(self.peers) + 1}", arguments, prefix)
        self.peers.append(peer)
        return peer

    def start_peer(self, *arguments, name=None, threads=1, prefix=()):
        """Starts a peer and waits until it listens, on loopback if it is not told where."""
        where = () if "--listen" in arguments else ("--listen", "127.0.0.1:0")
        peer = self.start(
            "peer", "--json", "--threads", threads, *where, *arguments, name=name, prefix=prefix
        )
        self.wait_for(lambda: peer.last("listening"), 20, f"{peer.name} listens", peers=[peer])
        return peer

    def found(
        self, *arguments, dataset=SAMPLES_SPEC, model="mlp", seed=1, name="founder", prefix=()
    ):
        """Starts a peer that founds a swarm, or resumes one, and waits until it has read its data."""
        flags = ("--dataset", dataset, "--model", model, "--seed", seed)
        peer = self.start_peer(*flags, *arguments, name=name, prefix=prefix)
        self.wait_for(
            lambda: peer.last("founded") or peer.last("resumed"), 60, f"{name} has its data", peers=[peer]
        )
        return peer

    def join(self, seed_peer, *arguments, name=None):
        """Starts a peer that gets only an address, and the key if there is one."""
        given = list(seed_peer.arguments)
        if "--state" in given and "--key" not in arguments:
            key = pathlib.Path(given[given.index("--state") + 1]) / "swarm.key"
            if key.exists():
                arguments = ("--key", key, *arguments)
        return self.start_peer(
            "--join", seed_peer.address, *arguments, name=name or f"joiner {len(self.peers)}"
        )

    # Waiting.

    def wait_for(self, predicate, seconds, what, peers=()):
        """Waits until the predicate holds. It fails if one of `peers` ends before."""
        deadline = time.monotonic() + scaled(seconds)
        while True:
            with self.news:
                if predicate():
                    return
                gone = [p for p in peers if p.code is not None]
                left = deadline - time.monotonic()
                if gone and not predicate():
                    self.fail(f"{gone[0].name} ended with {gone[0].code} before: {what}")
                if left <= 0:
                    self.fail(f"not within {scaled(seconds):.0f} s: {what}")
                self.news.wait(min(left, 1.0))

    def poll(self, predicate, seconds, what):
        """Like wait_for, for a predicate that asks a peer, for instance over HTTP: it is tried again and again."""
        deadline = time.monotonic() + scaled(seconds)
        while True:
            try:
                if predicate():
                    return
            except (urllib.error.URLError, OSError):
                pass  # the peer does not serve yet, or not any more; we try again until the deadline
            left = deadline - time.monotonic()
            if left <= 0:
                self.fail(f"not within {scaled(seconds):.0f} s: {what}")
            with self.news:
                self.news.wait(min(left, POLL_SECONDS))

    def wait_for_training(self, peers, seconds=20):
        """Waits until all train. With few shards a peer may own none; then it only averages. A line comes once a
        second, so a peer may be in another state already when a line shows its first step."""
        self.wait_for(
            lambda: all(
                peer.all("progress", state="training")
                and (peer.progress("steps") > 0 or peer.progress("shards") == 0)
                for peer in peers
            ),
            seconds,
            "all of them train",
            peers=peers,
        )

    def wait_for_members(self, peers, count, seconds=20):
        self.wait_for(
            lambda: all(peer.progress("members") == count for peer in peers),
            seconds,
            f"all of them see {count} members",
            peers=peers,
        )

    def wait_for_exit(self, peers, seconds, code=0):
        self.wait_for(
            lambda: all(peer.code is not None for peer in peers),
            seconds,
            "all of " + ", ".join(peer.name for peer in peers) + " end",
        )
        for peer in peers:
            self.assertEqual(peer.code, code, f"exit code of {peer.name}")

    # Judging.

    def assert_only_failed(self, peers, dead=frozenset()):
        """Checks that no live peer was declared failed. It does so only for builds of normal speed: membership's
        times are fixed, and a peer that a sanitizer makes ten times slower is really late."""
        for peer in peers if SLOWDOWN == 1 else []:
            self.assertLessEqual(peer.ids_that_are("failed"), set(dead), peer.name)

    def assert_agreed(self, finals, settle=1e-3):
        """Checks that peers that have settled have the same model, up to the tolerance of the swarm."""
        for final in finals:
            self.assertLess(final["spread"], settle)
            self.assertAlmostEqual(final["accuracy"], finals[0]["accuracy"], delta=0.02)
            self.assertAlmostEqual(final["loss"], finals[0]["loss"], delta=0.02)


def main():
    unittest.main(verbosity=2)
