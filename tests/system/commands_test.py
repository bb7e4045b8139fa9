"""Goal: the commands beside the peer print what scripts rely on. Method: run each once."""

import json
import sys

from swarm_fixture import ROOT, SAMPLES_SPEC, SwarmTestCase, main, run

sys.path.insert(0, str(ROOT / "measure"))

from recipe_list import RECIPES  # noqa: E402


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

    def test_each_recipe_names_a_model_and_an_optimizer_that_exist(self):
        for name, recipe in RECIPES.items():
            with self.subTest(name):
                steps = self.run_json(
                    "bench", "step", "--model", recipe.model, "--optimizer", recipe.optimizer,
                    "--batch", 2, "--seconds", 0.02,
                )
                self.assertGreater(steps["steps"], 0)
                page = (ROOT / "docs/recipes" / f"{name.split('-')[0]}.md").read_text()
                for value in (recipe.model, recipe.optimizer):
                    self.assertIn(value, page)

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

    def test_status_finds_the_peer_of_this_user_and_says_when_it_has_left(self):
        state = self.directory / "a"
        peer = self.found("--name", "kitchen-pc", "--state", state)
        shown = run("status")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertIn(peer.id, shown.stdout)
        self.assertIn("kitchen-pc", shown.stdout)
        second = self.start_peer("--membership-only", name="another")
        listed = run("status")
        self.assertEqual(listed.returncode, 0)
        for one in (peer, second):
            self.assertIn(f"starling status --http {one.http}", listed.stdout)
        second.kill()
        self.wait_for_exit([second], 20, code=-9)
        self.assertIn(peer.id, run("status").stdout, "the one that was killed is forgotten")
        watch = self.start("status", "--watch", "--json", name="who watches")
        self.wait_for(lambda: len(watch.strange_lines) >= 2, 20, "two looks", peers=[watch])
        self.assertEqual(run("leave", "--state", state).returncode, 0)
        self.wait_for_exit([peer], 20)
        self.wait_for_exit([watch], 20, code=1)
        left = run("status", "--state", state)
        self.assertEqual(left.returncode, 1)
        self.assertIn("has left", left.stderr)
        self.assertIn("no peer of yours runs", run("status").stderr)

    def test_help_and_version_succeed(self):
        for arguments in (["--help"], ["--version"], ["peer", "--help"], ["swarm", "--help"],
                          ["help"], ["help", "peer"], ["help", "models"]):
            result = run(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, ""), arguments)
            self.assertIn("starling", result.stdout.lower())
        version = run("--version").stdout
        self.assertRegex(version, r"\Astarling \d+\.\d+\.\d+( \([0-9a-f]{7,}(-dirty)?\))?\n\Z")


if __name__ == "__main__":
    main()
