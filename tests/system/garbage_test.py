"""Goal: strangers learn nothing and break nothing. Method: send random datagrams, random bytes and wrong
frames to a peer that trains, and open connections that stay silent. The peer must not answer, must count
them, and must finish with its swarm as if nothing had happened."""

import os
import random
import select
import socket

import tls
import wire
from swarm_fixture import SwarmTestCase, main, samples_for, scaled

SEED = int(os.environ.get("STARLING_TEST_SEED", "20230817"))
DATAGRAMS = 300
HALF_OPEN = 40


def wrong_streams(rng):
    """Yields first bytes of a stream that no peer sends."""
    yield rng.randbytes(4096)
    yield bytes(64)
    yield b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(512)
    yield wire.frame(wire.HELLO, length=0xFFFFFFFF)  # would be 4 GiB
    yield wire.frame(wire.HELLO, length=1 << 20) + rng.randbytes(1024)
    yield wire.frame(wire.HELLO, rng.randbytes(92))  # right length, wrong magic
    yield wire.frame(wire.DESCRIPTOR_REQUEST)  # as before streams were sealed
    yield wire.frame(200, b"?")
    for _ in range(10):
        yield rng.randbytes(rng.randrange(8, 300))


class Garbage(SwarmTestCase):
    def setUp(self):
        super().setUp()
        self.rng = random.Random(SEED)

    def start_two(self, *arguments):
        self.founder = self.found(*arguments)
        self.joiner = self.join(self.founder)
        self.peers_that_train = [self.founder, self.joiner]
        self.wait_for_training(self.peers_that_train)

    def connect(self):
        link = socket.create_connection(("127.0.0.1", self.founder.port), timeout=scaled(5))
        self.addCleanup(link.close)
        return link

    def throw_datagrams(self):
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(stranger.close)
        stranger.bind(("127.0.0.1", 0))
        for _ in range(DATAGRAMS):
            size = self.rng.choice([0, 1, 8, 60, 400, 1200, 1201, 9000])
            stranger.sendto(self.rng.randbytes(size), ("127.0.0.1", self.founder.port))
        return stranger

    def answer_to(self, first_bytes):
        """Returns what the peer sends until it closes the connection, which it may do at any moment."""
        link = self.connect()
        received = b""
        try:
            link.sendall(first_bytes)
            # We send nothing more, so that the peer does not wait for the rest of a frame.
            link.shutdown(socket.SHUT_WR)
            while piece := link.recv(4096):
                received += piece
        except OSError as error:
            self.assertNotIsInstance(error, TimeoutError, "the peer does not hang up")
        return received

    def test_strangers_get_silence_and_training_goes_on(self):
        self.start_two("--until", samples_for(10))
        with self.subTest(seed=SEED):
            half_open = [self.connect() for _ in range(HALF_OPEN)]
            datagrams_before = self.founder.metric("datagrams_malformed_total")
            streams_before = self.founder.metric("streams_garbage_total")
            stranger = self.throw_datagrams()
            wrong = list(wrong_streams(self.rng))
            for first_bytes in wrong:
                self.assertEqual(self.answer_to(first_bytes), b"", first_bytes[:40])
            # A busy machine may lose some datagrams, but not most of them.
            self.poll(
                lambda: self.founder.metric("datagrams_malformed_total")
                >= datagrams_before + DATAGRAMS / 2,
                10,
                "malformed datagrams are counted",
            )
            self.poll(
                lambda: self.founder.metric("streams_garbage_total")
                >= streams_before + len(wrong),
                10,
                "garbage streams are counted",
            )
            self.assertEqual(select.select([stranger], [], [], 0)[0], [], "a datagram came back")
            readable = select.select(half_open, [], [], 0)[0]
            self.assertFalse(any(link.recv(1) for link in readable), "silence was answered")
            self.wait_for_exit(self.peers_that_train, 60)
            self.assert_agreed([peer.last("final") for peer in self.peers_that_train])
            self.assert_only_failed(self.peers_that_train)

    def test_a_guest_that_greets_well_and_then_lies_is_cut_off(self):
        self.start_two()
        garbage_before = self.founder.metric("streams_garbage_total")
        early = [
            wire.frame(wire.HELLO, b"STRL"),  # cut short
            wire.frame(wire.HELLO, bytes(163)),  # right length, wrong magic
            wire.frame(wire.HELLO, length=1 << 20),
            wire.frame(wire.DESCRIPTOR_REQUEST),
            wire.frame(200, b"?"),
        ]
        for first in early:
            with wire.connect(self.founder.port) as stream:
                stream.sendall(first)
                self.assertIsNone(wire.read_frame(stream), first)
        again = tls.Identity()
        lies = [
            wire.frame(wire.HELLO, wire.hello(again, bytes(32))),  # greets twice
            wire.frame(wire.DESCRIPTOR_PIECE, length=1 << 30),
            wire.frame(99, b""),
            wire.frame(5, self.rng.randbytes(100)),  # gossip, without knowing the swarm
        ]
        for lie in lies:
            stream, (kind, _) = wire.greet(self.founder.port)
            self.assertEqual(kind, wire.HELLO)
            with stream:
                stream.sendall(lie)
                answer = wire.read_frame(stream)
                if answer is not None:
                    self.assertEqual(answer[0], wire.GOODBYE)
        # The last one is a valid frame that comes too early. It is refused with a message and does not
        # count as garbage.
        self.poll(
            lambda: self.founder.metric("streams_garbage_total") == garbage_before + len(early) + len(lies) - 1,
            10,
            "each broken frame is counted once",
        )
        newcomer = self.join(self.joiner, name="newcomer")
        self.wait_for_training([newcomer])


if __name__ == "__main__":
    main()
