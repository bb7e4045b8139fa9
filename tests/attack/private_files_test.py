"""Goal: what a peer keeps is its owner's alone, and what it tells others names no folder of its machine. Method:
run peers that would let everybody read their files (umask 0), also in a directory that was open before; look at
the mode of each file while they run and afterwards, and search what a joiner has learned."""

import os
import pathlib
import shutil
import signal
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from swarm_fixture import SAMPLES, SwarmTestCase, main

WITHOUT_UMASK = ("sh", "-c", 'umask 0 && exec "$@"', "sh")


def modes_of(directory):
    """Returns (path, mode) of a directory and of all in it. What vanishes meanwhile is left out."""
    found = []
    for path in [directory, *pathlib.Path(directory).rglob("*")]:
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue
        found.append((path, stat.S_IMODE(facts.st_mode), stat.S_ISDIR(facts.st_mode)))
    return found


class AttackPrivateFiles(SwarmTestCase):
    def assert_closed(self, directory):
        seen = modes_of(directory)
        for path, mode, is_directory in seen:
            self.assertEqual(oct(mode), oct(0o700 if is_directory else 0o600), path)
        return {path.name for path, _, _ in seen}

    def start_and_end(self, state):
        peer = self.found("--state", state, prefix=WITHOUT_UMASK)
        self.wait_for_training([peer])
        self.wait_for(lambda: peer.progress("steps") > 20, 30, "it makes steps", peers=[peer])
        names = self.assert_closed(state)
        self.assertLessEqual({"identity.key", "epoch", "swarm.key", "http", "lock", "shards"}, names)
        peer.send(signal.SIGTERM)
        self.wait_for_exit([peer], 20)
        names = self.assert_closed(state)
        self.assertIn("checkpoint", names)
        return peer

    def test_a_new_state_directory_is_closed_whatever_the_umask(self):
        peer = self.start_and_end(self.directory / "new")
        self.assertFalse([line for line in peer.errors if "other users" in line])

    def test_a_state_directory_that_was_open_is_closed_with_one_note(self):
        state = self.directory / "open"
        self.start_and_end(state)
        for path, _, is_directory in modes_of(state):
            if path.name not in ("identity.key", "swarm.key"):
                os.chmod(path, 0o777 if is_directory else 0o666)
        peer = self.start_and_end(state)
        notes = [line for line in peer.errors if "other users" in line]
        self.assertEqual(len(notes), 1, peer.errors)
        self.assertIn(str(state), notes[0])

    def test_a_directory_that_all_users_share_is_refused(self):
        shared = self.directory / "shared"
        shared.mkdir()
        os.chmod(shared, 0o1777)
        peer = self.start("peer", "--json", "--state", shared, "--membership-only")
        self.wait_for_exit([peer], 20, code=2)
        self.assertEqual(len(peer.errors), 1, peer.errors)
        self.assertRegex(peer.errors[0], rf"{shared}: all users share this folder; give --state")

    def test_a_joiner_learns_no_folder_of_the_founder(self):
        folder = self.directory / "home-of-ann" / "letters"
        shutil.copytree(SAMPLES, folder)
        founder = self.found(dataset=f"idx:{folder}")
        state = self.directory / "joiner"
        joiner = self.join(founder, "--state", state)
        self.wait_for_training([founder, joiner])
        joiner.send(signal.SIGTERM)
        self.wait_for_exit([joiner], 20)
        kept = (state / "checkpoint").read_bytes()
        # Not assertIn: it would print the file.
        self.assertTrue(b"idx:letters" in kept, "the joiner knows the name of the data set")
        self.assertFalse(b"home-of-ann" in kept, "the joiner knows a folder of the founder")


if __name__ == "__main__":
    main()
