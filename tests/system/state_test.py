"""Goal: a peer that starts again with its state directory continues its life. Method: stop peers, damage their
files, start them again, and compare what they print with what they printed before."""

import json
import shutil
import signal
import tarfile

from swarm_fixture import ROOT, SAMPLES_SPEC, SwarmTestCase, main, run, samples_for


class State(SwarmTestCase):
    def train_a_while(self, state, steps=50):
        """Runs a peer for some steps and ends it by a signal. Returns the peer and its boot epoch."""
        peer = self.found("--state", state)
        self.wait_for(
            lambda: peer.last("founded") or peer.last("resumed"), 10, "it starts", peers=[peer]
        )
        resumed = peer.last("resumed")
        goal = steps + (resumed["steps"] if resumed else 0)
        self.wait_for(
            lambda: peer.progress("steps") > goal, 30, f"{steps} new steps", peers=[peer]
        )
        epoch = peer.status()["members"][0]["epoch"]
        peer.send(signal.SIGTERM)
        self.wait_for_exit([peer], 10)
        return peer, epoch

    def test_a_restart_keeps_identity_and_steps_and_survives_a_torn_checkpoint(self):
        state = self.directory / "state"
        first, first_epoch = self.train_a_while(state)
        second, second_epoch = self.train_a_while(state)
        self.assertEqual(second.id, first.id)
        self.assertGreater(second_epoch, first_epoch)
        resumed = second.last("resumed")
        self.assertGreaterEqual(resumed["steps"], first.progress("steps"))
        # Half of the newest checkpoint, as after a power cut. The previous one is at least that of the first life.
        newest = state / "checkpoint"
        newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
        third, third_epoch = self.train_a_while(state)
        self.assertEqual(third.id, first.id)
        self.assertGreater(third_epoch, second_epoch)
        self.assertGreaterEqual(third.last("resumed")["steps"], resumed["steps"])
        self.assertLess(third.last("resumed")["steps"], second.progress("steps"))
        self.assertTrue(any("damaged" in line for line in third.errors))
        self.assertEqual(third.last("resumed")["swarm"], first.last("founded")["swarm"])

    def test_a_last_line_promises_no_model_that_the_disk_did_not_take(self):
        # A limit of the size of files stands for a full disk: the small files of a state have room.
        small = ("prlimit", "--fsize=100000")
        done = self.found("--state", self.directory / "done", "--until", "steps=300", prefix=small)
        self.wait_for_exit([done], 60, code=1)
        self.assertEqual(done.last("final")["model"], "")
        leaver = self.found("--state", self.directory / "leaver", prefix=small)
        self.wait_for(lambda: leaver.errors, 30, "it says what it lacks", peers=[leaver])
        self.assertIn("checkpoint.tmp", leaver.status()["checkpoints"]["error"])
        self.assertEqual(leaver.metric("checkpoint_failing"), 1)
        leaver.send(signal.SIGTERM)
        self.wait_for_exit([leaver], 20, code=1)
        self.assertIsNotNone(leaver.last("left"))
        for peer in (done, leaver):
            notes = [line for line in peer.errors if "no checkpoint is written" in line]
            self.assertEqual(len(notes), 1, "once, not each time")
            self.assertRegex(peer.errors[-1], "the last checkpoint is not written: .*checkpoint.tmp")
            self.assertIn("there is none", peer.errors[-1])

    def test_a_swarm_fails_whose_models_the_disk_did_not_take(self):
        state = self.directory / "swarm"
        result = run(
            *("swarm", "--json", "--peers", 2, "--dataset", SAMPLES_SPEC, "--until", "steps=200"),
            *("--state", state),
            seconds=90,
            prefix=("prlimit", "--fsize=100000"),
        )
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("the last checkpoint is not written", result.stderr.splitlines()[-1])
        summary = json.loads(result.stdout.splitlines()[-1])
        self.assertEqual([peer["model"] for peer in summary["peers"]], [None, None])

    def test_a_state_directory_serves_one_peer_at_a_time(self):
        state = self.directory / "state"
        self.found("--state", state)
        second = run("peer", "--state", state, "--dataset", SAMPLES_SPEC)
        self.assertEqual(second.returncode, 1)
        self.assertEqual(second.stdout, "")
        self.assertRegex(second.stderr, rf"\Astarling peer: {state}: another peer uses .*\n\Z")

    def test_a_restarted_joiner_finds_its_swarm_by_itself(self):
        state = self.directory / "state"
        founder = self.found()
        joiner = self.join(founder, "--state", state)
        self.wait_for_training([founder, joiner])
        self.wait_for_members([founder, joiner], 2)
        self.wait_for(
            lambda: joiner.progress("exchanges") >= 30, 60, "they average", peers=[founder, joiner]
        )
        # The checkpoint has an address from the next progress line on after the member came up.
        seen = len(joiner.all("progress"))
        self.wait_for(
            lambda: len(joiner.all("progress")) > seen + 1, 10, "another line", peers=[joiner]
        )
        joiner.send(signal.SIGTERM)
        self.wait_for_exit([joiner], 10)
        again = self.start_peer("--state", state, name="restarted joiner")
        self.assertEqual(again.id, joiner.id)
        self.wait_for_training([again])
        self.wait_for_members([founder, again], 2)
        self.assert_only_failed([founder])
        # Its requests must be new to a partner that remembers the requests of its last life.
        self.wait_for(
            lambda: again.progress("exchanges") >= 8, 30, "they average", peers=[founder, again]
        )
        self.assertEqual(again.metric('exchange_violations_total{reason="stall"}'), 0)

    def test_peers_that_all_died_are_one_swarm_again_by_their_directories_alone(self):
        states = [self.directory / f"state-{number}" for number in range(3)]
        founder = self.found("--state", states[0])
        peers = [founder, *(self.join(founder, "--state", state) for state in states[1:])]
        self.wait_for_members(peers, 3)
        self.wait_for_training(peers)
        self.poll(
            lambda: all((state / "checkpoint").exists() for state in states[:2])
            and all((state / "members").read_text().count("member ") == 2 for state in states),
            40,
            "all that a restart needs is on the disk",
        )
        for peer in peers:
            peer.kill()
        for peer in peers:
            peer.process.wait()
        # The third one has died before its first checkpoint.
        for file in states[2].glob("checkpoint*"):
            file.unlink()
        again = [self.start_peer("--state", state, name=state.name) for state in states]
        self.assertEqual([peer.address for peer in again], [peer.address for peer in peers])
        self.wait_for_members(again, 3)
        self.wait_for(lambda: again[2].last("joined"), 10, "the third joins", peers=again)

    def test_a_state_of_the_release_before_streams_were_sealed_resumes(self):
        state = self.directory / "old"
        with tarfile.open(ROOT / "tests/golden/state/before-0.2.tar.gz") as archive:
            archive.extractall(state)
        peer = self.start_peer("--state", state)
        self.wait_for(lambda: peer.last("resumed"), 20, "it resumes", peers=[peer])
        steps = peer.last("resumed")["steps"]
        self.assertGreater(steps, 0)
        self.wait_for_training([peer])
        joiner = self.start_peer("--join", peer.address, "--key", state / "swarm.key")
        self.wait_for(lambda: joiner.last("joined"), 20, "others join it", peers=[joiner])

    def test_a_state_of_one_swarm_does_not_train_alone_when_told_to_join_another(self):
        state = self.directory / "state"
        first, _ = self.train_a_while(state, steps=1)
        other = self.found(name="founder of the other")
        lost = self.start_peer("--state", state, "--join", other.address, name="lost")
        self.wait_for_exit([lost], 20, code=2)
        # The other swarm's peer does not say which one it is to somebody without its key.
        for word in (first.last("founded")["swarm"][:8], other.address):
            self.assertIn(word, lost.errors[-1])

    def test_eval_of_a_checkpoint_gives_the_accuracy_that_the_peer_reported(self):
        states = [self.directory / "one", self.directory / "two"]
        founder = self.found("--until", samples_for(3), "--state", states[0])
        peers = [founder, self.join(founder, "--state", states[1])]
        self.wait_for_exit(peers, 60)
        for peer, state in zip(peers, states):
            final = peer.last("final")
            self.assertEqual(final["model"], str(state / "checkpoint"))
            result = run("eval", "--state", state, "--dataset", SAMPLES_SPEC, "--threads", 1)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            measured = json.loads(result.stdout)
            self.assertEqual(measured["samples"], 300)
            # A last exchange may change a settled model by less than the tolerance.
            self.assertAlmostEqual(measured["accuracy"], final["accuracy"], delta=1.5 / 300)
            self.assertAlmostEqual(measured["loss"], final["loss"], delta=0.01)


class CopiedState(SwarmTestCase):
    def stop(self, peer):
        peer.send(signal.SIGTERM)
        self.wait_for_exit([peer], 10)

    def test_of_two_processes_with_one_state_the_younger_ends_and_both_say_so(self):
        state, copy = self.directory / "state", self.directory / "copy"
        founder = self.found()
        joiner = self.join(founder, "--state", state)
        self.wait_for_training([founder, joiner])
        self.stop(joiner)
        shutil.copytree(state, copy)
        original = self.start_peer("--state", state, name="original")
        self.wait_for_training([original])
        self.wait_for_members([founder, original], 2)
        clone = self.start_peer("--state", copy, "--listen", "127.0.0.1:0", name="clone")
        self.wait_for_exit([clone], 20, code=1)
        self.assertIn(f"at {original.address}", clone.errors[-1])
        self.assertIn("remove identity.key and epoch", clone.errors[-1])
        self.poll(
            lambda: any("another process runs with the identity" in line for line in original.errors),
            10,
            "the original says so",
        )
        # What the clone said in the original's name is overruled everywhere.
        self.wait_for_members([founder, original], 2)
        self.poll(
            lambda: original.address in [member["address"] for member in founder.status()["members"]],
            20,
            "the founder knows where the original is",
        )
        exchanges = original.progress("exchanges")
        self.wait_for(
            lambda: original.progress("exchanges") > exchanges + 2, 30, "it averages", peers=[original]
        )
        self.assertGreater(original.metric("identity_conflicts_total"), 0)

    def test_a_founder_and_its_copy_meet_and_one_of_them_ends(self):
        state, copy = self.directory / "state", self.directory / "copy"
        first = self.found("--state", state)
        self.wait_for_training([first])
        self.stop(first)
        shutil.copytree(state, copy)
        original = self.start_peer("--state", state, name="original")
        self.wait_for_training([original])
        clone = self.start_peer(
            "--state", copy, "--listen", "127.0.0.1:0", "--join", original.address, name="clone"
        )
        # Both have been alone until they met, so either may be the one that ends.
        self.poll(
            lambda: any(peer.process.poll() is not None for peer in (original, clone)), 20, "one ends"
        )
        ended, stays = clone, original
        if original.process.poll() is not None:
            ended, stays = original, clone
        self.wait_for_exit([ended], 5, code=1)
        self.assertIn("another process runs with the identity", ended.errors[-1])
        self.assertIsNone(stays.process.poll())

    def test_a_state_from_a_backup_learns_how_often_it_has_started_since(self):
        state, backup = self.directory / "state", self.directory / "backup"
        founder = self.found()
        joiner = self.join(founder, "--state", state)
        self.wait_for_training([founder, joiner])
        self.stop(joiner)
        shutil.copytree(state, backup)
        for _ in range(3):
            later = self.start_peer("--state", state, name="later")
            self.wait_for_members([founder, later], 2)
            self.stop(later)
        last = int((state / "epoch").read_text())
        restored = self.start_peer("--state", backup, "--listen", "127.0.0.1:0", name="restored")
        self.wait_for_members([founder, restored], 2)
        self.poll(lambda: int((backup / "epoch").read_text()) > last, 10, "the epoch is stored")
        self.wait_for(
            lambda: restored.progress("exchanges") >= 2, 30, "it averages", peers=[restored]
        )
        self.assertFalse(any("another process" in line for line in restored.errors))


if __name__ == "__main__":
    main()
