"""Goal: a swarm survives the death of any peer, also of the founder. Method: kill -9 in the middle of
training. The survivors must notice, divide the shards of the dead among themselves, accept newcomers and
finish."""

from swarm_fixture import SwarmTestCase, main, samples_for


class Failure(SwarmTestCase):
    def test_survivors_finish_without_the_founder_and_take_a_newcomer(self):
        founder = self.found("--until", samples_for(20))
        survivors = [self.join(founder, name=f"survivor {i}") for i in (1, 2)]
        self.wait_for_training([founder, *survivors])
        # While the founder was alone, it owned every training shard.
        shards = max(line["shards"] for line in founder.all("progress"))
        self.wait_for(
            lambda: 0 < founder.progress("shards") < shards, 20, "the founder gives shards away"
        )
        founder.kill()
        self.wait_for(
            lambda: all(founder.id in peer.ids_that_are("failed") for peer in survivors),
            15,
            "survivors list the founder as failed",
            peers=survivors,
        )
        self.wait_for(
            lambda: sum(peer.progress("shards") for peer in survivors) == shards,
            10,
            "survivors train on all shards",
            peers=survivors,
        )
        newcomer = self.join(survivors[-1], name="newcomer")
        self.wait_for_training([newcomer])
        self.assertIn(survivors[0].id, newcomer.ids_that_are("up"))
        peers = [*survivors, newcomer]
        self.wait_for_exit(peers, 120)
        self.assert_agreed([peer.last("final") for peer in peers])
        self.assert_only_failed(peers, dead={founder.id})


if __name__ == "__main__":
    main()
