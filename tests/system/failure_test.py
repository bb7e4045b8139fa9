"""Goal: a swarm survives the death of any peer, also of the founder. Method: kill -9 in the middle of
training. The survivors must notice, divide the shards of the dead among themselves, accept newcomers and
finish. And nothing that happens to a terminal, a pipe or a log hurts a peer: its output goes to pipes that
nobody reads."""

import fcntl
import json
import os
import pathlib
import signal
import socket
import subprocess

from swarm_fixture import (
    BINARY, SwarmTestCase, environment, http_get, main, run, samples_for, scaled,
)


class Failure(SwarmTestCase):
    def test_survivors_finish_without_the_founder_and_take_a_newcomer(self):
        founder = self.found("--until", samples_for(20))
        survivors = [self.join(founder, name=f"survivor {i}") for i in (1, 2)]
        self.wait_for_training([founder, *survivors])
        # While the founder was alone, it owned every training shard.
        shards = max(line["shards"] for line in founder.all("progress"))
        self.wait_for(
            lambda: 0 < founder.progress("shards") < shards, 20, "the founder gives shards away"
        )
        founder.kill()
        self.wait_for(
            lambda: all(founder.id in peer.ids_that_are("failed") for peer in survivors),
            15,
            "survivors list the founder as failed",
            peers=survivors,
        )
        self.wait_for(
            lambda: sum(peer.progress("shards") for peer in survivors) == shards,
            10,
            "survivors train on all shards",
            peers=survivors,
        )
        newcomer = self.join(survivors[-1], name="newcomer")
        self.wait_for_training([newcomer])
        self.assertIn(survivors[0].id, newcomer.ids_that_are("up"))
        peers = [*survivors, newcomer]
        self.wait_for_exit(peers, 120)
        self.assert_agreed([peer.last("final") for peer in peers])
        self.assert_only_failed(peers, dead={founder.id})


class FewDescriptors(SwarmTestCase):
    def test_strangers_that_take_all_descriptors_leave_those_for_http_and_checkpoints(self):
        state = self.directory / "state"
        narrow = self.found("--state", state, prefix=("prlimit", "--nofile=24:24"))
        self.assertTrue(any("open files" in line for line in narrow.errors), narrow.errors)
        host, port = narrow.address.rsplit(":", 1)
        strangers = [socket.create_connection((host, int(port))) for _ in range(40)]
        for stranger in strangers:
            self.addCleanup(stranger.close)
        self.wait_for(lambda: narrow.progress("steps") > 0, 20, "it trains", peers=[narrow])
        self.assertEqual(http_get(narrow.http, "/healthz").strip(), "ok")
        # The last checkpoint is written while the strangers are still there.
        narrow.send(signal.SIGTERM)
        self.wait_for_exit([narrow], 20)
        self.assertTrue((state / "checkpoint").exists())

    def test_a_limit_that_the_user_may_raise_is_raised(self):
        peer = self.found(prefix=("prlimit", "--nofile=64:4096"))
        limits = pathlib.Path(f"/proc/{peer.process.pid}/limits").read_text(encoding="ascii")
        line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        self.assertEqual(line.split()[3:5], ["4096", "4096"])


class Output(SwarmTestCase):
    def start_unread(self, *arguments, **streams):
        """Starts a peer whose lines nobody reads, and ends it with the test."""
        process = subprocess.Popen(
            [BINARY, "peer", "--json", "--threads", "1", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            env=environment(),
            **streams,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def full_pipe(self):
        """The write end of a pipe in which no byte has room. Its reader lives as long as the test."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        return writer

    def test_a_peer_that_nobody_reads_trains_and_ends_in_good_order_when_its_terminal_closes(self):
        founder = self.found()
        state = self.directory / "state"
        full = self.full_pipe()
        unread = self.start_unread("--join", founder.address, "--state", state, stdout=full, stderr=full)
        os.close(full)
        http = state / "http"
        self.poll(http.exists, 20, "it serves")
        peer = json.loads(self.poll_status(state))["id"]

        def trains():
            members = {member["id"]: member for member in founder.status()["members"]}
            return members.get(peer, {}).get("steps", 0) > 20

        self.poll(trains, 30, "it trains, and the founder knows")
        with open(f"/proc/{unread.pid}/comm", encoding="ascii") as name:
            self.assertEqual(name.read(), "starling\n")
        unread.send_signal(signal.SIGHUP)
        self.assertEqual(unread.wait(scaled(8)), 0)
        self.wait_for(lambda: peer in founder.ids_that_are("left"), 5, "the founder hears the goodbye")
        self.assert_only_failed([founder])
        self.assertTrue((state / "checkpoint").exists())

    def poll_status(self, state):
        answers = []

        def answers_now():
            result = run("status", "--json", "--state", state)
            answers.append(result.stdout)
            return result.returncode == 0

        self.poll(answers_now, 20, "it answers")
        return answers[-1]

    def test_a_peer_whose_streams_are_closed_keeps_its_files_and_connections_clean(self):
        founder = self.found()
        state = self.directory / "state"
        closed = subprocess.Popen(
            ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', BINARY, "peer", "--json", "--threads", "1",
             "--join", founder.address, "--state", str(state)],
            env=environment(),
        )
        self.addCleanup(closed.wait)
        self.addCleanup(closed.kill)
        self.poll_status(state)
        for stream in range(3):
            self.assertEqual(os.readlink(f"/proc/{closed.pid}/fd/{stream}"), "/dev/null")
        closed.send_signal(signal.SIGTERM)
        self.assertEqual(closed.wait(scaled(8)), 0)


if __name__ == "__main__":
    main()
