"""Goal: the program for the learning tables runs real swarms, keeps finished results, and prints them. Method: a
hundredth of a cell on a small text, twice."""

import json
import subprocess
import sys

from swarm_fixture import BINARY, ROOT, SwarmTestCase, main, scaled


class Learn(SwarmTestCase):
    def learn(self, *arguments):
        text = self.directory / "text.txt"
        text.write_text("".join(f"{i} bottles of beer on the wall. " for i in range(1000)))
        return subprocess.run(
            [
                sys.executable, "-B", ROOT / "measure/learn.py", "gpt", "--binary", BINARY, "--scale", "0.01",
                "--shakespeare", text, "--results", self.directory / "results.jsonl", *arguments,
            ],
            capture_output=True, text=True, timeout=scaled(100), check=False,
        )

    def test_a_finished_run_is_kept_and_not_repeated(self):
        first = self.learn("--cells", "K2", "--seeds", "1")
        self.assertEqual(first.returncode, 0, first.stderr)
        lines = (self.directory / "results.jsonl").read_text().splitlines()
        self.assertEqual(len(lines), 1)
        run = json.loads(lines[0])
        self.assertEqual((run["cell"], run["seed"], run["scale"]), ("K2", 1, 0.01))
        self.assertEqual(run["result"]["steps"], 20)
        self.assertEqual(run["result"]["samples"], 2 * 20 * 12)
        self.assertGreater(run["result"]["exchanges"], 0)
        self.assertLess(run["result"]["spread"], 1e-3)
        version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True)
        self.assertIn(run["commit"], version.stdout)
        self.assertIn(f"| K2 | 1 | {run['result']['loss']:.4f} |", first.stdout)
        second = self.learn("--cells", "K2", "--seeds", "1")
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertNotIn("== gpt", second.stdout)
        self.assertEqual((self.directory / "results.jsonl").read_text().splitlines(), lines)

    def test_what_does_not_exist_is_wrong_usage(self):
        done = self.learn("nothing")
        self.assertEqual(done.returncode, 2)
        self.assertIn("'nothing'", done.stderr)


if __name__ == "__main__":
    main()
