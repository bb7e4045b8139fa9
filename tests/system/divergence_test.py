"""Goal: a model that has gone bad destroys neither the swarm nor a checkpoint. Method: a learning rate with
which every model diverges, and a peer whose checkpoint is replaced by one with absurd values."""

import array
import hashlib
import math
import signal
import struct

from swarm_fixture import SwarmTestCase, main

HEAD, SECTION, DIGEST = 12, 12, 32
PARAMETERS, OPTIMIZER = 2, 3
ABSURD = ("--optimizer", "sgd?lr=1000&momentum=0.9")
ENDED = r"\Astarling peer: training has diverged after step \d+; try a lower learning rate than .*lr=1000"


def sections(data):
    """Yields the kind, the first and the last byte of each section of a checkpoint."""
    at = HEAD
    while at < len(data) - DIGEST:
        kind, length = struct.unpack_from("<IQ", data, at)
        at += SECTION
        yield kind, at, at + length
        at += length


def floats(data, wanted):
    for kind, begin, end in sections(data):
        if kind == wanted:
            return array.array("f", data[begin:end])
    raise AssertionError(f"no section {wanted}")


def spoil(path):
    """Makes every parameter enormous and every momentum a NaN, and writes a right checksum."""
    data = bytearray(path.read_bytes())
    for kind, begin, end in sections(bytes(data)):
        if kind == PARAMETERS:
            data[begin:end] = array.array("f", [1e30 * x for x in floats(data, kind)]).tobytes()
        if kind == OPTIMIZER:
            data[begin:end] = array.array("f", [math.nan] * ((end - begin) // 4)).tobytes()
    data[-DIGEST:] = hashlib.sha256(data[:-DIGEST]).digest()
    path.write_bytes(data)


class Divergence(SwarmTestCase):
    def test_a_lone_peer_says_so_and_leaves_a_finite_checkpoint(self):
        state = self.directory / "state"
        peer = self.found(*ABSURD, "--state", state)
        self.wait_for_exit([peer], 20, code=1)
        self.assertRegex(peer.errors[-1], ENDED)
        for file in state.glob("checkpoint*"):
            self.assertTrue(all(map(math.isfinite, floats(file.read_bytes(), PARAMETERS))), file)

    def test_in_a_swarm_in_which_nobody_is_sound_whoever_trains_ends(self):
        founder = self.found(*ABSURD, "--wait-for", 2)
        peers = [founder, self.join(founder)]

        def over(peer):
            """A peer is done if it has ended, or if the other one left before training began: then it waits."""
            waits = peer.progress("steps") == 0 and peer.progress("members") == 1
            return peer.code is not None or (waits and peer.last("member", what="left") is not None)

        self.wait_for(lambda: all(map(over, peers)), 60, "whoever trained has ended")
        ended = [peer for peer in peers if peer.code is not None]
        self.assertTrue(ended)
        for peer in ended:
            self.assertEqual(peer.code, 1, peer.name)
            self.assertRegex(peer.errors[-1], ENDED)

    def test_a_peer_takes_the_others_parameters_and_trains_on(self):
        state = self.directory / "state"
        founder = self.found()
        joiner = self.join(founder, "--state", state)
        self.wait_for(
            lambda: founder.progress("loss", 9) < 0.5 and joiner.progress("steps") > 0,
            60,
            "they have learnt",
            peers=[founder, joiner],
        )
        joiner.send(signal.SIGTERM)
        self.wait_for_exit([joiner], 10)
        spoil(state / "checkpoint")
        again = self.start_peer("--join", founder.address, "--state", state, name="spoilt joiner")
        self.wait_for(
            lambda: any("training goes on" in line for line in again.errors),
            30,
            "it has taken the founder's parameters",
            peers=[founder, again],
        )
        resumed = again.last("resumed")["steps"]
        self.wait_for(
            lambda: again.progress("steps") > resumed + 50, 30, "it trains", peers=[again]
        )
        self.assertEqual(again.metric("recoveries_total"), 1)
        self.assertGreaterEqual(again.metric("unsound_steps_total"), 5)
        self.assertLess(again.progress("loss", 9), 1.2)
        # The swarm still averages.
        before = again.progress("exchanges")
        self.wait_for(
            lambda: again.progress("exchanges") > before + 5, 30, "it averages", peers=[again]
        )
        self.assertLess(founder.progress("loss", 9), 1.2)
        again.send(signal.SIGTERM)
        self.wait_for_exit([again], 10)
        data = (state / "checkpoint").read_bytes()
        for kind in (PARAMETERS, OPTIMIZER):
            self.assertTrue(all(map(math.isfinite, floats(data, kind))), kind)


if __name__ == "__main__":
    main()
