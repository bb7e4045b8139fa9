"""Every byte that machines in namespaces send: a reader of their devices, streams put together from TCP segments,
and datagrams unsealed with the swarm's key. A second, independent implementation of what docs/protocol says."""

import ctypes
import ctypes.util
import hashlib
import hmac
import socket
import struct
import threading

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
BUFFER_BYTES = 256 << 20
OUTGOING = 4
TCP, UDP = 6, 17


class Capture:
    """Reads what passes the bridge's end of each machine, from the machine's side."""

    def __init__(self, devices):
        self.packets = []
        self.sockets = []
        self.threads = []
        for device in devices:
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            link.bind((device, ETH_P_ALL))
            link.settimeout(0.2)
            self.sockets.append(link)
            thread = threading.Thread(target=self._read, args=(link,), daemon=True)
            thread.start()
            self.threads.append(thread)
        self.over = False

    def _read(self, link):
        packets = self.packets
        while True:
            try:
                packet, where = link.recvfrom(1 << 17)
            except TimeoutError:
                if self.over:
                    return
                continue
            # What the bridge sends to a machine was read when it came from another one.
            if where[2] != OUTGOING:
                packets.append(packet)

    def stop(self):
        """Ends the reading. Returns how many packets were lost before they were read."""
        self.over = True
        lost = 0
        for thread in self.threads:
            thread.join()
        for link in self.sockets:
            lost += struct.unpack("II", link.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
            link.close()
        return lost

    def transport(self, protocol):
        """Yields source, destination, header and payload of each packet of IPv4 with this protocol."""
        for packet in self.packets:
            if packet[12:14] != b"\x08\x00":
                continue
            ip = packet[14:]
            size = struct.unpack(">H", ip[2:4])[0]
            if ip[9] != protocol:
                continue
            head = (ip[0] & 15) * 4
            body = ip[head : size or None]
            ports = struct.unpack(">HH", body[:4])
            start = 8 if protocol == UDP else (body[12] >> 4) * 4
            yield (ip[12:16], ports[0]), (ip[16:20], ports[1]), body[:start], body[start:]

    def datagrams(self):
        return [payload for _, _, _, payload in self.transport(UDP)]

    def streams(self):
        """Returns the bytes of each direction of each TCP connection. One with a hole is an error."""
        pieces, begins = {}, {}
        for source, target, head, payload in self.transport(TCP):
            sequence = struct.unpack(">I", head[4:8])[0]
            if head[13] & 2:
                begins[source, target] = sequence + 1
            elif payload:
                pieces.setdefault((source, target), []).append((sequence, payload))
        return [join(begins[way], parts) for way, parts in pieces.items()]


def join(begin, pieces):
    stream = bytearray()
    offsets = [((sequence - begin) % (1 << 32), payload) for sequence, payload in pieces]
    for offset, payload in sorted(offsets, key=lambda piece: piece[0]):
        if offset > len(stream):
            raise ValueError(f"a stream has a hole at {len(stream)}")
        fresh = payload[len(stream) - offset :]
        stream += fresh
    return bytes(stream)


def frames(stream):
    """Returns kind and payload of each whole frame, and how many bytes follow the last one."""
    found, at = [], 0
    while at + 8 <= len(stream):
        size, kind, _, _ = struct.unpack("<IBBH", stream[at : at + 8])
        if at + 8 + size > len(stream):
            break
        found.append((kind, stream[at + 8 : at + 8 + size]))
        at += 8 + size
    return found, len(stream) - at


class Opener:
    """Unseals the datagrams of a swarm (docs/protocol/membership.md): AES-256-GCM, whose text is AES in counter
    mode. The tags are not checked: what is looked for is what was written."""

    def __init__(self, key, swarm):
        self.key, self.swarm = key, swarm
        self.library = ctypes.CDLL(ctypes.util.find_library("crypto"))
        for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_ctr"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.EVP_CIPHER_CTX_new())
        self.cipher = ctypes.c_void_p(self.library.EVP_aes_256_ctr())

    def derived(self, purpose):
        extracted = hmac.digest(self.swarm, self.key, hashlib.sha256)
        return hmac.digest(extracted, purpose + b"\x01", hashlib.sha256)

    def open(self, datagram):
        sender, counter, body = datagram[5:13], datagram[13:21], datagram[21:-16]
        life = struct.unpack(">Q", counter)[0] >> 36
        key = self.derived(
            b"starling datagram" + sender + struct.pack(">Q", life)
        )
        block = bytes(4) + counter + b"\x00\x00\x00\x02"
        out = ctypes.create_string_buffer(len(body) + 16)
        size = ctypes.c_int()
        library = self.library
        assert library.EVP_EncryptInit_ex(self.context, self.cipher, None, key, block) == 1
        assert library.EVP_EncryptUpdate(
            self.context, out, ctypes.byref(size), body, len(body)
        ) == 1
        return out.raw[: size.value]
