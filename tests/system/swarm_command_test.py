"""Goal: `starling swarm` runs real peers, survives its own chaos, and prints the result. Method: read its JSON
lines, of which the summary is the last."""

from swarm_fixture import SAMPLES_SPEC, SwarmTestCase, main, samples_for


class SwarmCommandTestCase(SwarmTestCase):
    def run_swarm(self, *arguments, seconds):
        swarm = self.start(
            "swarm", "--dataset", SAMPLES_SPEC, "--model", "mlp", "--json", *arguments,
            name="swarm",
        )
        self.wait_for_exit([swarm], seconds)
        self.assertEqual(swarm.strange_lines, [])
        self.assertEqual(swarm.events[-1]["event"], "summary")
        return swarm


class SwarmCommand(SwarmCommandTestCase):
    def test_three_peers_give_a_summary_of_three(self):
        until = samples_for(3)
        swarm = self.run_swarm("--peers", 3, "--until", until, seconds=60)
        wanted = int(until.removeprefix("samples="))
        summary = swarm.events[-1]
        self.assertEqual(len({peer["id"] for peer in summary["peers"]}), 3)
        self.assert_agreed(summary["peers"])
        bound = wanted // 64 * 64  # all whole batches within the target
        self.assertEqual(sum(peer["samples"] for peer in summary["peers"]), bound)
        self.assertEqual(summary["samples"], bound)
        self.assertGreater(summary["seconds"], 0)
        self.assertGreater(summary["bytes"], 0)


class SwarmChaos(SwarmCommandTestCase):
    def test_a_founder_crash_and_a_late_join_end_well(self):
        # Chaos waits until each of the three has made 200 steps of 64 samples. Then the others need some
        # seconds to notice the crash.
        until = samples_for(20, after=3 * 200 * 64)
        swarm = self.run_swarm(
            "--peers", 3, "--until", until, "--chaos", "founder-crash,late-join", seconds=100
        )
        done = [event["do"] for event in swarm.all("fault")]
        self.assertEqual(done, ["kill peer 1", "add 1 by peer 3"])
        founder = swarm.all("listening", peer=1)[0]["id"]
        newcomer = 4
        finals = swarm.events[-1]["peers"]
        self.assertEqual(len(finals), 3)
        self.assertNotIn(founder, {peer["id"] for peer in finals})
        self.assertIn(newcomer, {peer["peer"] for peer in finals})
        self.assert_agreed(finals)


if __name__ == "__main__":
    main()
