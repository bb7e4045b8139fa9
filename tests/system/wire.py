"""The framing of streams in a few lines of Python. It is a second, independent implementation of
peer/streams/frame.hpp, for tests that act as a peer of another release or as no peer at all."""

import hashlib
import os
import socket
import struct
import threading

HELLO, GOODBYE, DESCRIPTOR_REQUEST, DESCRIPTOR_PIECE = 1, 2, 3, 4
HELLO_MAGIC = 0x4C525453
DESCRIPTOR_MAGIC = 0x44525453
PROTOCOL_MAJOR = 1


def frame(kind, payload=b"", version=1, length=None, reserved=0):
    size = len(payload) if length is None else length
    return struct.pack("<IBBH", size, kind, version, reserved) + payload


def hello(peer=None, swarm=bytes(32), major=PROTOCOL_MAJOR, port=0):
    peer = peer or os.urandom(32)
    address = bytes(10) + b"\xff\xff" + socket.inet_aton("127.0.0.1")
    return frame(
        HELLO,
        struct.pack("<IHH", HELLO_MAGIC, major, 0) + peer + swarm + address
        + struct.pack("<H", port),
    )


def descriptor(major=1):
    """Returns the head of a descriptor: byte order, magic, version. A reader must refuse it before it reads more."""
    return b"\x01" + struct.pack("<IHH", DESCRIPTOR_MAGIC, major, 0) + bytes(64)


def read_frame(stream):
    head = stream.read(8)
    if len(head) < 8:
        return None
    size, kind, _, _ = struct.unpack("<IBBH", head)
    return kind, stream.read(size)


class FakeSeed:
    """Listens like a peer, greets, and answers requests for the swarm's descriptor."""

    def __init__(self, blob, major=PROTOCOL_MAJOR, swarm=None):
        self.blob = blob
        self.greeting = hello(swarm=swarm or hashlib.sha256(blob).digest(), major=major)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                link, _ = self.server.accept()
            except OSError:
                return  # the socket is closed, because the test is over
            with link:
                try:
                    self._answer(link)
                except OSError:
                    pass  # the peer may close the connection at any moment

    def _answer(self, link):
        stream = link.makefile("rb")
        if read_frame(stream) is None:
            return
        link.sendall(self.greeting)
        while True:
            received = read_frame(stream)
            if received is None:
                return
            if received[0] == DESCRIPTOR_REQUEST:
                head = struct.pack("<II", len(self.blob), 0)
                link.sendall(frame(DESCRIPTOR_PIECE, head + self.blob))

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
