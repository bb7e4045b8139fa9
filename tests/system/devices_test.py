"""Goal: whoever asks what there is to compute with gets an answer, a device that is not here is refused before anybody
hears of the peer, and a peer on OpenCL trains and averages with peers on the CPU; its checkpoint resumes on the CPU.
Method: real peers on data/samples. PoCL stands for a graphics card; without an OpenCL device the swarm's test is skipped.
"""

import json
import unittest

from swarm_fixture import SAMPLES_SPEC, SwarmTestCase, main, run, samples_for


def listed():
    result = run("devices", "--json", seconds=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class Devices(SwarmTestCase):
    def test_the_table_has_a_line_for_each_and_says_what_is_missing(self):
        table = run("devices", seconds=60)
        self.assertEqual(table.returncode, 0, table.stderr)
        known = listed()
        lines = table.stdout.splitlines()
        self.assertEqual(len(lines), len(known["devices"]) + len(known["missing"]))
        self.assertEqual(lines[0].split()[0], "cpu")
        for line, one in zip(lines, [*known["devices"], *known["missing"]]):
            self.assertTrue(line.startswith(one["name"]), line)
        cpu = known["devices"][0]
        self.assertTrue(cpu["ready"])
        self.assertGreater(cpu["memory_bytes"], 1 << 28)
        self.assertIn("oneDNN", cpu["libraries"])

    def test_a_device_that_is_not_here_is_refused_in_one_line(self):
        for name in ("opencl:4000", "cuda", "cuda:7"):
            for command in (
                ("peer", "--dataset", SAMPLES_SPEC),
                ("bench", "step", "--model", "mlp"),
            ):
                result = run(*command, "--device", name, seconds=60)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                self.assertIn(name, result.stderr)


class DeviceSwarm(SwarmTestCase):
    """Two peers on the CPU and one on OpenCL."""

    def setUp(self):
        super().setUp()
        ready = [d["name"] for d in listed()["devices"] if d["ready"]]
        if "opencl:0" not in ready:
            self.skipTest("no OpenCL device here (Debian: pocl-opencl-icd ocl-icd-libopencl1)")

    def look_at_the_device(self, card, other):
        """What `starling status` and /metrics say of it, and who else wants it."""
        device = card.status()["device"]
        self.assertEqual(device["name"], "opencl:0")
        self.assertGreater(device["used_bytes"], 1 << 20)
        self.assertGreater(device["memory_bytes"], device["used_bytes"])
        self.assertGreater(device["step_seconds"], 0)
        self.assertEqual(device["failures"], 0)
        self.assertGreater(card.metric("device_step_seconds"), 0)
        self.assertEqual(card.metric("device_memory_used_bytes"), device["used_bytes"])
        self.assertEqual(other.status()["device"]["name"], "cpu")
        table = run("status", "--http", card.http)
        self.assertIn("opencl:0", table.stdout)
        second = run(
            "bench", "step", "--model", "mlp", "--device", "opencl:0", "--seconds", 0.1, seconds=60
        )
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertIn(f"process {card.process.pid} computes there, too", second.stderr)
        self.assertEqual(json.loads(second.stdout)["device"], "opencl:0")

    def test_a_model_that_does_not_fit_is_refused_before_training(self):
        wide = "mlp?hidden=20000,20000"
        for command in (
            ("peer", "--dataset", SAMPLES_SPEC, "--model", wide),
            ("bench", "step", "--model", wide),
            ("bench", "step", "--model", "cnn", "--batch", 30000),
        ):
            result = run(*command, "--device", "opencl:0", seconds=60, more={"POCL_MEMORY_LIMIT": "1"})
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            fits = "not even one sample fits" if wide in command else "the largest batch that fits is"
            self.assertRegex(result.stderr, rf"opencl:0 .* has 1\.\d GB.* need \d+\.\d GB there; {fits}")

    def test_they_learn_together_and_each_may_die(self):
        state = self.directory / "card"
        first = self.found("--until", samples_for(120), "--mix-every", 4, "--device", "cpu")
        card = self.join(first, "--device", "opencl:0", "--state", state, name="card")
        third = self.join(first, "--device", "cpu", name="third")
        self.wait_for_training([first, card, third], 120)
        self.wait_for(
            lambda: card.progress("steps") > 40 and card.progress("exchanges") > 3,
            120,
            "the peer on OpenCL trains and averages",
            peers=[first, card, third],
        )
        said = [str(event) for event in card.events] + card.errors
        self.assertTrue(any("training on opencl:0" in line for line in said), said)
        self.look_at_the_device(card, first)
        self.wait_for(
            lambda: (card.progress("accuracy") or 0) > 0.5, 120, "it learns", peers=[first, card]
        )
        first.kill()
        before = card.progress("steps")
        self.wait_for(
            lambda: card.progress("steps") > before + 20, 60, "the others go on", peers=[card, third]
        )
        # A checkpoint that was written on OpenCL resumes on the CPU.
        self.assertEqual(run("leave", "--state", state, seconds=60).returncode, 0)
        self.wait_for_exit([card], 60)
        resumed = self.start_peer("--state", state, "--device", "cpu", name="resumed")
        self.wait_for(lambda: resumed.last("resumed"), 60, "the checkpoint resumes", peers=[resumed])
        self.wait_for(
            lambda: resumed.progress("steps") > before, 60, "it goes on from there", peers=[resumed]
        )


if __name__ == "__main__":
    main()
