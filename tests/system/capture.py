"""Every byte that machines in namespaces send: a reader of their devices, streams put together from TCP segments,
and datagrams unsealed with the swarm's key. A second, independent implementation of what docs/protocol says."""

import base64
import hashlib
import hmac
import socket
import struct
import threading

import tls

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
        name, size = self.SUITES[suite]
        self.opener = tls.Opener(name)
        self.key, self.iv = expand(secret, b"key", size), expand(secret, b"iv", 12)
        self.number = 0

    def open(self, head, body):
        """Returns the inner bytes, or nothing if this is not the record's secret."""
        nonce = (int.from_bytes(self.iv, "big") ^ self.number).to_bytes(12, "big")
        inner = self.opener.open(self.key, nonce, head, body)
        if inner is not None:
            self.number += 1
        return inner


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


P = 2**255 - 19
ALIVE_OR_LEFT = {4, 7}
SALT = b"\x01\x10"  # type and length in the tail of a claim


def x25519(scalar, u):
    """RFC 7748, section 5."""
    k = int.from_bytes(scalar, "little") & ~7 & ~(1 << 255) | 1 << 254
    x1 = int.from_bytes(u, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        aa, bb = a * a % P, b * b % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + 121665 * (aa - bb)) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


class Identity:
    """The key of a state directory."""

    def __init__(self, state, public):
        pem = (state / "identity.key").read_text().split("-----")[2]
        seed = base64.b64decode(pem)[-32:]
        self.public = public
        self.scalar = hashlib.sha512(seed).digest()[:32]
        y = int.from_bytes(public, "little") & ((1 << 255) - 1)
        self.u = ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")


class Opener:
    """Unseals the datagrams of a swarm (docs/protocol/membership.md) among peers whose identities are known."""

    def __init__(self, key, swarm, states, datagrams):
        self.key, self.swarm = key, swarm
        self.opener = tls.Opener("EVP_aes_256_gcm")
        claims = {claim[0] for datagram in datagrams if (claim := claim_of(datagram))}
        self.identities = [
            Identity(states[tls.id_of(public)], public)
            for public in claims
            if tls.id_of(public) in states
        ]
        self.salts = {claim[:2]: claim[2] for d in datagrams if (claim := claim_of(d))}
        self.pairs = {}

    def pair(self, a, b):
        if (a.public, b.public) not in self.pairs:
            text = b"starling pair" + x25519(a.scalar, b.u)
            self.pairs[a.public, b.public] = hmac.digest(self.key, text, hashlib.sha256)
        return self.pairs[a.public, b.public]

    def open(self, datagram):
        """Returns the messages. A datagram that nothing opens is an error."""
        epoch = struct.pack(">Q", struct.unpack(">Q", datagram[14:22])[0] >> 36)
        claim = claim_of(datagram)
        if claim:
            public, _, salt, size = claim
            key = tls.derived(self.key, self.swarm, b"starling introduction" + public + epoch + salt)
            return self.decrypt(key, datagram, 22 + size)
        for sender in self.identities:
            salt = self.salts.get((sender.public, epoch))
            if tls.id_of(sender.public)[:8] != datagram[5:13] or salt is None:
                continue
            for receiver in self.identities:
                if receiver is sender:
                    continue
                life = sender.public + receiver.public + epoch + salt
                key = tls.derived(self.pair(sender, receiver), self.swarm, b"starling datagram" + life)
                opened = self.decrypt(key, datagram, 22)
                if opened is not None:
                    return opened
        raise ValueError("a datagram that no key opens")

    def decrypt(self, key, datagram, readable):
        nonce = bytes(4) + datagram[14:22]
        return self.opener.open(key, nonce, datagram[:readable], datagram[readable:])


def claim_of(datagram):
    """Returns key, epoch (big-endian), salt and size of the claim in an introduction."""
    if datagram[13] != 1 or datagram[22] not in ALIVE_OR_LEFT:
        return None
    size = 3 + struct.unpack("<H", datagram[23:25])[0]
    body = datagram[25 : 22 + size]
    epoch = struct.pack(">Q", struct.unpack("<Q", body[32:40])[0])
    tail = body[67 : 67 + body[66]]
    return body[:32], epoch, tail[tail.index(SALT) + 2 :][:16], size
