"""Goal: nothing of any sample of a private swarm leaves its machine. Method: three peers in network namespaces, every
byte that any of them sends is read, and searched for anything of any sample: its line in the file, its stored numbers, the numbers
that the model is fed. The same search finds the samples of a swarm that shares them."""

import json
import os
import re
import struct

import capture
import namespaces
from private_tables import PEERS, PrivateTestCase, table
from swarm_fixture import run

WINDOW = 16
DIFFERENT = 8
EXCHANGE_FRAMES = {6}
MEMBERSHIP_FRAMES = {1, 2, 5, 13, 14, 48, 49}
# The terms, and a newcomer's parameters.
JOIN_FRAMES = {3, 4, 7, 8, 9, 10}
SHARD_FRAMES = {11, 12}


def windows_of(data):
    """Returns all runs of bytes that tell something: zeros and ones are everywhere."""
    found = set()
    for i in range(len(data) - WINDOW + 1):
        piece = data[i : i + WINDOW]
        if len(set(piece)) >= DIFFERENT:
            found.add(piece)
    return found


def forms_of(rows, recipe):
    """Returns what could tell a sample: its line, its stored numbers, and the numbers that the model is fed."""
    scales = [(column["mean"], column["stddev"]) for column in recipe["columns"]]
    single = struct.Struct("<f")

    def rounded(value):
        return single.unpack(single.pack(value))[0]

    forms = set()
    for row in rows:
        forms |= windows_of(",".join(row).encode())
        numbers = [float(cell) for cell in row[:30]]
        forms |= windows_of(struct.pack("<30f", *numbers))
        once, twice = [], []
        for number, (mean, deviation) in zip(numbers, scales):
            scale, offset = rounded(1 / deviation), rounded(-mean / deviation)
            once.append(rounded(rounded(number) * scale + offset))
            twice.append(rounded(rounded(rounded(number) * scale) + offset))
        forms |= windows_of(struct.pack("<30f", *once)) | windows_of(struct.pack("<30f", *twice))
    return forms


def found_in(texts, forms):
    return sum(
        text[i : i + WINDOW] in forms for text in texts for i in range(len(text) - WINDOW + 1)
    )


class PrivateOnTheWire(PrivateTestCase):
    """Each peer has a machine of its own; what leaves a machine passes its device on the bridge."""

    def run_swarm(self, *flags, own):
        files = self.hospitals()
        machines = [namespaces.Machine() for _ in range(PEERS)]
        wire = capture.Capture([machine.device for machine in machines])
        # Only builds for tests write it.
        key_log = self.directory / "secrets"
        os.environ["STARLING_KEY_LOG"] = str(key_log)
        self.addCleanup(os.environ.pop, "STARLING_KEY_LOG")
        state = self.directory / "founder"
        founder = self.found(
            "--listen", machines[0].address, "--state", state, "--wait-for", PEERS, "--until", "steps=150",
            *flags, dataset=self.spec(files[0]), model="tabular", prefix=machines[0].enter,
        )
        joiners = []
        states = [state]
        for machine, file in zip(machines[1:], files[1:]):
            states.append(self.directory / f"joiner-{len(states)}")
            brings = ("--dataset", self.spec(file)) if own else ()
            joiners.append(
                self.start_peer(
                    "--listen", machine.address, "--join", founder.address, "--key", state / "swarm.key",
                    "--state", states[-1], *brings, prefix=machine.enter,
                )
            )
        self.wait_for_exit([founder, *joiners], 90)
        self.assertEqual(wire.stop(), 0, "packets were lost before they were read")
        key = (state / "swarm.key").read_text().strip()
        opener = capture.Opener(bytes.fromhex(re.sub(r"\A.*[^0-9a-fA-F]", "", key)),
                                bytes.fromhex(founder.last("founded")["swarm"]),
                                {bytes.fromhex(peer.id): place
                                 for peer, place in zip([founder, *joiners], states)},
                                wire.datagrams())
        datagrams = [opener.open(datagram) for datagram in wire.datagrams()]
        inspected = json.loads(run("data", "inspect", "--json", self.spec(files[0])).stdout)
        sealed = list(wire.sealed().values())
        return wire.streams(key_log), sealed, datagrams, forms_of(table(), inspected["recipe"])

    def test_nothing_of_any_sample_is_sent(self):
        streams, sealed, datagrams, forms = self.run_swarm("--private", own=True)
        self.assertGreater(len(forms), 50_000)
        self.assertGreater(sum(map(len, streams)), 1_000_000)
        self.assertEqual(found_in(streams, forms), 0)
        self.assertEqual(found_in(datagrams, forms), 0)
        self.assertGreater(sum(map(len, sealed)), sum(map(len, streams)))
        # The datagrams were really opened: the second messages of a life are not random.
        self.assertTrue(any(b"\0\0\0\0" in datagram for datagram in datagrams))
        sent = {"exchange": 0, "membership": 0, "join": 0}
        rest = 0
        for stream in streams:
            found, left = capture.frames(stream)
            rest += left
            for kind, payload in found:
                self.assertNotIn(kind, SHARD_FRAMES)
                name = ("exchange" if kind in EXCHANGE_FRAMES
                        else "membership" if kind in MEMBERSHIP_FRAMES
                        else "join" if kind in JOIN_FRAMES else None)
                self.assertIsNotNone(name, f"frame of type {kind}")
                sent[name] += 8 + len(payload)
        # To the byte: what is no exchange and no parameters for a newcomer is membership.
        self.assertEqual(sum(sent.values()) + rest, sum(map(len, streams)))
        self.assertLess(rest, 300_000, "a frame that was cut at the end of a stream")
        self.assertGreater(sent["exchange"], 10 * sent["join"])

    def test_the_same_search_finds_the_samples_of_a_swarm_that_shares_them(self):
        streams, sealed, _, forms = self.run_swarm(own=False)
        self.assertGreater(found_in(streams, forms), 1000)
        self.assertEqual(found_in(sealed, forms), 0, "whoever reads along finds nothing")


if __name__ == "__main__":
    namespaces.main()
