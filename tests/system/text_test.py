"""Goal: a swarm learns a text, and a partition gives its peers different data. Method: two or three peers on
loopback, a text that the test writes and that is easy to predict, and the shipped images."""

import json
import signal

from swarm_fixture import SAMPLES_SPEC, SwarmTestCase, main, run

MODEL = "gpt?layers=1&heads=2&dim=32&context=32"
SENTENCES = ("the quick brown fox jumps over the lazy dog. ", "pack my box with five dozen liquor jugs. ")


class Text(SwarmTestCase):
    def write_text(self):
        path = self.directory / "text.txt"
        path.write_text("".join(SENTENCES[i % 3 % 2] for i in range(1500)))
        return path

    def test_two_peers_learn_a_text_to_a_loss_and_eval_agrees(self):
        path = self.write_text()
        founder = self.found(
            "--optimizer", "adamw?lr=0.003", "--batch", 16, "--until", "loss=0.6", "--wait-for", 2,
            "--state", self.directory / "founder",
            dataset=f"text:{path}", model=MODEL,
        )
        joiner = self.join(founder)  # has neither the text nor the vocabulary
        self.wait_for_exit([founder, joiner], 90)
        finals = [peer.last("final") for peer in (founder, joiner)]
        self.assert_agreed(finals)
        for final in finals:
            self.assertLessEqual(final["loss"], 0.6)
            self.assertGreater(final["accuracy"], 0.75)
            # Samples are windows, not characters. A batch has 16 windows.
            self.assertEqual(final["samples"], 16 * final["steps"])
            self.assertGreater(final["steps"], 0)
        judged = run(
            "eval", "--state", self.directory / "founder", "--dataset", f"text:{path}", "--threads", 1
        )
        self.assertEqual(judged.returncode, 0, judged.stderr)
        result = json.loads(judged.stdout)
        self.assertAlmostEqual(result["loss"], finals[0]["loss"], delta=1e-3)
        inspected = json.loads(run("data", "inspect", f"text:{path}?context=32").stdout)
        self.assertEqual(result["samples"], inspected["test"])
        self.assertEqual(len(result["text"]), 100)
        self.assertLessEqual(set(result["text"]), set("".join(SENTENCES)))
        self.assertEqual(inspected["shape"], [32])
        self.assertEqual(inspected["classes"], len(set("".join(SENTENCES))))
        self.assertEqual(inspected["train_characters"], 9 * path.stat().st_size // 10)

    def test_nobody_trains_before_all_are_there_and_each_has_its_partition(self):
        founder = self.found(
            "--partition", "labels?per-peer=4&owners=3", "--wait-for", 3, "--until", "steps=300"
        )
        first = self.join(founder, "--dataset", SAMPLES_SPEC)
        both = [founder, first]
        self.wait_for(
            lambda: all(peer.progress("state") == "training" for peer in both), 30, "two are ready", both
        )
        # Two more reports come, and there is no step yet.
        count = len(founder.all("progress")) + 2
        self.wait_for(lambda: len(founder.all("progress")) >= count, 20, "two more reports", both)
        self.assertEqual(founder.progress("steps"), 0)
        self.assertRegex(founder.progress("waiting"), r"\Apeers: 2 of 3 are ready, for \d+ s\Z")
        # It also says so when one of those that were ready has gone.
        first.send(signal.SIGTERM)
        self.wait_for_exit([first], 20)
        self.wait_for(
            lambda: "peers: 1 of 3" in founder.progress("waiting", ""), 30, "one is missed", [founder]
        )
        first = self.join(founder, "--dataset", SAMPLES_SPEC)
        second = self.join(founder)
        peers = [founder, first, second]
        self.wait_for_exit(peers, 90)
        self.assert_agreed([peer.last("final") for peer in peers])
        shards = [peer.all("progress", state="training")[-1]["shards"] for peer in peers]
        self.assertTrue(all(count > 0 for count in shards), shards)
        for peer in peers:
            self.assertEqual(peer.last("final")["steps"], 300)


if __name__ == "__main__":
    main()
