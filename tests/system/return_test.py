"""Goal: when all peers have been killed, they go on as one swarm with the model that has learned the most, in
whatever order they start; a newcomer that is killed while it fetches need not begin anew; and whoever dies at any
moment resumes. Method: real peers with state directories, killed with SIGKILL and started again. The slow tests
repeat this: STARLING_RETURNS and STARLING_KILLS say how often."""

import os
import random
import time

from export_test import read_safetensors
from swarm_fixture import SLOWDOWN, SwarmTestCase, main, run

# 2.8 million parameters in 44 chunks.
WIDE = "mlp?hidden=2048,600"
WIDE_CHUNKS = 44


def share_of_way(start, end, here):
    """How far `here` is on the way from `start` to `end`: 0 at the start, 1 at the end. What training adds in
    other directions does not count."""
    way = [b - a for a, b in zip(start, end)]
    gone = [c - a for a, c in zip(start, here)]
    return sum(w * g for w, g in zip(way, gone)) / sum(w * w for w in way)


def counts(peer):
    """Whether a peer says that it counts in the sum of all."""
    try:
        return not peer.status()["members"][0]["ghost"]
    except OSError:
        return False


class ReturnCase(SwarmTestCase):
    def kill(self, peers):
        for peer in peers:
            peer.kill()
        for peer in peers:
            peer.process.wait()

    def founded(self, count, *flags, **what):
        """Starts a swarm whose peers keep their states. Returns peers and directories."""
        states = [self.directory / f"peer-{number}" for number in range(count)]
        founder = self.found("--state", states[0], *flags, **what)
        joiners = [self.join(founder, "--state", state, *flags) for state in states[1:]]
        peers = [founder, *joiners]
        self.wait_for_members(peers, count, seconds=60)
        self.wait_for_training(peers, seconds=60)
        return peers, states

    def again(self, state, *flags):
        return self.start_peer("--state", state, *flags, name=state.name)

    def kept_at(self, state):
        """Returns when the newest checkpoint was written."""
        try:
            return (state / "checkpoint").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def wait_for_checkpoints(self, states):
        """Waits until each has written one that was begun from now on."""
        before = [self.kept_at(state) for state in states]
        for _ in range(2):
            self.poll(
                lambda: all(self.kept_at(s) != b for s, b in zip(states, before)),
                60,
                "all have written a checkpoint",
            )
            before = [self.kept_at(state) for state in states]

    def parameters(self, state):
        """Returns all parameters of the newest checkpoint."""
        file = self.directory / "parameters.safetensors"
        result = run("export", "--state", state, "--output", file)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [value for _, (_, values) in sorted(read_safetensors(file).items()) for value in values]


class Returns(ReturnCase):
    def test_one_that_was_away_does_not_drag_the_others_back(self):
        peers, states = self.founded(3, "--checkpoint-every", "1s")
        self.wait_for_checkpoints(states)
        self.kill(peers[:1])
        steps = peers[1].progress("steps")
        self.wait_for(
            lambda: all(peer.progress("steps") > 4 * steps + 500 for peer in peers[1:]),
            60,
            "the others go on",
            peers=peers[1:],
        )
        self.wait_for_checkpoints(states[1:])
        self.kill(peers[1:])
        stale, best = self.parameters(states[0]), self.parameters(states[1])
        learned = {}
        first = self.again(states[0])
        self.poll(lambda: counts(first), 20, "the one that was away goes on alone")
        learned[0] = first.status()["members"][0]["learned"]
        others = [self.again(state) for state in states[1:]]
        again = [first, *others]
        self.wait_for(
            lambda: any("whose model has learned from more" in line for line in first.errors),
            20,
            "it gives way",
            peers=again,
        )
        self.assertFalse(any("whose model" in line for peer in others for line in peer.errors))
        self.wait_for_members(again, 3)
        self.poll(lambda: all(map(counts, again)), 30, "all count in one sum")
        for peer in again:
            self.assertGreater(peer.status()["members"][0]["learned"], learned[0])
        self.wait_for_checkpoints(states)
        self.kill(again)
        # They went on from the better ones. A mean with the one that was away would be half of the way back.
        for state in states:
            self.assertGreater(share_of_way(stale, best, self.parameters(state)), 0.75, state.name)

    def test_a_joiner_has_a_state_as_soon_as_it_is_whole(self):
        founder = self.found("--state", self.directory / "founder")
        self.wait_for_training([founder])
        state = self.directory / "joiner"
        joiner = self.join(founder, "--state", state)
        # Far sooner than the interval of 30 s.
        self.poll(lambda: (state / "checkpoint").exists(), 15, "its first checkpoint")
        self.kill([joiner])
        again = self.again(state)
        self.wait_for(lambda: again.last("resumed"), 10, "it resumes", peers=[again])

    def test_as_many_checkpoints_are_kept_as_are_asked_for(self):
        state = self.directory / "state"
        peer = self.found("--state", state, "--checkpoint-every", "1s", "--keep", "4")
        names = ["checkpoint", *(f"checkpoint.prev{n}" for n in ("", "2", "3"))]
        self.poll(lambda: all((state / name).exists() for name in names), 30, "four of them")
        self.wait_for_checkpoints([state])
        self.kill([peer])
        self.assertFalse((state / "checkpoint.prev4").exists())
        times = [(state / name).stat().st_mtime_ns for name in names]
        self.assertEqual(times, sorted(times, reverse=True))
        # All but the oldest are torn.
        for name in names[:3]:
            content = (state / name).read_bytes()
            (state / name).write_bytes(content[: len(content) // 2])
        again = self.again(state)
        self.wait_for(lambda: again.last("resumed"), 10, "it resumes", peers=[again])


class KilledNewcomer(ReturnCase):
    def test_goes_on_with_the_chunks_that_it_has(self):
        key = self.directory / "founder" / "swarm.key"
        founder = self.found(
            "--state", key.parent, "--upload-limit", "1MB", "--mix", "none", model=WIDE
        )
        self.wait_for_training([founder], seconds=60)
        state = self.directory / "joiner"
        folder = state / "parameters"
        joiner = self.join(founder, "--state", state)
        self.poll(lambda: len(list(folder.glob("*"))) >= WIDE_CHUNKS // 2, 60, "half is here")
        self.assertFalse(joiner.all("progress", state="training"))
        self.kill([joiner])
        here = len(list(folder.glob("*")))
        before = founder.metric("stream_bytes_sent_total")
        # One of the files is damaged.
        damaged = sorted(folder.glob("*"))[0]
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        again = self.start_peer(
            "--join", founder.address, "--key", key, "--state", state, name="joiner again"
        )
        self.wait_for(
            lambda: any("chunks of the parameters are here" in line for line in again.errors),
            10,
            "it says what it has",
            peers=[again],
        )
        line = next(line for line in again.errors if "chunks of the parameters" in line)
        # The last one may have been torn.
        self.assertGreaterEqual(int(line.split()[1]), here - 2)
        self.assertLess(int(line.split()[1]), here)
        self.wait_for(
            lambda: again.all("progress", state="training"), 60, "it trains", peers=[again]
        )
        sent = founder.metric("stream_bytes_sent_total") - before
        whole = 4 * founder.last("founded")["parameters"]
        # Shards come as well.
        self.assertLess(sent, whole * (1 - (here - 2) / WIDE_CHUNKS) + 1_500_000)
        self.poll(lambda: not list(folder.glob("*")), 30, "the checkpoint has all of it")
        self.assertTrue((state / "checkpoint").exists())


class EightThatAllDied(ReturnCase):
    """Slow: all are killed, and start in random order within 10 s."""

    def test_are_one_swarm_within_fifteen_seconds_of_the_last_start(self):
        rounds = int(os.environ.get("STARLING_RETURNS", "5"))
        seed = int(os.environ.get("STARLING_SEED", "1"))
        rng = random.Random(seed)
        peers, states = self.founded(8, "--checkpoint-every", "2s")
        took = []
        for number in range(rounds):
            self.wait_for_checkpoints(states)
            self.kill(peers)
            self.end_readers()
            order = sorted((rng.uniform(0, 10), state) for state in states)
            begin = time.monotonic()
            peers = []
            for at, state in order:
                self.wait_until(begin + at)
                peers.append(self.again(state))
            last = time.monotonic()
            self.poll(
                lambda: all(len(p.status()["members"]) == 8 and counts(p) for p in peers)
                and all(
                    m["state"] == "alive" and m["training"] == "training"
                    for p in peers
                    for m in p.status()["members"]
                ),
                15,
                f"one swarm of eight, round {number + 1}, seed {seed}",
            )
            took.append(time.monotonic() - last)
            swarms = {peer.last("resumed")["swarm"] for peer in peers}
            self.assertEqual(len(swarms), 1)
        print(
            f"one swarm of eight in {rounds} of {rounds}: median {sorted(took)[rounds // 2]:.1f} s, "
            f"longest {max(took):.1f} s after the last start"
        )

    def wait_until(self, when):
        with self.news:
            while time.monotonic() < when:
                self.news.wait(when - time.monotonic())

    def end_readers(self):
        for peer in self.peers:
            peer.close()
        self.peers.clear()


class KilledAtAnyMoment(ReturnCase):
    """Slow: one peer is killed again and again, every other time while a checkpoint is written."""

    EVERY = 1.0  # seconds between checkpoints
    # What a life may say on standard error.
    FINE = ("invite", "listening", "--json", "others join with")

    def test_resumes_at_most_one_interval_back_and_says_nothing_wrong(self):
        kills = int(os.environ.get("STARLING_KILLS", "200"))
        rng = random.Random(int(os.environ.get("STARLING_SEED", "1")))
        state = self.directory / "state"
        flags = ("--state", state, "--checkpoint-every", f"{self.EVERY:.0f}s")
        peer = self.found(*flags, model=WIDE)
        self.wait_for(lambda: peer.progress("steps") > 0, 60, "it trains", peers=[peer])
        self.poll(lambda: (state / "checkpoint").exists(), 30, "the first checkpoint")
        written, furthest, lost = 0, 0, []
        for number in range(kills):
            # Who dies more often than it writes never gets further, so most lives write one or two.
            if number % 2 == 1:
                self.await_whole(state, rng.randrange(3))
                written += self.await_torn(state)
            else:
                self.wait_briefly(rng.uniform(0.0, 4.0))
            killed_at = time.monotonic()
            peer.kill()
            peer.process.wait()
            peer.close()
            # A step that was told before this moment is older than the last whole checkpoint must be.
            safe = [
                line["steps"]
                for line in peer.all("progress")
                if line["at"] < killed_at - 2 * self.EVERY - 1.0 * SLOWDOWN
            ]
            told = peer.progress("steps")
            bad = [line for line in peer.errors if not any(word in line for word in self.FINE)]
            self.assertEqual(bad, [], f"life {number}")
            self.peers.clear()
            peer = self.start_peer(*flags, name=f"life {number + 1}")
            self.wait_for(lambda p=peer: p.last("resumed"), 30, "it resumes", peers=[peer])
            steps = peer.last("resumed")["steps"]
            self.assertGreaterEqual(steps, furthest, f"life {number + 1} goes back behind a start")
            if safe:
                self.assertGreaterEqual(steps, safe[-1], f"life {number + 1}")
            lost.append(max(0, told - steps))
            furthest = steps
            if (number + 1) % 10 == 0:
                self.tell(number + 1, written, furthest, lost)
        self.assertGreater(written, 0.8 * (kills // 2), "killed while a checkpoint was written")
        self.assertGreater(furthest, 0)

    @staticmethod
    def tell(kills, written, steps, lost):
        print(
            f"{kills} of {kills} resumed, {written} of them killed while a checkpoint was written; "
            f"{steps} steps in all, {sum(lost)} of them made twice, {max(lost)} at once",
            flush=True,
        )

    def await_whole(self, state, count):
        for _ in range(count):
            before = self.kept_at(state)
            self.poll(lambda b=before: self.kept_at(state) != b, 30, "another checkpoint")

    def await_torn(self, state):
        """Waits until a checkpoint is being written. Returns whether one is."""
        torn = state / "checkpoint.tmp"
        deadline = time.monotonic() + 10 * SLOWDOWN
        while time.monotonic() < deadline:
            if torn.exists():
                return True
        return False

    def wait_briefly(self, seconds):
        until = time.monotonic() + seconds
        with self.news:
            while time.monotonic() < until:
                self.news.wait(until - time.monotonic())


if __name__ == "__main__":
    main()
