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

    def sealed(self):
        """Returns the bytes of each direction of each TCP connection by its ends. One with a hole is an error."""
        pieces, begins = {}, {}
        for source, target, head, payload in self.transport(TCP):
            sequence = struct.unpack(">I", head[4:8])[0]
            if head[13] & 2:
                begins[source, target] = sequence + 1
            elif payload:
                pieces.setdefault((source, target), []).append((sequence, payload))
        return {way: join(begins[way], parts) for way, parts in pieces.items()}

    def streams(self, key_log):
        """Returns what was sealed in each direction of each TCP connection."""
        secrets = {}
        for line in key_log.read_text().splitlines():
            name, client, secret = line.split()
            secrets[name, bytes.fromhex(client)] = bytes.fromhex(secret)
        sealed = self.sealed()
        opened = []
        for (source, target), stream in sealed.items():
            if (target, source) not in sealed or stream[5:6] != b"\x01":
                continue  # it begins with no ClientHello: this is the acceptor's half
            client = stream[11:43]
            answer = sealed[target, source]
            opened.append(open_records(stream, answer, secrets, "CLIENT", client))
            opened.append(open_records(answer, answer, secrets, "SERVER", client))
        return opened


def expand(secret, label, size):
    """HKDF-Expand-Label of RFC 8446, section 7.1, for up to one block."""
    label = b"tls13 " + label
    info = struct.pack(">HB", size, len(label)) + label + b"\0"
    return hmac.digest(secret, info + b"\x01", hashlib.sha256)[:size]


class Records:
    """Opens the records under one secret, one after the other."""

    SUITES = {0x1301: ("EVP_aes_128_gcm", 16), 0x1303: ("EVP_chacha20_poly1305", 32)}

    def __init__(self, secret, suite):
        self.library = ctypes.CDLL(ctypes.util.find_library("crypto"))
        name, size = self.SUITES[suite]
        for function in ("EVP_CIPHER_CTX_new", name):
            getattr(self.library, function).restype = ctypes.c_void_p
        self.cipher = ctypes.c_void_p(getattr(self.library, name)())
        self.context = ctypes.c_void_p(self.library.EVP_CIPHER_CTX_new())
        self.key, self.iv = expand(secret, b"key", size), expand(secret, b"iv", 12)
        self.number = 0

    def open(self, head, body):
        """Returns the inner bytes, or nothing if this is not the record's secret."""
        nonce = (int.from_bytes(self.iv, "big") ^ self.number).to_bytes(12, "big")
        text, tag = body[:-16], body[-16:]
        out, size, library = ctypes.create_string_buffer(len(text) + 16), ctypes.c_int(), self.library
        library.EVP_DecryptInit_ex(self.context, self.cipher, None, self.key, nonce)
        library.EVP_DecryptUpdate(self.context, None, ctypes.byref(size), head, len(head))
        library.EVP_DecryptUpdate(self.context, out, ctypes.byref(size), text, len(text))
        library.EVP_CIPHER_CTX_ctrl(self.context, 0x11, 16, tag)
        if library.EVP_DecryptFinal_ex(self.context, out, ctypes.byref(size)) != 1:
            library.ERR_clear_error()
            return None
        self.number += 1
        return out.raw[: len(text)]


def open_records(stream, answer, secrets, who, client):
    """Returns the application's bytes of one direction. Records that end beyond the capture are left out."""
    # ServerHello: record and message heads, version, random, an empty or 32-byte id, then the suite.
    session = answer[43]
    suite = struct.unpack(">H", answer[44 + session : 46 + session])[0]
    shaking = Records(secrets[f"{who}_HANDSHAKE_TRAFFIC_SECRET", client], suite)
    talking = Records(secrets[f"{who}_TRAFFIC_SECRET_0", client], suite)
    plain, at = bytearray(), 0
    while at + 5 <= len(stream):
        kind, size = stream[at], struct.unpack(">H", stream[at + 3 : at + 5])[0]
        head, body = stream[at : at + 5], stream[at + 5 : at + 5 + size]
        at += 5 + size
        if kind != 0x17 or len(body) < size:
            continue
        inner = talking.open(head, body)
        if inner is None:
            if shaking.open(head, body) is None:
                raise ValueError("a record that no secret opens")
            continue
        inner = inner.rstrip(b"\0")
        if inner[-1] == 0x17:
            plain += inner[:-1]
    return bytes(plain)


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
