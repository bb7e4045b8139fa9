"""Goal: a swarm of real peers learns, agrees and ends without a coordinator. Method: three peers on loopback
train on the shipped samples. Two of them get only an address."""

from swarm_fixture import SwarmTestCase, main, samples_for


class Training(SwarmTestCase):
    def test_three_peers_learn_the_same_model_and_end(self):
        until = samples_for(4)
        founder = self.found("--until", until)
        joiners = [self.join(founder), self.join(founder)]
        peers = [founder, *joiners]
        self.wait_for_exit(peers, 90)
        finals = [peer.last("final") for peer in peers]
        self.assert_agreed(finals)
        wanted = int(until.removeprefix("samples="))
        self.assertEqual(sum(final["samples"] for final in finals), wanted // 64 * 64)
        self.assertGreater(finals[0]["accuracy"], 0.7)
        for peer in peers:
            self.assertGreater(peer.last("final")["exchanges"], 0)
        self.assert_only_failed(peers)
        for joiner in joiners:
            self.assertEqual(joiner.last("joined")["via"], founder.address)
            self.assertGreater(max(line["held"] for line in joiner.all("progress")), 0)

    def test_a_joiner_starts_from_the_swarms_parameters(self):
        founder = self.found()
        self.wait_for(
            lambda: founder.progress("loss", 9) < 0.5, 40, "the founder has learnt", [founder]
        )
        joiner = self.join(founder)
        self.wait_for_training([joiner])
        # A model that starts from random parameters has a loss of ln 10 = 2.3 at its first steps.
        first = next(line for line in joiner.all("progress") if line["steps"] > 0)
        self.assertLess(first["loss"], 1.2)
        self.assertGreater(joiner.progress("held"), 0)


if __name__ == "__main__":
    main()
