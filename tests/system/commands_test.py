"""Goal: the commands beside the peer print what scripts rely on. Method: run each once."""

import json

from swarm_fixture import SAMPLES_SPEC, SwarmTestCase, main, run


class Commands(SwarmTestCase):
    def run_json(self, *arguments):
        result = run(*arguments, seconds=60)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout.count("\n"), 1)
        return json.loads(result.stdout)

    def test_data_inspect_counts_the_samples(self):
        found = self.run_json("data", "inspect", SAMPLES_SPEC)
        self.assertEqual(
            {key: found[key] for key in ("train", "test", "shape", "classes")},
            {"train": 1500, "test": 300, "shape": [1, 28, 28], "classes": 10},
        )

    def test_simulate_gives_the_same_summary_for_the_same_seed(self):
        arguments = (
            "simulate", "--json", "--peers", 20, "--duration", "2m", "--seed", 7, "--loss", "1%",
            "--crash", "2/min",
        )
        first, second = self.run_json(*arguments), self.run_json(*arguments)
        wall = {key for key in first if "wall" in key or "real" in key}
        for key in first.keys() - wall:
            self.assertEqual(first[key], second[key], key)
        self.assertEqual(first["peers"], 20)

    def test_help_and_version_succeed(self):
        for arguments in (["--help"], ["--version"], ["peer", "--help"], ["swarm", "--help"]):
            result = run(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, ""), arguments)
            self.assertIn("starling", result.stdout.lower())
        version = run("--version").stdout
        self.assertRegex(version, r"\Astarling \d+\.\d+\.\d+( \([0-9a-f]{7,}(-dirty)?\))?\n\Z")


if __name__ == "__main__":
    main()
