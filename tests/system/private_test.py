"""Goal: in a private swarm each peer trains on its own samples, and all end by their common quality. Method: the rows of a
shipped table are dealt to three peers on loopback."""

import json
import os
import pathlib
import re
import signal

from private_tables import NAMES, PEERS, ROWS, PrivateTestCase, table, write_rows
from swarm_fixture import main, run


class PrivateSwarm(PrivateTestCase):
    def test_each_brings_its_own_and_all_end_by_their_common_quality(self):
        files = self.hospitals()
        founder = self.found(
            "--private", "--until", "auc=0.97", "--wait-for", PEERS,
            dataset=self.spec(files[0]), model="tabular",
        )
        joiners = [
            self.join(founder, "--dataset", self.spec(file)) for file in files[1:]
        ]
        peers = [founder, *joiners]
        self.wait_for_exit(peers, 60)
        finals = [peer.last("final") for peer in peers]
        for final in finals:
            self.assertGreater(final["samples"], 0)
            self.assertGreater(final["exchanges"], 0)
        # The goal is the mean over the samples of all, not what a single peer sees on its own.
        self.assertGreaterEqual(max(final["goal"] for final in finals), 0.97)

    def test_the_end_says_which_share_of_the_samples_took_part_to_the_last(self):
        files = self.hospitals()
        # One more than bring samples: nobody trains, and so nobody ends, before one of them is dead.
        founder = self.found(
            "--private", "--until", "epochs=20", "--wait-for", PEERS + 1, "--profile", "local",
            dataset=self.spec(files[0]), model="tabular",
        )
        second, victim = [
            self.join(founder, "--dataset", self.spec(file), "--profile", "local")
            for file in files[1:]
        ]
        rows = len(table())
        counts = [sum(1 for i in range(n, rows, PEERS) if i % 5 != 0) for n in range(PEERS)]
        self.poll(
            lambda: all(
                peer.status()["private"]["samples_of_all"] == sum(counts) for peer in (founder, second)
            ),
            20, "all know of all samples",
        )
        victim.kill()
        self.wait_for(lambda: victim.id in founder.ids_that_are("failed"), 30, "one is dead", [founder])
        watchers = [self.join(founder, "--profile", "local") for _ in range(2)]
        self.wait_for_exit([founder, second, *watchers], 60)
        for peer in (founder, second):
            self.assertAlmostEqual(peer.last("final")["share"], sum(counts[:2]) / sum(counts))

    def test_who_brings_nothing_averages_and_who_brings_something_else_is_refused(self):
        files = self.hospitals()
        founder = self.found("--private", dataset=self.spec(files[0]), model="tabular")
        other = write_rows(self.directory / "other.csv", [["1", "2"], ["3", "4"]] * 20, ["a", "kind"])
        refused = run("peer", "--join", founder.address, "--dataset", f"csv:{other}?label=kind")
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn(str(other), refused.stderr.splitlines()[-1])
        watcher = self.join(founder)
        self.wait_for(
            lambda: watcher.progress("exchanges", 0) > 2 and watcher.progress("state") == "training",
            30, "it averages", [founder, watcher],
        )
        self.assertEqual(watcher.progress("steps"), 0)
        self.assertEqual(watcher.progress("shards"), 0)
        def status():
            return founder.status()

        private = status()["private"]
        self.assertEqual(private["own_samples"], sum(1 for i in range(0, 569, 3) if i % 5 != 0))
        self.assertEqual(private["samples_of_the_living"], private["own_samples"])
        self.assertEqual(private["share"], 1.0)
        self.assertIn("parameters", private["leaves"])
        # Whoever is silent tells its own user how good the model is, and nobody else.
        silent = self.join(founder, "--dataset", self.spec(files[1]), "--silent-quality")
        self.wait_for(
            lambda: silent.progress("accuracy") is not None, 30, "it knows its accuracy", [founder, silent]
        )

        def seen():
            return next((m for m in status()["members"] if m["id"] == silent.id), {})

        self.poll(lambda: seen().get("steps", 0) > 0, 20, "the founder knows of its steps")
        self.assertEqual([seen()[name] for name in ("loss", "test_loss", "accuracy")], [0.0, None, None])

        def mine():
            return {m["self"]: m for m in status()["members"]}[True]

        # It may not have evaluated its own model by then.
        self.poll(lambda: mine()["test_loss"] is not None, 20, "the founder says its own")

    def leave(self, *peers):
        for peer in peers:
            peer.send(signal.SIGTERM)
        self.wait_for_exit(peers, 30)

    def test_a_second_start_reads_the_same_samples_again(self):
        files = self.hospitals()
        states = [self.directory / name for name in "ab"]
        founder = self.found(
            "--private", "--state", states[0], dataset=self.spec(files[0]), model="tabular"
        )
        # The path is relative to the directory in which the first life was started.
        near = pathlib.Path(os.path.relpath(files[1]))
        joiner = self.join(founder, "--dataset", self.spec(near), "--state", states[1])
        self.wait_for_training([founder, joiner])
        shards = [peer.progress("shards") for peer in (founder, joiner)]
        self.leave(joiner, founder)
        self.assertEqual((states[1] / "dataset").stat().st_mode & 0o777, 0o600)

        again = [self.start_peer("--state", state, name=f"again {state.name}") for state in states]
        self.wait_for(lambda: all(peer.last("resumed") for peer in again), 20, "both resume", again)
        before = [peer.last("resumed")["steps"] for peer in again]
        self.wait_for(
            lambda: all(p.progress("steps") > steps for p, steps in zip(again, before)),
            20, "both train on", again,
        )
        self.assertEqual([peer.progress("shards") for peer in again], shards)
        self.leave(*again)

        rows = files[0].read_text().splitlines(keepends=True)
        files[0].write_text("".join(rows[:-5]))
        files[1].unlink()
        late = [self.start_peer("--state", state, name=f"late {state.name}") for state in states]
        self.wait_for(
            lambda: all("samples of its own" in (p.progress("waiting", "") or "") for p in late),
            20, "both have nothing to train on", late,
        )
        self.wait_for(
            lambda: all(p.progress("exchanges") > 0 for p in late), 20, "they average", late
        )
        for peer, why in zip(late, ("not those of the last start", "does not exist")):
            said = [line for line in peer.errors if "cannot be used" in line]
            self.assertEqual(len(said), 1, peer.errors)
            self.assertIn(why, said[0])
            self.assertEqual(peer.progress("shards"), 0)

    def test_a_schema_that_was_agreed_on_comes_before_the_founders_own_data(self):
        files = self.hospitals()
        schema = self.directory / "schema.json"
        wrote = run("data", "schema", self.spec(files[0]), "--out", schema)
        self.assertEqual(wrote.returncode, 0, wrote.stderr)
        columns = json.loads(schema.read_text())["recipe"]["columns"]
        self.assertEqual([column["name"] for column in columns], NAMES)
        self.assertEqual(run("data", "schema", self.spec(files[0]), "--out", schema).returncode, 2)
        founder = self.found(
            "--private", "--schema", schema, "--until", "epochs=10", "--wait-for", 2,
            dataset=self.spec(files[1]), model="tabular",
        )
        joiner = self.join(founder, "--dataset", self.spec(files[2]))
        self.wait_for_exit([founder, joiner], 60)
        for peer in (founder, joiner):
            self.assertGreater(peer.last("final")["exchanges"], 0)
        other = write_rows(self.directory / "other.csv", [["1", "2"], ["3", "4"]] * 20, ["m1", "kind"])
        refused = run(
            "peer", "--private", "--schema", schema, "--dataset", f"csv:{other}?label=kind",
            "--model", "tabular",
        )
        self.assertEqual(refused.returncode, 2, refused.stderr)
        last = refused.stderr.splitlines()[-1]
        self.assertIn(f"{other}: lacks 29 of the 30 columns", last)

    def test_each_weighs_classes_by_its_own_samples(self):
        files = self.unlike_hospitals()
        state = self.directory / "founder"
        founder = self.found(
            "--private", "--class-weights", "logits", "--until", "epochs=20", "--wait-for", PEERS, "--state", state,
            dataset=self.spec(files[0]), model="tabular",
        )
        joiners = [self.join(founder, "--dataset", self.spec(file)) for file in files[1:]]
        peers = [founder, *joiners]
        self.wait_for_exit(peers, 60)
        said = []
        for peer in peers:
            lines = [line for line in peer.errors if "class weights: " in line]
            self.assertEqual(len(lines), 1, peer.errors)
            said.append([float(weight) for weight in re.findall(r"\d (\S+) \(of", lines[0])])
        for zero, one in said[:2]:
            self.assertGreater(zero, 5 * one)
        self.assertGreater(said[2][1], 5 * said[2][0])
        # A table wants something to train on, which an evaluation passes over.
        rows = [row + ["train" if i % 50 == 0 else "test"] for i, row in enumerate(table())]
        everything = write_rows(self.directory / "all.csv", rows, [*NAMES, "kind", "part"])
        judged = run("eval", "--state", state, "--dataset", self.spec(everything))
        self.assertEqual(judged.returncode, 0, judged.stderr)
        self.assertGreater(json.loads(judged.stdout)["balanced_accuracy"], 0.9)

    def statistics(self, state):
        """Returns the running statistics of a checkpoint's norms by their names, to the bit."""
        file = self.directory / f"{state.name}.safetensors"
        done = run("export", "--state", state, "--output", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        data = file.read_bytes()
        size = int.from_bytes(data[:8], "little")
        tensors = json.loads(data[8 : 8 + size])
        return {
            name: data[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]]
            for name, entry in tensors.items() if "running_" in name
        }

    def test_statistics_of_norms_are_those_of_all_in_the_end(self):
        files = self.unlike_hospitals()
        states = [self.directory / name for name in ("first", "second", "third")]
        founder = self.found(
            "--private", "--until", "epochs=5", "--wait-for", PEERS, "--batch", 16, "--state", states[0],
            dataset=self.spec(files[0]), model="tabular?norm=1",
        )
        joiners = [
            self.join(founder, "--dataset", self.spec(file), "--state", state)
            for file, state in zip(files[1:], states[1:])
        ]
        peers = [founder, *joiners]
        self.wait_for_exit(peers, 90)
        found = [self.statistics(state) for state in states]
        self.assertEqual(set(found[0]), {"bn_cont.running_mean", "bn_cont.running_var"})
        for other in found[1:]:
            # What averaging alone leaves is equal to a thousandth, not to the bit.
            self.assertEqual(other, found[0])
        for peer in peers:
            self.assertFalse([line for line in peer.errors if "drawn anew" in line], peer.errors)

    def test_a_swarm_on_one_machine_divides_a_data_set(self):
        done = run(
            "swarm", "--private", "--peers", 3, "--profile", "local", "--model", "tabular", "--json",
            "--dataset", f"csv:{ROWS}?skip=1&header=0", "--partition", "dirichlet?alpha=1",
            "--until", "epochs=5", seconds=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        summary = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(len(summary["peers"]), 3)
        samples = [peer["samples"] for peer in summary["peers"]]
        # Each makes five epochs of what is its own, which differs.
        self.assertGreater(max(samples), min(samples))


if __name__ == "__main__":
    main()
