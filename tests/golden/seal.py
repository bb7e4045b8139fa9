"""Writes seal.txt: two sealed datagrams by an implementation of their format that shares nothing with ours.

Run   python3 tests/golden/seal.py > tests/golden/seal.txt   (needs python3-cryptography)
Read  by tests/unit/peer/crypto/seal_test.cpp
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

P = 2**255 - 19
SWARM_KEY, SWARM = b"\x01" * 32, b"\x07" * 32
ALICE, BOB, EPOCH, SALT = b"\x03" * 32, b"\x04" * 32, 5, b"\x15" * 16
VERSION = 0x30


def mac(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def derive(secret, info):
    """HKDF-SHA256 with the swarm id as salt and one block of output (RFC 5869)."""
    return mac(mac(SWARM, secret), info + b"\x01")


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def public_of(seed):
    return raw(ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key())


def u_of(public):
    y = int.from_bytes(public, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")


def shared(seed, public):
    scalar = hashlib.sha512(seed).digest()[:32]
    own = x25519.X25519PrivateKey.from_private_bytes(scalar)
    return own.exchange(x25519.X25519PublicKey.from_public_bytes(u_of(public)))


def id_of(public):
    info = bytes.fromhex("302a300506032b6570032100") + public
    return hashlib.sha256(info).digest()


def seal(key, readable, messages):
    return readable + AESGCM(key).encrypt(b"\0" * 4 + readable[14:22], messages, readable)


def main():
    alice, bob = public_of(ALICE), public_of(BOB)
    assert shared(ALICE, bob) == shared(BOB, alice)
    head = bytes([VERSION]) + SWARM[:4] + id_of(alice)[:8]
    counter = struct.pack(">Q", EPOCH << 36)
    messages = bytes(range(8))
    life = alice + bob + struct.pack(">Q", EPOCH) + SALT
    pair = mac(SWARM_KEY, b"starling pair" + shared(ALICE, bob))
    known = seal(derive(pair, b"starling datagram" + life), head + b"\0" + counter, messages)
    print("known", known.hex())

    tail = b"\x01\x10" + SALT
    address = b"\0" * 10 + b"\xff\xff" + bytes([10, 0, 0, 1]) + struct.pack("<H", 7000)
    said = struct.pack("<QQ", EPOCH, 1) + address + bytes([len(tail)]) + tail
    text = b"starling membership claim" + SWARM + alice + b"\0" + said
    claim = alice + said + ed25519.Ed25519PrivateKey.from_private_bytes(ALICE).sign(text)
    claim = struct.pack("<BH", 4, len(claim)) + claim
    life = alice + struct.pack(">Q", EPOCH) + SALT
    key = derive(SWARM_KEY, b"starling introduction" + life)
    print("introduces", seal(key, head + b"\x01" + counter + claim, messages).hex())


if __name__ == "__main__":
    main()
