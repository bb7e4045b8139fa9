"""Goal: whoever holds the key can evaluate, export and use the present model of a swarm that runs, without being a
member; and the mean of several states. Method: a swarm on the shipped samples, and commands that name a member."""

import json
import struct

from swarm_fixture import SAMPLES_SPEC, SwarmTestCase, main, run
from export_test import read_safetensors


class Borrowed(SwarmTestCase):
    def swarm(self):
        self.states = [self.directory / "a", self.directory / "b"]
        founder = self.found("--state", self.states[0], "--checkpoint-every", "1s")
        joiner = self.join(founder, "--state", self.states[1], "--checkpoint-every", "1s")
        self.key = self.states[0] / "swarm.key"
        self.wait_for_training([founder, joiner])
        self.wait_for_members([founder, joiner], 2)
        self.wait_for(
            lambda: founder.progress("steps") > 200, 60, "it learns", peers=[founder, joiner]
        )
        return founder, joiner

    def test_the_model_of_a_swarm_that_runs_is_evaluated_and_exported_and_nobody_has_joined(self):
        founder, joiner = self.swarm()
        source = ("--from", f"{founder.address},{joiner.address}", "--key", self.key)
        told = run("eval", *source, "--dataset", SAMPLES_SPEC, "--threads", 1)
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        result = json.loads(told.stdout)
        self.assertEqual(result["samples"], 300)
        self.assertGreater(result["accuracy"], 0.5)
        file = self.directory / "net.safetensors"
        told = run("export", "--from", founder.address, "--key", self.key, "--output", file)
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertTrue(read_safetensors(file))
        # Somebody who joins and leaves would be a member that is gone.
        for peer in (founder, joiner):
            self.assertEqual(len(peer.status()["members"]), 2)
            others = {event["id"] for event in peer.all("member")}
            self.assertLessEqual(others, {founder.id, joiner.id})
        self.assertIsNone(founder.code)

    def test_an_open_swarm_needs_no_key(self):
        founder = self.found()
        self.wait_for_training([founder])
        told = run("eval", "--from", founder.address, "--dataset", SAMPLES_SPEC, "--threads", 1)
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertEqual(json.loads(told.stdout)["samples"], 300)

    def test_who_has_no_key_or_another_one_or_finds_nobody_hears_it_in_one_line(self):
        founder, _ = self.swarm()
        other = self.directory / "other.key"
        other.write_text("0" * 64 + "\n")
        other.chmod(0o600)
        nobody = "127.0.0.1:1"
        for source, words in (
            (("--from", founder.address), "--key"),
            (("--from", founder.address, "--key", other), "another key"),
            (("--from", nobody, "--key", self.key), nobody),
            (("--from", founder.address, "--key", self.directory / "absent"), "absent"),
            ((), "--from"),
        ):
            told = run("export", *source, "--output", self.directory / "net.onnx", seconds=60)
            self.assertNotEqual(told.returncode, 0)
            self.assertEqual(told.stdout, "")
            self.assertIn(words, told.stderr.splitlines()[-1], told.stderr)
        self.assertFalse((self.directory / "net.onnx").exists())

    def test_the_mean_of_several_states(self):
        peers = self.swarm()
        for peer in peers:
            peer.kill()
            peer.process.wait()
        exported = []
        for name, states in (("one", self.states[:1]), ("two", self.states[1:]), ("mean", self.states)):
            file = self.directory / f"{name}.safetensors"
            flags = [word for state in states for word in ("--state", state)]
            told = run("export", *flags, "--output", file)
            self.assertEqual((told.returncode, told.stderr), (0, ""))
            exported.append(read_safetensors(file))
        one, two, mean = exported
        for name, (shape, values) in mean.items():
            self.assertEqual(shape, one[name][0])
            for a, b, m in zip(one[name][1], two[name][1], values):
                expected = struct.unpack("<f", struct.pack("<f", (a + b) / 2))[0]
                self.assertAlmostEqual(m, expected, delta=1e-6 * max(1.0, abs(a), abs(b)))
        self.assertNotEqual(one, two)
        flags = [word for state in self.states for word in ("--state", state)]
        told = run("eval", *flags, "--dataset", SAMPLES_SPEC, "--threads", 1)
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertGreater(json.loads(told.stdout)["accuracy"], 0.5)
        stranger = self.directory / "stranger"
        peer = self.found("--state", stranger, "--until", "steps=20", seed=2, name="another swarm")
        self.wait_for_exit([peer], 60)
        told = run("eval", "--state", self.states[0], "--state", stranger, "--dataset", SAMPLES_SPEC)
        self.assertEqual(told.returncode, 2)
        self.assertEqual(len(told.stderr.splitlines()), 1)
        self.assertIn("different swarms", told.stderr)


if __name__ == "__main__":
    main()
