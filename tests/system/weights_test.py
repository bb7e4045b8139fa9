"""Goal: a fast peer counts more than a slow one in averaging and keeps its pace. Method: a founder that trains
alone tells how the loss falls with its steps. Another one of the same seed is joined, once it knows its speed, by
a peer that gets a tenth of its share of a core. Its loss must fall nearly as far in as many steps of its own:
steps are counted, so that other load of the machine changes nothing. Without groups of the kernel that bound CPU
time the test says so and is skipped.
"""

import sys

from speed_test import SKIPPED, Grouped, what_is_missing
from swarm_fixture import main

FAST, SLOW = 0.6, 0.06  # of a core
# Slow on purpose: the loss falls from 0.7 to a half of that in the minutes that this takes.
TRAINING = ("--optimizer", "sgd?lr=0.000005", "--batch", 64, "--mix-every", 1, "--kernels", "fixed")


class Weights(Grouped):
    def found_fast(self, name):
        founder = self.found(
            *TRAINING, "--until", "samples=1e12", dataset=f"csv:{self.write_table()}?label=label",
            model="mlp?hidden=16", name=name,
        )
        self.group(founder, FAST)
        self.wait_for_training([founder], 60)
        self.wait_for(lambda: founder.status()["mixing"]["weight"], 90, "the founder knows its speed", [founder])
        return founder

    def curve(self, peer):
        """Returns (steps, loss) of all that the peer has said so far."""
        return [(line["steps"], line["loss"]) for line in peer.all("progress") if line["loss"] is not None]

    def steps_at(self, curve, loss):
        """Returns after how many steps a falling curve has come down to a loss."""
        for (before, above), (after, below) in zip(curve, curve[1:]):
            if below <= loss:
                return before + (after - before) * (above - loss) / max(above - below, 1e-12)
        raise AssertionError(f"never down to {loss}: {curve[-3:]}")

    def train_on(self, peer, steps):
        """Returns its steps and losses while it makes so many more."""
        begin = peer.progress("steps")
        self.wait_for(lambda: peer.progress("steps") > begin + steps, 120, "further steps", [peer])
        return [point for point in self.curve(peer) if point[0] >= begin]

    def test_a_fast_peer_is_not_slowed(self):
        alone = self.found_fast("alone")
        self.train_on(alone, 3 * alone.progress("steps"))
        alone_curve = self.curve(alone)
        self.end([alone])

        fast = self.found_fast("fast")
        slow = self.join(fast)
        self.group(slow, SLOW)
        self.wait_for_training([slow], 60)
        exchanges = fast.progress("exchanges")
        with_slow = self.train_on(fast, fast.progress("steps"))
        self.assertGreater(fast.progress("exchanges"), exchanges + 20)
        weights = [peer.status()["mixing"]["weight"] for peer in (fast, slow)]
        self.assertGreaterEqual(weights[0], 4 * weights[1], weights)
        (begin, first), (end, last) = with_slow[0], with_slow[-1]
        needs = self.steps_at(alone_curve, last) - self.steps_at(alone_curve, first)
        pace = (end - begin) / needs
        print(f"weights {weights}, steps against alone {pace:.2f}", file=sys.stderr)
        # An even pair, of which one makes next to nothing, needs twice as many.
        self.assertLess(pace, 1.4)
        self.end([fast, slow])


if __name__ == "__main__":
    missing = what_is_missing()
    if missing:
        print(f"skipped: {missing}", file=sys.stderr)
        sys.exit(SKIPPED)
    main()
