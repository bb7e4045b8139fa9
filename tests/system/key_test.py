"""Goal: a swarm with a key accepts peers that have it, and tells the others in one line what to do. Method:
real peers of a swarm that trains nothing; joiners with the right key, with another one, and with none."""

import os
import stat
import subprocess

from swarm_fixture import BINARY, SwarmTestCase, main, run

USAGE = 2


class SwarmKey(SwarmTestCase):
    def found_keyed(self):
        self.state = self.directory / "founder"
        founder = self.start_peer("--membership-only", "--state", self.state, name="founder")
        self.wait_for_live([founder], 1)
        return founder

    def wait_for_live(self, peers, count):
        def all_see():
            try:
                return all(peer.status()["live"] == count for peer in peers)
            except (OSError, ValueError):
                return False  # still starting

        self.poll(all_see, 15, f"all of them see {count} members")

    def key_file(self, name, digits):
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(digits + "\n")
        return path

    def assert_refused(self, founder, word, *arguments):
        result = run("peer", "--json", "--membership-only", "--join", founder.address, *arguments)
        self.assertEqual(result.returncode, USAGE, result.stderr)
        self.assertRegex(result.stderr, rf"\Astarling peer: [^\n]*{word}[^\n]*--key[^\n]*\n\Z")

    def test_the_founder_makes_a_key_that_only_its_owner_may_read(self):
        self.found_keyed()
        key = self.state / "swarm.key"
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        self.assertRegex(key.read_text(), r"\A[0-9a-f]{64}\n\Z")

    def test_no_key_and_a_wrong_key_are_refused_and_the_right_one_joins(self):
        founder = self.found_keyed()
        key = self.state / "swarm.key"
        self.assert_refused(founder, "needs a key")
        self.assert_refused(founder, "another key", "--key", self.key_file("wrong", "ab" * 32))
        self.assertEqual(len(founder.status()["members"]), 1)
        joiner = self.start_peer(
            "--membership-only", "--join", founder.address, "--key", key, name="joiner"
        )
        self.wait_for_live([founder, joiner], 2)
        by_input = subprocess.Popen(
            [BINARY, "peer", "--membership-only", "--join", founder.address, "--key", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        try:
            by_input.stdin.write(key.read_bytes())
            by_input.stdin.close()
            self.wait_for_live([founder, joiner], 3)
        finally:
            by_input.terminate()
            by_input.wait()

    def test_a_key_for_an_open_swarm_is_a_mistake_that_is_told(self):
        founder = self.start_peer("--membership-only", name="founder")
        key = self.key_file("key", "ab" * 32)
        result = run("peer", "--membership-only", "--join", founder.address, "--key", key)
        self.assertEqual(result.returncode, USAGE)
        self.assertRegex(result.stderr, r"\Astarling peer: --key: [^\n]* is open[^\n]*\n\Z")


if __name__ == "__main__":
    main()
