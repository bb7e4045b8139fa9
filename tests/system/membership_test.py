"""Goal: sixteen peers know each other within seconds. All learn of the dead, and no live peer is declared
failed. Method: real processes, kill -9 of three at once, and the events of all peers."""

import os
import unittest

from swarm_fixture import SwarmTestCase, main

PEERS = 16
VICTIMS = (0, 7, 15)


class MembershipOfSixteen(SwarmTestCase):
    founder_arguments = ("--membership-only",)
    joiner_arguments = ("--membership-only",)
    up_seconds = 5
    failed_seconds = 10

    def test_all_see_all_and_only_the_killed_fail(self):
        founder = self.start_peer(*self.founder_arguments, name="peer 1")
        joiners = [
            self.start(
                "peer",
                "--json",
                "--threads",
                1,
                "--join",
                founder.address,
                *self.joiner_arguments,
                name=f"peer {i}",
            )
            for i in range(2, PEERS + 1)
        ]
        peers = [founder, *joiners]
        self.wait_for(
            lambda: all(peer.last("listening") for peer in peers), 20, "all listen", peers=peers
        )
        ids = {peer.id for peer in peers}
        self.assertEqual(len(ids), PEERS)
        self.wait_for(
            lambda: all(peer.ids_that_are("up") == ids - {peer.id} for peer in peers),
            self.up_seconds,
            "all see all",
            peers=peers,
        )
        dead = {peers[i].id for i in VICTIMS}
        for i in VICTIMS:
            peers[i].kill()
        survivors = [peer for peer in peers if peer.id not in dead]
        self.wait_for(
            lambda: all(dead <= peer.ids_that_are("failed") for peer in survivors),
            self.failed_seconds,
            "all survivors know all three dead",
            peers=survivors,
        )
        # We wait for one more round of probes. A false suspicion would have become a failure by then.
        probes = [peer.metric("probes_total") for peer in survivors]
        self.poll(
            lambda: all(
                peer.metric("probes_total") >= before + 3
                for peer, before in zip(survivors, probes)
            ),
            15,
            "three more probes of everybody",
        )
        self.assert_only_failed(survivors, dead)
        for peer in survivors:
            self.assertEqual(peer.status()["live"], PEERS - len(dead), peer.name)


@unittest.skipUnless(os.environ.get("STARLING_TEST_SLOW"), "slow: set STARLING_TEST_SLOW")
class MembershipOfSixteenThatTrain(MembershipOfSixteen):
    """The same while every core computes: membership must be in time all the same."""

    founder_arguments = (
        "--dataset", "idx:/usr/share/datasets/fashion-mnist", "--model", "mlp"
    )
    joiner_arguments = ()


if __name__ == "__main__":
    main()
