"""Goal: a peer that leaves says so, and the others never call it failed. Method: send signals and commands to
live peers, and compare what the others say about them."""

import json
import signal
import socket

from swarm_fixture import SwarmTestCase, http_get, main, run


class Leaving(SwarmTestCase):
    def setUp(self):
        super().setUp()
        self.founder = self.found()
        self.first = self.join(self.founder)
        self.second = self.join(self.founder)
        self.everybody = [self.founder, self.first, self.second]
        self.wait_for_training(self.everybody)
        self.wait_for_members(self.everybody, 3)

    def expect_left(self, gone, others):
        self.wait_for_exit([gone], 5)
        self.assertEqual(gone.events[-1]["event"], "left")
        self.wait_for(
            lambda: all(gone.id in peer.ids_that_are("left") for peer in others),
            5,
            "the others hear the goodbye",
            peers=others,
        )
        self.wait_for_members(others, len(others))
        self.assert_only_failed(others)

    def test_a_signal_a_request_and_a_command_all_say_goodbye(self):
        self.second.send(signal.SIGTERM)
        self.expect_left(self.second, [self.founder, self.first])
        result = run("leave", "--http", self.founder.http)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.expect_left(self.founder, [self.first])
        self.first.send(signal.SIGINT)
        self.expect_left(self.first, [])

    def status_of(self, peer):
        result = run("status", "--http", peer.http, "--json")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return json.loads(result.stdout)

    def test_status_shows_all_members_as_a_table_and_as_json(self):
        everybody = {peer.id: "alive" for peer in self.everybody}
        for peer in self.everybody:
            self.assertEqual(self.status_of(peer)["id"], peer.id)
            # On a busy machine a suspicion is acceptable if it is refuted.
            self.poll(
                lambda peer=peer: {m["id"]: m["state"] for m in self.status_of(peer)["members"]}
                == everybody,
                10,
                f"{peer.name} lists every peer as alive",
            )
        result = run("status", "--http", self.founder.http)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for peer in self.everybody:
            self.assertIn(peer.id[:8], result.stdout)
        self.assertEqual(http_get(self.founder.http, "/healthz").strip(), "ok")


class LeavingEarly(SwarmTestCase):
    def test_a_peer_that_still_looks_for_its_swarm_ends_when_it_is_asked_to(self):
        with socket.socket() as reserved:  # bound and not listening: nobody can answer there
            reserved.bind(("127.0.0.1", 0))
            peer = self.start_peer("--join", "127.0.0.1:%d" % reserved.getsockname()[1])
            result = run("leave", "--http", peer.http)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.wait_for_exit([peer], 5, code=1)
        self.assertIn("asked by a command", peer.errors[-1])


class LeavingByState(SwarmTestCase):
    def test_orders_for_a_peer_that_was_killed_reach_nobody_else(self):
        killed, other = self.directory / "killed", self.directory / "other"
        first = self.found("--state", killed)
        first.kill()
        first.process.wait()
        address = first.http
        # Nobody serves there yet, and then another peer does.
        result = run("leave", "--state", killed)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("was killed", result.stderr)
        second = self.found("--state", other, "--http", address, name="innocent")
        for command in ("leave", "status"):
            result = run(command, "--state", killed)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertRegex(result.stderr, f"\\Astarling {command}: .*{address}.*another peer.*\n\\Z")
        result = run("status", "--json", "--state", other)
        self.assertEqual(json.loads(result.stdout)["id"], second.id)
        result = run("leave", "--state", other)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.wait_for_exit([second], 10)
        self.assertEqual(second.events[-1]["event"], "left")


if __name__ == "__main__":
    main()
