"""Goal: with each averaging rule a real swarm trains, and its models agree at the end. Method: run `starling
swarm` with each rule, with a share, rounds and an upload limit, and look at the distances in its summary. A joiner
of a peer with a limit measures how long its parameters take."""

import time

from swarm_fixture import SAMPLES_SPEC, SwarmTestCase, main, samples_for


class MixingRules(SwarmTestCase):
    def run_rule(self, *arguments):
        swarm = self.start(
            "swarm", "--dataset", SAMPLES_SPEC, "--model", "mlp", "--json", "--peers", 3,
            "--until", samples_for(2), *arguments,
            name="swarm",
        )
        self.wait_for_exit([swarm], 60)
        summary = swarm.events[-1]
        self.assertEqual(summary["event"], "summary")
        self.assertEqual(len(summary["peers"]), 3)
        self.assert_agreed(summary["peers"])
        return summary

    def test_push_sum(self):
        self.run_rule("--mix", "push-sum")

    def test_noloco(self):
        self.run_rule("--mix", "noloco?h=20", "--encoding", "lattice8")

    def test_share_of_pairwise(self):
        self.run_rule("--share", "10%")

    def test_rounds(self):
        self.run_rule("--sync")

    def test_upload_limit(self):
        self.run_rule("--upload-limit", "20MB")

    def test_the_upload_limit_holds_for_what_a_newcomer_gets(self):
        founder = self.found("--upload-limit", "500kB", model="cnn")
        self.wait_for_training([founder])
        begun = time.monotonic()
        joiner = self.join(founder)
        self.wait_for_training([joiner])
        # The model has 454,922 parameters, and a tenth of a second's bytes may come at once.
        self.assertGreater(time.monotonic() - begun, 4 * 454_922 / 500e3 - 0.1)


if __name__ == "__main__":
    main()
