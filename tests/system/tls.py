"""TLS 1.3 with a pre-shared key and Ed25519 signatures, over OpenSSL's own library: what a test needs to be a peer, or
somebody who is none. Python's ssl knows no pre-shared keys before 3.13."""

import ctypes
import ctypes.util
import hashlib
import hmac
import os
import socket
import struct
import threading

SSL = ctypes.CDLL(ctypes.util.find_library("ssl"))
CRYPTO = ctypes.CDLL(ctypes.util.find_library("crypto"))
POINTER = ctypes.c_void_p
TLS1_3 = 0x0304
SET_MIN_PROTO_VERSION, SET_MAX_PROTO_VERSION = 123, 124
SET_TAG = 0x11
EVP_PKEY_ED25519 = 1087
KEY_INFO = bytes.fromhex("302a300506032b6570032100")
MEMBER, GUEST = b"starling 2 member", b"starling 2 guest"
BINDING_LABEL = b"EXPORTER-starling-hello-2"

for library, names in (
    (SSL, "TLS_client_method TLS_server_method SSL_CTX_new SSL_new SSL_SESSION_new SSL_CIPHER_find"),
    (CRYPTO, "EVP_PKEY_new_raw_private_key EVP_MD_CTX_new EVP_CIPHER_CTX_new"),
):
    for name in names.split():
        getattr(library, name).restype = POINTER
USE = ctypes.CFUNCTYPE(
    ctypes.c_int, POINTER, POINTER, ctypes.POINTER(POINTER), ctypes.POINTER(ctypes.c_size_t),
    ctypes.POINTER(POINTER),
)
FIND = ctypes.CFUNCTYPE(
    ctypes.c_int, POINTER, POINTER, ctypes.c_size_t, ctypes.POINTER(POINTER)
)


def derived(key, swarm, purpose):
    """HKDF with SHA-256, as peer/crypto/swarm_key.hpp has it."""
    extracted = hmac.digest(swarm, key, hashlib.sha256)
    return hmac.digest(extracted, purpose + b"\x01", hashlib.sha256)


def keyed(key):
    return MEMBER, derived(key, bytes(32), b"starling keyed stream")


def member_of(swarm):
    """The key of an open swarm, by its id."""
    return MEMBER, derived(bytes(32), swarm, b"starling open stream")


def guest():
    return GUEST, derived(bytes(32), bytes(32), b"starling guest stream")


def id_of(public):
    return hashlib.sha256(KEY_INFO + public).digest()


class Opener:
    """Decrypts what was sealed with an AEAD of OpenSSL whose tags have 16 bytes."""

    def __init__(self, name):
        getattr(CRYPTO, name).restype = POINTER
        self.cipher = POINTER(getattr(CRYPTO, name)())
        self.context = POINTER(CRYPTO.EVP_CIPHER_CTX_new())

    def open(self, key, nonce, head, sealed):
        """Returns the text, or nothing if the tag over head and text does not fit."""
        text, tag = sealed[:-16], sealed[-16:]
        out, size = ctypes.create_string_buffer(len(text) + 16), ctypes.c_int()
        CRYPTO.EVP_DecryptInit_ex(self.context, self.cipher, None, key, nonce)
        CRYPTO.EVP_DecryptUpdate(self.context, None, ctypes.byref(size), head, len(head))
        CRYPTO.EVP_DecryptUpdate(self.context, out, ctypes.byref(size), text, len(text))
        CRYPTO.EVP_CIPHER_CTX_ctrl(self.context, SET_TAG, 16, tag)
        if CRYPTO.EVP_DecryptFinal_ex(self.context, out, ctypes.byref(size)) != 1:
            CRYPTO.ERR_clear_error()
            return None
        return out.raw[: len(text)]


def client_hello(key):
    """Returns the first message of a dialler with this key, whose rest never comes."""
    ours, theirs = socket.socketpair()

    def dial():
        try:
            Stream(theirs, key, timeout=1)
        except OSError:
            pass  # nobody answers

    with ours, theirs:
        thread = threading.Thread(target=dial)
        thread.start()
        ours.settimeout(10)
        message = ours.recv(4096)
        ours.close()
        thread.join()
    return message


class Identity:
    def __init__(self):
        seed = os.urandom(32)
        self.key = POINTER(CRYPTO.EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, None, seed, 32))
        public, size = ctypes.create_string_buffer(32), ctypes.c_size_t(32)
        assert CRYPTO.EVP_PKEY_get_raw_public_key(self.key, public, ctypes.byref(size)) == 1
        self.public = public.raw
        self.id = id_of(self.public)

    def sign(self, text):
        context = POINTER(CRYPTO.EVP_MD_CTX_new())
        signature, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
        assert CRYPTO.EVP_DigestSignInit(context, None, None, None, self.key) == 1
        assert CRYPTO.EVP_DigestSign(context, signature, ctypes.byref(size), text, len(text)) == 1
        CRYPTO.EVP_MD_CTX_free(context)
        return signature.raw


class Refused(OSError):
    """The handshake has failed."""


class Stream:
    """One TLS session over a connected socket, read and written like a socket."""

    def __init__(self, link, key, server=False, timeout=10):
        self.link, (self.name, self.key) = link, key
        link.settimeout(None)
        wait = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        method = SSL.TLS_server_method if server else SSL.TLS_client_method
        self.context = POINTER(SSL.SSL_CTX_new(POINTER(method())))
        for command in (SET_MIN_PROTO_VERSION, SET_MAX_PROTO_VERSION):
            SSL.SSL_CTX_ctrl(self.context, command, ctypes.c_long(TLS1_3), None)
        assert SSL.SSL_CTX_set_ciphersuites(self.context, b"TLS_AES_128_GCM_SHA256") == 1
        SSL.SSL_CTX_set_num_tickets(self.context, ctypes.c_size_t(0))
        # Kept, since OpenSSL calls it later.
        self.callback = FIND(self._find) if server else USE(self._use)
        setter = "SSL_CTX_set_psk_find_session_callback" if server else "SSL_CTX_set_psk_use_session_callback"
        getattr(SSL, setter)(self.context, self.callback)
        self.session = POINTER(SSL.SSL_new(self.context))
        assert SSL.SSL_set_fd(self.session, link.fileno()) == 1
        if (SSL.SSL_accept if server else SSL.SSL_connect)(self.session) != 1:
            CRYPTO.ERR_clear_error()
            self.close()
            raise Refused("the handshake has failed")
        binding = ctypes.create_string_buffer(32)
        assert SSL.SSL_export_keying_material(
            self.session, binding, ctypes.c_size_t(32), BINDING_LABEL,
            ctypes.c_size_t(len(BINDING_LABEL)), None, ctypes.c_size_t(0), 0,
        ) == 1
        self.binding = binding.raw

    def _made(self, ssl):
        made = POINTER(SSL.SSL_SESSION_new())
        suite = POINTER(SSL.SSL_CIPHER_find(POINTER(ssl), b"\x13\x01"))
        SSL.SSL_SESSION_set1_master_key(made, self.key, ctypes.c_size_t(32))
        SSL.SSL_SESSION_set_cipher(made, suite)
        SSL.SSL_SESSION_set_protocol_version(made, TLS1_3)
        return made

    def _use(self, ssl, _hash, name, size, session):
        self.buffer = ctypes.create_string_buffer(self.name)
        name[0] = ctypes.cast(self.buffer, POINTER)
        size[0] = len(self.name)
        session[0] = self._made(ssl)
        return 1

    def _find(self, ssl, name, size, session):
        session[0] = self._made(ssl) if ctypes.string_at(name, size) == self.name else None
        return 1

    def sendall(self, data):
        while data:
            written = SSL.SSL_write(self.session, data[: 1 << 20], min(len(data), 1 << 20))
            if written <= 0:
                CRYPTO.ERR_clear_error()
                raise OSError("the other side does not read")
            data = data[written:]

    def recv(self, size):
        """Returns b"" where the stream has ended."""
        room = ctypes.create_string_buffer(size)
        got = SSL.SSL_read(self.session, room, size)
        if got <= 0:
            CRYPTO.ERR_clear_error()
            return b""
        return room.raw[:got]

    def read(self, size):
        """Returns fewer bytes where the stream has ended."""
        data = b""
        while len(data) < size:
            piece = self.recv(size - len(data))
            if not piece:
                break
            data += piece
        return data

    def close(self):
        if self.session:
            SSL.SSL_free(self.session)
            SSL.SSL_CTX_free(self.context)
            self.session = None
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
