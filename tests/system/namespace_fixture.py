"""Machines with a peer each, for the tests that run in network namespaces."""

import json
import subprocess
import time

import namespaces
from swarm_fixture import BINARY, SwarmTestCase, environment, scaled

DEFAULT = "default"


class Member:
    """A machine, its state directory, and the peer that runs there now."""

    def __init__(self, test, number):
        self.test = test
        self.number = number
        self.machine = namespaces.Machine()
        # Of one machine each: directories side by side would tell each other where peers are.
        self.state = test.directory / f"machine-{number}" / "state"
        self.peer = None
        self.lives = 0

    @property
    def key(self):
        return self.state / "swarm.key"

    def start(self, seed=None, *, join=None, listen=None, advertise=None, http=None):
        """Starts the peer and does not wait until it listens. With `listen=DEFAULT` it decides itself where."""
        self.lives += 1
        arguments = ["--state", self.state]
        if listen != DEFAULT:
            arguments += ["--listen", listen or self.machine.address]
        if advertise is not None:
            arguments += ["--advertise", advertise]
        if http is not None:
            arguments += ["--http", http]
        if seed is not None:
            arguments += ["--join", join or seed.machine.address, "--key", seed.key]
        self.peer = self.test.start(
            "peer", "--json", "--membership-only", "--threads", 1, *arguments,
            name=f"peer {self.number}, life {self.lives}", prefix=self.machine.enter,
        )

    @property
    def id(self):
        return self.peer.id

    def living(self):
        """Returns the other members that it calls alive in its own lines."""
        ids = set()
        for event in self.peer.all("member"):
            if event["what"] == "up":
                ids.add(event["id"])
            elif event["what"] in ("failed", "left"):
                ids.discard(event["id"])
        return ids

    def status(self):
        done = subprocess.run(
            [*self.machine.enter, BINARY, "status", "--json", "--state", self.state],
            capture_output=True,
            text=True,
            timeout=scaled(10),
            env=environment(),
            check=True,
        )
        return json.loads(done.stdout)

    def status_of(self, other):
        return {member["id"]: member for member in self.status()["members"]}.get(other.id)


class NamespaceTestCase(SwarmTestCase):
    size = 12

    def form(self):
        """Starts a swarm of `size` members and waits until all know all."""
        self.members = [Member(self, number) for number in range(1, self.size + 1)]
        founder, *joiners = self.members
        founder.start()
        self.wait_for_start([founder])
        for member in joiners:
            member.start(founder)
        self.wait_for_start(joiners)
        self.wait_until_whole(self.members, 20)
        return self.members

    def wait_for_start(self, members):
        peers = [member.peer for member in members]
        self.wait_for(lambda: all(p.last("listening") for p in peers), 20, "all listen", peers=peers)

    def wait_until_whole(self, members, seconds):
        """Waits until each of these lists exactly the others of these as alive."""
        ids = {member.id for member in members}
        self.wait_for(
            lambda: all(member.living() == ids - {member.id} for member in members),
            seconds,
            "all see all and nobody else",
            peers=[member.peer for member in members],
        )

    def keep(self, members, seconds):
        """Waits for so long. All of these must go on running meanwhile."""
        end = time.monotonic() + seconds
        self.wait_for(
            lambda: time.monotonic() >= end,
            seconds + 5,
            "time passes",
            peers=[member.peer for member in members],
        )

    def assert_no_failure(self, members, dead=frozenset()):
        self.assert_only_failed([member.peer for member in members], dead)

    def assert_no_ghosts(self, members):
        """Checks that status lists exactly these as alive, each once and with its address."""
        places = sorted((member.id, member.machine.address) for member in members)
        for member in members:
            seen = member.status()["members"]
            self.assertEqual(sorted((m["id"], m["address"]) for m in seen), places)
            self.assertEqual({m["state"] for m in seen}, {"alive"})
