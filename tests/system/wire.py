"""The framing of streams in a few lines of Python. It is a second, independent implementation of
peer/streams/frame.hpp and hello.hpp, for tests that act as a peer of another release or as no peer at all."""

import hashlib
import socket
import struct
import threading

import tls

HELLO, GOODBYE, DESCRIPTOR_REQUEST, DESCRIPTOR_PIECE, PUSH_PULL, EXCHANGE = 1, 2, 3, 4, 5, 6
HELLO_MAGIC = 0x4C525453
DESCRIPTOR_MAGIC = 0x44525453
PROTOCOL_MAJOR = 2
LANE = 1


def frame(kind, payload=b"", version=1, length=None, reserved=0):
    size = len(payload) if length is None else length
    return struct.pack("<IBBH", size, kind, version, reserved) + payload


def hello(identity, binding, swarm=bytes(32), major=PROTOCOL_MAJOR, port=0, dialler=True, kind=0):
    """Returns the payload of a Hello for the session with this binding."""
    address = bytes(10) + b"\xff\xff" + socket.inet_aton("127.0.0.1")
    text = (
        struct.pack("<IHH", HELLO_MAGIC, major, 0) + identity.public + swarm + address
        + struct.pack("<HBQ", port, kind, 0)
    )
    way = b"dialler to acceptor" if dialler else b"acceptor to dialler"
    return text + identity.sign(b"starling hello 2, " + way + binding + text)


def descriptor(major=1):
    """Returns the head of a descriptor: byte order, magic, version. A reader must refuse it before it reads more."""
    return b"\x01" + struct.pack("<IHH", DESCRIPTOR_MAGIC, major, 0) + bytes(64)


def read_frame(stream):
    head = stream.read(8)
    if len(head) < 8:
        return None
    size, kind, _, _ = struct.unpack("<IBBH", head)
    return kind, stream.read(size)


def connect(port, key=None, source=None, timeout=10):
    """Opens a session with a peer on this machine; as a guest without a key."""
    link = socket.create_connection(
        ("127.0.0.1", port), timeout=timeout, source_address=source and (source, 0)
    )
    return tls.Stream(link, key or tls.guest(), timeout=timeout)


def greet(port, key=None, swarm=bytes(32), identity=None, source=None, kind=0):
    """Opens a session, greets, and returns it with the peer's Hello."""
    stream = connect(port, key, source)
    stream.sendall(frame(HELLO, hello(identity or tls.Identity(), stream.binding, swarm, kind=kind)))
    return stream, read_frame(stream)


class FakeSeed:
    """Listens like a peer, greets, and answers requests for the swarm's descriptor."""

    def __init__(self, blob, major=PROTOCOL_MAJOR, swarm=None):
        self.blob, self.major = blob, major
        self.swarm = swarm or hashlib.sha256(blob).digest()
        self.identity = tls.Identity()
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
            try:
                with tls.Stream(link, tls.guest(), server=True) as stream:
                    self._answer(stream)
            except OSError:
                pass  # the peer may close the connection at any moment

    def _answer(self, stream):
        if read_frame(stream) is None:
            return
        greeting = hello(self.identity, stream.binding, self.swarm, self.major, dialler=False)
        stream.sendall(frame(HELLO, greeting))
        while True:
            received = read_frame(stream)
            if received is None:
                return
            if received[0] == DESCRIPTOR_REQUEST:
                head = struct.pack("<II", len(self.blob), 0)
                stream.sendall(frame(DESCRIPTOR_PIECE, head + self.blob))

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
