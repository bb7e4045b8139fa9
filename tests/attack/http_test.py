"""Goal: other users of the machine can watch a peer and nothing else: they can neither order it about nor
lock out its owner. Method: speak HTTP to a live peer without its token, as a page of another site, and through
many connections that say half a request; then ask it as its owner does."""

import contextlib
import http.client
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from swarm_fixture import BINARY, SwarmTestCase, environment, main, run, scaled

HALF_REQUESTS = 256  # four times the places that a server has
TOKEN = re.compile(r"[0-9a-f]{64}")


def ask(address, method, path, headers=None):
    """Returns status and body of one request."""
    link = http.client.HTTPConnection(address, timeout=scaled(5))
    with contextlib.closing(link):
        link.request(method, path, headers=headers or {})
        reply = link.getresponse()
        return reply.status, reply.read().decode()


class AttackHttp(SwarmTestCase):
    def start_watcher(self, *arguments):
        return self.start_peer("--membership-only", *arguments)

    def as_another_user(self, *arguments):
        """Runs a command without what this user's peers leave for it."""
        elsewhere = self.directory / "elsewhere"
        elsewhere.mkdir(mode=0o700, exist_ok=True)
        return subprocess.run(
            [BINARY, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=scaled(30),
            env={**environment(), "XDG_RUNTIME_DIR": str(elsewhere)},
        )

    def assert_stays(self, peer):
        self.assertEqual(ask(peer.http, "GET", "/healthz"), (200, "ok\n"))
        self.assertIsNone(peer.code)

    def test_an_order_without_the_token_is_refused_and_with_it_obeyed(self):
        state = self.directory / "state"
        peer = self.start_watcher("--state", state)
        kept = state / "http"
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o600)
        token = kept.read_text().splitlines()[-1]
        self.assertRegex(token, TOKEN)
        wrong = ("1" if token[0] == "0" else "0") + token[1:]
        for headers in ({}, {"Authorization": f"Bearer {wrong}"}, {"Authorization": token}):
            status, body = ask(peer.http, "POST", "/leave", headers)
            self.assertEqual(status, 401)
            self.assertRegex(body, r"\A.*Authorization: Bearer TOKEN.*\n\Z")
        self.assert_stays(peer)
        result = self.as_another_user("leave", "--http", peer.http)
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertRegex(result.stderr, rf"\Astarling leave: {peer.http} .*--state DIR.*--token FILE.*\n\Z")
        self.assert_stays(peer)
        result = self.as_another_user("leave", "--state", state)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.wait_for_exit([peer], 10)
        self.assertFalse(kept.exists(), "the token ends with the peer")

    def test_each_life_has_a_token_of_its_own(self):
        state = self.directory / "state"
        tokens = set()
        for _ in range(2):
            peer = self.start_watcher("--state", state)
            tokens.add((state / "http").read_text().splitlines()[-1])
            peer.send(signal.SIGTERM)
            self.wait_for_exit([peer], 10)
        self.assertEqual(len(tokens), 2)

    def test_a_peer_without_a_state_directory_obeys_its_own_user_only(self):
        peer = self.start_watcher()
        result = self.as_another_user("leave", "--http", peer.http)
        self.assertEqual(result.returncode, 2)
        self.assert_stays(peer)
        mark = pathlib.Path(environment()["XDG_RUNTIME_DIR"]) / "starling" / str(peer.process.pid)
        self.assertEqual(stat.S_IMODE(mark.stat().st_mode), 0o600)
        copy = self.directory / "token"
        copy.write_text(mark.read_text().splitlines()[-1] + "\n")
        result = self.as_another_user("leave", "--http", peer.http, "--token", copy)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.wait_for_exit([peer], 10)

    def test_a_page_of_another_site_reads_and_changes_nothing(self):
        peer = self.start_watcher()
        for method in ("GET", "POST"):
            for host in ("evil.example", f"evil.example:{peer.http.rsplit(':', 1)[1]}"):
                status, body = ask(peer.http, method, "/status", {"Host": host})
                self.assertEqual(status, 421)
                self.assertNotIn(peer.id, body)
        status, _ = ask(peer.http, "POST", "/leave", {"Origin": "http://evil.example"})
        self.assertEqual(status, 403)
        self.assert_stays(peer)

    def test_half_requests_lock_nobody_out(self):
        state = self.directory / "state"
        peer = self.start_watcher("--state", state)
        host, port = peer.http.rsplit(":", 1)
        with contextlib.ExitStack() as links:
            for _ in range(HALF_REQUESTS):
                link = links.enter_context(socket.create_connection((host, int(port)), timeout=scaled(5)))
                link.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nX-")
            result = run("status", "--json", "--state", state)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            result = run("leave", "--state", state)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.wait_for_exit([peer], 10)


if __name__ == "__main__":
    main()
