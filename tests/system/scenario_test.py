"""Goal: `starling swarm --scenario` does to real peers what its file says, judges them, and leaves nothing behind.
Method: small scenarios and those that ship; their JSON lines, their reports, and the processes that are left."""

import fcntl
import json
import os
import pathlib
import random
import struct
import subprocess
import termios
import time
import unittest

from swarm_fixture import BINARY, ROOT, SAMPLES_SPEC, SwarmTestCase, environment, main, run, samples_for, scaled

SHIPPED = ROOT / "scripts/scenarios"
# For virtual peers alone, and what real ones say.
SIMULATED = {"clock.toml": "cannot do 'clock'", "liar.toml": "cannot do 'liar'"}
HEAD = f"""
calm = "3s"
[swarm]
peers = 3
profile = "local"
[train]
dataset = "{SAMPLES_SPEC}"
model = "mlp"
"""


def step(what, when=None, more=""):
    condition = f'when = "{when}"\n' if when else ""
    return f'[[step]]\ndo = "{what}"\n{condition}{more}\n'


def state_of(pid):
    """The letter of a process' state, or None where it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state = text.rsplit(")", 1)[1].split()[0]
    return None if state in "ZX" else state


def peers_of(pid):
    """The children that are peers, and not the guard that continues them."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:2] == [b"peer"] and int(text.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(entry.name))
    return found


class ScenarioTestCase(SwarmTestCase):
    def begin(self, text, *flags):
        file = self.directory / "scenario.toml"
        file.write_text(text)
        return self.start("swarm", "--scenario", file, "--json", *flags, name="scenario")

    def end(self, process, code, seconds=100):
        self.wait_for(lambda: process.code is not None, seconds, "the scenario is over")
        verdict = process.last("verdict")
        self.assertEqual(process.code, code, verdict or process.errors)
        return verdict


class Scenario(ScenarioTestCase):
    def test_all_are_killed_started_again_and_joined_by_another(self):
        report = self.directory / "report"
        text = HEAD + step("kill all", "all train and whole and step > 20") + step("restart all")
        text += step("add 1 by peer 2", "all train and whole")
        text += step("pause newest", "whole and all train", 'for = "1s"')
        process = self.begin(text, "--report", report)
        verdict = self.end(process, 0)
        self.assertEqual(verdict["faults_carried_out"], 4)
        self.assertTrue(verdict["clean"])
        done = [event["do"] for event in process.all("fault", undone=False)]
        self.assertEqual(
            done, ["kill peer 1,2,3", "restart peer 1,2,3", "add 1 by peer 2", "pause peer 4"]
        )
        self.assertEqual(len(process.all("resumed")) + len(process.all("founded")), 4)
        self.assertEqual(process.events[-1]["event"], "summary")
        written = json.loads((report / "report.json").read_text())
        self.assertEqual(written["mode"], "swarm")
        self.assertEqual(len(written["series"]["peers"]), 4)
        self.assertIn("<svg", (report / "report.html").read_text())

    def test_a_target_is_reached_by_those_that_survive(self):
        text = HEAD.replace("[train]", f'[train]\nuntil = "{samples_for(4)}"')
        verdict = self.end(self.begin(text + step("kill random", "all train")), 0)
        self.assertEqual(verdict["faults_carried_out"], 1)

    def test_a_fault_that_cannot_be_carried_out_fails_the_run(self):
        text = HEAD + step("kill peer 2") + step("pause peer 2", None, 'deadline = "3s"')
        verdict = self.end(self.begin(text), 1)
        self.assertIn("'pause peer 2' could not be done", verdict["findings"][0]["what"])

    def test_a_peer_that_dies_by_itself_is_a_finding(self):
        process = self.begin(HEAD + step("wait step > 1000000"))
        self.wait_for(lambda: len(process.all("listening")) == 3, 30, "all listen")
        victim = peers_of(process.process.pid)[0]
        os.kill(victim, 11)
        self.wait_for(lambda: process.all("finding"), 10, "its end is told")
        process.send(15)
        found = [finding["what"] for finding in self.end(process, 1)["findings"]]
        self.assertIn("ended by itself with SIGSEGV", found[0])
        self.assertEqual(found[1:], ["interrupted"])

    def test_wrong_files_are_refused_before_anything_starts(self):
        file = self.directory / "wrong.toml"
        cases = {
            '[swarm]\nnetwork = "loopback"\n'
            + step("cut half"): "wrong.toml:4:6: starling swarm on loopback cannot do 'cut'",
            "[train]\npears = 3\n": "wrong.toml:2:1: [train] cannot take pears = 3",
            '[train]\nmodel = "nonsense"\n' + f'dataset = "{SAMPLES_SPEC}"\n': "nonsense",
        }
        for text, reason in cases.items():
            file.write_text(text)
            result = run("swarm", "--scenario", file)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(reason, result.stderr)
        result = run("swarm", "--scenario", file, "--peers", 3)
        self.assertEqual(result.returncode, 2, result.stderr)

    def test_kill_minus_9_of_the_tool_leaves_no_process_and_none_that_is_stopped(self):
        # It dies while one peer is paused and another one is slowed.
        text = HEAD + step("pause peer 2", "all train", 'for = "60s"') + step("slow peer 3 10x")
        process = self.begin(text)
        self.wait_for(lambda: process.all("fault", do="slow peer 3 10x"), 60, "both faults")
        peers = peers_of(process.process.pid)
        self.assertEqual(len(peers), 3)
        # A process that runs on a busy core stops a moment after the signal.
        self.poll(lambda: "T" in [state_of(pid) for pid in peers], 10, "one is stopped")
        process.kill()
        deadline = time.monotonic() + scaled(30)
        while any(state_of(pid) for pid in peers) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual([state_of(pid) for pid in peers], [None] * 3)


class LiveScenario(ScenarioTestCase):
    """Actions come from standard input, and each is answered when it has been done."""

    COMMAND = [BINARY, "swarm", "--scenario", "-", "--network", "loopback", "--peers", "3", "--profile", "local"]
    COMMAND += ["--dataset", SAMPLES_SPEC, "--model", "mlp"]

    def steer(self):
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            self.COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment()
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def say(self, process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    @staticmethod
    def unread(pipe):
        return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]

    def test_a_script_reads_an_answer_to_each_line(self):
        process = self.steer()
        self.assertTrue(self.say(process, "wait all train and whole")["ok"])
        answer = self.say(process, "kill random")
        self.assertTrue(answer["ok"])
        victim = int(answer["did"].split()[-1])
        self.assertTrue(self.say(process, "wait whole 30s")["ok"])
        seen = self.say(process, "status")["peers"]
        self.assertEqual([peer["running"] for peer in seen], [peer["peer"] != victim for peer in seen])
        self.assertEqual(self.say(process, "restart all")["did"], f"restart peer {victim}")
        self.assertIn("no verb 'fly'", self.say(process, "fly")["why"])
        self.assertIn("loopback cannot do 'cut'", self.say(process, "cut half")["why"])
        self.assertTrue(self.say(process, "wait all train and whole")["ok"])
        self.assertTrue(self.say(process, "expect members 3")["ok"])
        self.assertEqual(self.say(process, "end")["command"], "end")
        _, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn("clean: 2 faults carried out", errors)

    def test_what_does_not_hold_is_a_finding(self):
        process = self.steer()
        self.assertTrue(self.say(process, "wait all train")["ok"])
        answer = self.say(process, "wait step > 1000000000 200ms")
        self.assertFalse(answer["ok"])
        self.assertIn("did not hold", answer["why"])
        self.assertFalse(self.say(process, "expect members 77")["ok"])
        _, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 1, errors)
        self.assertIn("2 findings", errors)

    def test_lines_of_a_file_are_done_one_after_another(self):
        lines = self.directory / "lines"
        lines.write_text("# first of all\nwait all train\n\npause peer 2 for 1s\nwait after pause\n")
        with lines.open() as file:
            done = subprocess.run(
                self.COMMAND,
                stdin=file,
                capture_output=True,
                text=True,
                env=environment(),
                timeout=scaled(100),
                check=False,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([answer["line"] for answer in answers], [2, 4, 5])
        self.assertTrue(all(answer["ok"] for answer in answers))

    def test_whoever_waits_for_an_answer_gets_one_when_the_run_is_interrupted(self):
        process = self.steer()
        self.assertTrue(self.say(process, "wait all train")["ok"])
        process.stdin.write("wait step > 1000000000 10m\n")
        process.stdin.flush()
        self.poll(lambda: self.unread(process.stdin) == 0, 10, "the line is read")
        process.send_signal(15)
        answer = json.loads(process.stdout.readline())
        self.assertEqual((answer["ok"], answer["why"]), (False, "the run has ended"))
        process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 1)


def why_no_networks():
    """Why real peers have no networks of their own here, or nothing."""
    said = run("swarm", "--can")
    last = said.stdout.splitlines()[-1]
    return last if last.startswith("not here: ") else ""


class NetworkTestCase(ScenarioTestCase):
    """Each peer has a network of its own, so links can fail."""

    def setUp(self):
        super().setUp()
        if reason := why_no_networks():
            self.skipTest(reason)


class NetworkScenario(NetworkTestCase):
    def test_two_halves_and_a_founder_without_power_merge(self):
        text = HEAD.replace("peers = 3", "peers = 4")
        text += step("cut half", "all train and whole", 'for = "8s"')
        text += step("power-off founder", "+1s") + step("restart founder", "after cut")
        text += step("wait whole", "all train")
        process = self.begin(text)
        verdict = self.end(process, 0)
        self.assertEqual(verdict["faults_carried_out"], 3)
        # The cut was real: some of one half were called failed by the other.
        self.assertTrue(process.all("member", what="failed"))
        hosts = {event["listen"] for event in process.all("listening")}
        self.assertEqual(hosts, {f"10.77.0.{peer}:7300" for peer in range(1, 5)})

    def test_two_runs_after_another_are_counted(self):
        report = self.directory / "report"
        text = HEAD + step("isolate random", "all train", 'for = "1s"')
        process = self.begin(text, "--repeat", 2, "--report", report)
        self.wait_for(lambda: process.code is not None, 100, "both runs are over")
        self.assertEqual(process.code, 0)
        last = process.last("runs")
        self.assertEqual((last["clean"], last["of"]), (2, 2))
        for number in (1, 2):
            written = json.loads((report / f"run-{number}/report.json").read_text())
            self.assertTrue(written["clean"])


@unittest.skipUnless(os.environ.get("STARLING_TEST_SLOW"), "takes half a minute")
class NetworkLinks(NetworkTestCase):
    def test_nobody_is_called_failed_on_links_that_lose_and_delay(self):
        text = HEAD + '[links]\ndelay = "20ms"\njitter = "5ms"\n'
        text += step("loss 10%", "all train and whole", 'for = "5s"') + step("duplicate 10%")
        verdict = self.end(self.begin(text), 0)
        self.assertEqual(verdict["measures"]["false_failures"], 0)
        self.assertEqual(verdict["faults_carried_out"], 2)

    def test_streams_of_one_peer_are_stopped_and_it_comes_back(self):
        text = HEAD + step("block-tcp peer 3", "all train and whole", 'for = "4s"')
        text += step("wait all train", "after block-tcp")
        self.assertEqual(self.end(self.begin(text), 0)["faults_carried_out"], 1)


def processes_with(mark):
    """Those that have this text in their environment, but for zombies."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            marked = mark.encode() in (entry / "environ").read_bytes()
        except OSError:
            continue
        if marked and state_of(entry.name):
            found.append(int(entry.name))
    return found


@unittest.skipUnless(os.environ.get("STARLING_TEST_SLOW"), "takes half a minute")
class LongCut(ScenarioTestCase):
    def setUp(self):
        super().setUp()
        if reason := why_no_networks():
            self.skipTest(reason)

    def test_a_peer_that_was_cut_off_is_not_taken_for_one_behind_a_tunnel(self):
        # Its streams end because nothing is acknowledged, as they do where large packets get lost.
        text = HEAD + step("isolate peer 3", "all train and whole", 'for = "20s"')
        text += step("wait all train and whole", "after isolate")
        process = self.begin(text)
        self.end(process, 0)
        self.assertEqual([line for line in process.errors if "1,280" in line], [])


@unittest.skipUnless(os.environ.get("STARLING_TEST_SLOW"), "takes minutes")
class KilledTool(ScenarioTestCase):
    def test_kill_minus_9_at_any_moment_leaves_nothing(self):
        seed = random.randrange(1 << 32)
        luck = random.Random(seed)
        text = HEAD + step("pause peer 2", "all train", 'for = "60s"') + step("slow peer 3 10x")
        if not why_no_networks():
            text += step("isolate peer 1", None, 'for = "60s"')
        file = self.directory / "scenario.toml"
        file.write_text(text)
        for number in range(50):
            mark = f"STARLING_TEST_MARK={seed}.{number}."
            name, value = mark.split("=")
            process = subprocess.Popen(
                [BINARY, "swarm", "--scenario", file],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**environment(), name: value},
            )
            try:
                process.wait(luck.uniform(0, 4))  # it goes on for longer, so this only waits
            except subprocess.TimeoutExpired:
                pass
            process.kill()
            process.wait()
            left = lambda mark=mark: processes_with(mark) == []
            self.poll(left, 30, f"nothing of run {number} is left (seed {seed})")
        self.assertNotIn("link0", pathlib.Path("/proc/net/dev").read_text())


@unittest.skipUnless(os.environ.get("STARLING_TEST_SLOW"), "takes minutes")
class ShippedScenarios(ScenarioTestCase):
    def test_all_are_clean(self):
        reason = why_no_networks()
        ran = 0
        for file in sorted(SHIPPED.glob("*.toml")):
            with self.subTest(file.name):
                text = file.read_text().replace("idx:data/samples", SAMPLES_SPEC)
                process = self.begin(text)
                self.wait_for(lambda process=process: process.code is not None, 120, "it is over")
                if file.name in SIMULATED:
                    self.assertEqual(process.code, 2)
                    self.assertIn(SIMULATED[file.name], "\n".join(process.errors))
                    continue
                if reason and process.code == 2:
                    continue  # it needs networks
                ran += 1
                verdict = process.last("verdict")
                self.assertEqual(process.code, 0, verdict or process.errors)
                self.assertGreater(verdict["faults_carried_out"], 0)
        self.assertGreaterEqual(ran, 10 if reason else 16)


if __name__ == "__main__":
    main()
