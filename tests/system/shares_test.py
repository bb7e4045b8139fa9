"""Goal: of a test split that is too large for everybody each peer holds a share, and in the end all know what the whole
split says, though one dies while they settle. Method: four peers on loopback, 25,000 pictures to test on."""

import json
import random

from swarm_fixture import SwarmTestCase, main, run

PEERS = 4
CLASSES = 10
PIXELS = 3072
TESTS = 25_000  # 73 MiB


def pictures(count, seed):
    """Noise, and in nine of ten pictures a grey stripe whose place says the class."""
    rng = random.Random(seed)
    stripe = PIXELS // CLASSES
    for i in range(count):
        label = i % CLASSES
        pixels = bytearray(rng.randbytes(PIXELS))
        if rng.random() < 0.9:
            pixels[label * stripe : (label + 1) * stripe] = bytes([230]) * stripe
        yield bytes([label]) + pixels


class SharedTestSplit(SwarmTestCase):
    def test_is_held_in_shares_and_judged_by_all_together(self):
        data = self.directory / "pictures"
        data.mkdir()
        (data / "data_batch_1.bin").write_bytes(b"".join(pictures(2_000, 1)))
        (data / "test_batch.bin").write_bytes(b"".join(pictures(TESTS, 2)))
        founder = self.found(
            "--until", "samples=24000", "--wait-for", PEERS, "--state", self.directory / "founder",
            dataset=f"cifar:{data}", model="mlp",
        )
        joiners = [
            self.join(founder, "--state", self.directory / f"joiner{i}") for i in range(PEERS - 1)
        ]
        peers = [founder, *joiners]
        victim = joiners[-1]
        self.wait_for(
            lambda: victim.progress("state") in ("settling", "evaluating"), 90, "it settles", peers
        )
        judging = founder.status()["judging"]
        self.assertLess(judging["portions"], judging["portions_of_all"])
        self.assertGreaterEqual(judging["bytes"], min(64 << 20, judging["bytes_of_all"]))
        victim.kill()
        left = peers[:-1]
        self.wait_for_exit(left, 120)
        finals = [peer.last("final") for peer in left]
        whole = self.evaluate(self.directory / "joiner0", data)
        for final in finals:
            # Two others have judged what the dead one held.
            self.assertEqual(final["judged"], 1.0)
            self.assertAlmostEqual(final["accuracy"], whole["accuracy"], delta=0.003)
            self.assertAlmostEqual(final["loss"], whole["loss"], delta=0.01 * whole["loss"] + 1e-3)
        self.assertGreater(whole["accuracy"], 0.3)
        self.assertLess(whole["accuracy"], 0.99)
        for peer in left:
            self.assertFalse([line for line in peer.errors if "chance" in line], peer.errors)

    def evaluate(self, state, data):
        done = run("eval", "--state", state, "--dataset", f"cifar:{data}", "--threads", 1, seconds=90)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
