"""Goal: peers with a whole, a half and a quarter of a share of a core finish an epoch of their shards
together. Method: three peers in groups of the kernel that bound their CPU
time, and some 2,000 shards of a table that the test writes. Their epochs follow from the shards that they own
and the samples that they make in the same seconds. Without such groups (root, cgroup v1 or v2) the test says
so and is skipped.
"""

import os
import pathlib
import random
import signal
import sys
import time

from swarm_fixture import SwarmTestCase, main, scaled

SKIPPED = 77  # the exit code by which ctest recognises a skipped test
GROUPS = pathlib.Path("/sys/fs/cgroup")
PERIOD = 20_000  # microseconds: short, so that probes are answered in time
SHARES = (0.4, 0.2, 0.1)  # of a core: machines with two cores have room for them and for the test
ROWS = 18_500


class Group:
    """A group of processes that get a share of one core."""

    def __init__(self, name, share):
        second = (GROUPS / "cgroup.controllers").exists()
        self.path = (GROUPS if second else GROUPS / "cpu") / f"starling-test-{os.getpid()}-{name}"
        self.path.mkdir()
        quota = int(PERIOD * share)
        try:
            if second:
                (self.path / "cpu.max").write_text(f"{quota} {PERIOD}")
            else:
                (self.path / "cpu.cfs_period_us").write_text(str(PERIOD))
                (self.path / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError:
            self.path.rmdir()
            raise

    def add(self, process):
        (self.path / "cgroup.procs").write_text(str(process))

    def remove(self):
        self.path.rmdir()


def what_is_missing():
    """Returns why this machine cannot run the test, or nothing."""
    try:
        Group("trial", 0.5).remove()
    except OSError as error:
        return f"no groups that bound CPU time here ({error}); root has them on most machines"
    return None


class Grouped(SwarmTestCase):
    """Peers that get shares of a core, and a table that they train on."""

    def write_table(self):
        draw = random.Random(1)
        path = self.directory / "table.csv"
        with path.open("w") as file:
            file.write("a,b,c,label\n")
            for _ in range(ROWS):
                a, b, c = (draw.gauss(0, 1) for _ in range(3))
                file.write(f"{a:.4f},{b:.4f},{c:.4f},{int(a * b + c > 0)}\n")
        return path

    def group(self, peer, share):
        group = Group(peer.name.replace(" ", "-"), share)
        # Cleanups run in reverse: the peer has ended by then, and the group is empty.
        self.cleanups.append(group)
        group.add(peer.process.pid)

    def _end_all(self):
        super()._end_all()
        for group in self.cleanups:
            group.remove()

    def setUp(self):
        self.cleanups = []
        super().setUp()

    def end(self, peers):
        for peer in peers:
            peer.send(signal.SIGTERM)
        self.wait_for_exit(peers, 60)


class Speeds(Grouped):
    def epoch_seconds(self, peers, seconds=12):
        """Returns how long each peer takes for its shards at the speed of the next seconds."""
        shards = [peer.progress("shards") for peer in peers]
        before = [(time.monotonic(), peer.progress("samples")) for peer in peers]
        count = [len(peer.all("progress")) + seconds for peer in peers]
        self.wait_for(
            lambda: all(len(peer.all("progress")) >= n for peer, n in zip(peers, count)),
            4 * seconds, "some progress", peers,
        )
        times = []
        for peer, owned, (begin, samples) in zip(peers, shards, before):
            rate = (peer.progress("samples") - samples) / (time.monotonic() - begin)
            times.append(owned / rate)
        return times

    def test_unlike_peers_finish_an_epoch_together(self):
        founder = self.found(
            "--until", "samples=1e12", "--wait-for", 3, "--batch", 32,
            dataset=f"csv:{self.write_table()}?label=label", model="mlp?hidden=512,512",
        )
        peers = [founder, self.join(founder), self.join(founder)]
        for peer, share in zip(peers, SHARES):
            self.group(peer, share)
        self.wait_for_training(peers, 60)
        self.assertGreater(sum(peer.progress("shards") for peer in peers), 1900)
        # Each says its first word after 25 s of steps.
        even = [peer.progress("shards") for peer in peers]
        self.wait_for(
            lambda: all(peer.progress("shards") != n for peer, n in zip(peers, even)),
            90, "the shards have moved", peers,
        )
        deadline = time.monotonic() + scaled(60)
        while True:
            times = self.epoch_seconds(peers)
            if max(times) < 1.25 * min(times):
                break
            self.assertLess(time.monotonic(), deadline, f"epochs differ: {times}")
        self.end(peers)


if __name__ == "__main__":
    missing = what_is_missing()
    if missing:
        print(f"skipped: {missing}", file=sys.stderr)
        sys.exit(SKIPPED)
    main()
