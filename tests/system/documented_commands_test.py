"""Goal: every `starling ...` line of README and of --help works as it stands. Method: each line
runs on data/samples, in a folder of its own. command_lines.py says which lines count, and what a
placeholder is: a line with one is only held to flags that exist.

What a line says is kept but for what depends on the machine: the Debian data set becomes
data/samples; ports, and addresses of others, become those of peers that the test has started; long
runs are cut short by --until, --seconds or --duration; a line that reads a state directory finds
one that a peer has left. A peer has to train, then it is asked to leave; everything else has to end
with 0.
"""

import functools
import re
import shutil
import signal
import unittest

import command_lines
from swarm_fixture import ROOT, SAMPLES, SwarmTestCase, main, run, samples_for

DOCUMENTS = ("README.md",)
DEBIAN_DATA = "/usr/share/datasets/fashion-mnist"
SECONDS_OF_A_LINE = 60
# Steps of each peer before `swarm --chaos` begins, times its batch.
SAMPLES_BEFORE_CHAOS = 200 * 64


@functools.cache
def help_of(*command):
    result = run(*command, "--help")
    if result.returncode != 0:
        raise AssertionError(f"there is no command 'starling {' '.join(command)}'")
    return result.stdout


@functools.cache
def commands():
    """All commands and subcommands, as tuples of words."""
    found = []
    for name in command_lines.subcommands(help_of()):
        found.append((name,))
        found += [(name, below) for below in command_lines.subcommands(help_of(name))]
    return found


@functools.cache
def flags_of(*command):
    own = set(command_lines.FLAG.findall(help_of(*command)))
    return own | set(command_lines.FLAG.findall(help_of()))


def lines_of_documents():
    found = []
    for name in DOCUMENTS:
        found += command_lines.from_markdown(name, (ROOT / name).read_text())
    return found


def lines_of_pages():
    """Those of the other pages, whose flags have to exist. Results and decisions say what was once typed."""
    found = []
    for path in sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs/recipes").glob("*.md")]):
        found += command_lines.from_markdown(str(path.relative_to(ROOT)), path.read_text())
    return found


def lines_of_help():
    return [line for name in commands() for line in command_lines.from_help(name, help_of(*name))]


def runnable(lines):
    """By what they do: a swarm that loses its founder takes half a minute, so one of each chaos."""
    found = {}
    for line in lines:
        # A command without flags, in the middle of a text, is its name and no line to type.
        if not line.has_placeholder and len(line.words) > 1 + len(command_of(line.words) or ()):
            chaos = value_of(line.words, "--chaos")
            found.setdefault(f"chaos {chaos}" if chaos else line.text, line)
    return found


def command_of(words):
    """The command at the head of a line: the longest that exists, or None."""
    heads = [tuple(words[1 : 1 + count]) for count in (2, 1)]
    return next((head for head in heads if head in commands()), None)


def value_of(words, flag):
    return words[words.index(flag) + 1] if flag in words else None


def with_value(words, flag, value):
    """The words with this value of the flag, in its place or at the end."""
    if flag not in words:
        return [*words, flag, value]
    at = words.index(flag)
    return [*words[: at + 1], value, *words[at + 2 :]]


class LineRunner(SwarmTestCase):
    def run_lines(self, lines):
        self.assertGreater(len(lines), 8, "hardly any line was found; are documents read rightly?")
        failures = []
        for number, line in enumerate(lines, 1):
            folder = self.directory / f"line-{number}"
            folder.mkdir()
            for name in ("data", "scripts"):
                (folder / name).symlink_to(ROOT / name)
            try:
                self.run_line(folder, line)
            except AssertionError as failure:
                failures.append(f"{line}\n    {failure}")
        self.assertFalse(failures, "\n" + "\n".join(failures))

    # One line.

    def run_line(self, folder, line):
        command = command_of(line.words)
        self.assertIsNotNone(command, "no such command")
        words = [word.replace(DEBIAN_DATA, str(SAMPLES)) for word in line.words[1:]]
        state = value_of(words, "--state")
        if state is not None:
            words = with_value(words, "--state", str(self.place_of(folder, state)))
        for file in re.findall(r"onnx:([^?\s]+)", " ".join(words)):
            shutil.copy(self.left_model, self.place_of(folder, file))
        method = getattr(self, "run_" + "_".join(command), self.run_to_end)
        method(folder, words, line)

    @staticmethod
    def place_of(folder, path):
        """Where the line's own path lies for this run: below its folder, also from / and from ~."""
        return folder / path.removeprefix("~").lstrip("/")

    def begin(self, folder, words, line):
        return self.start(
            *words, name=str(line), prefix=("env", "-C", str(folder), f"HOME={folder}")
        )

    def finish(self, process):
        self.wait_for_exit([process], SECONDS_OF_A_LINE)

    def run_to_end(self, folder, words, line):
        self.finish(self.begin(folder, words, line))

    def run_peer(self, folder, words, line):
        words = with_value(with_value(words, "--listen", "127.0.0.1:0"), "--http", "127.0.0.1:0")
        words = [word for word in words if word != "--json"] + ["--json"]
        if "--threads" not in words:
            words += ["--threads", "1"]
        if "--wait-for" in words:
            words = with_value(words, "--wait-for", "1")
        seed = None
        if "--join" in words:
            seed, words = self.with_seed(folder, words)
        elif "--dataset" not in words and "--state" in words:
            self.leave_state_in(value_of(words, "--state"))
        peer = self.begin(folder, words, line)
        if "--membership-only" in words:
            self.wait_for(lambda: peer.last("listening"), 20, "it listens", peers=[peer])
        else:
            self.wait_for_training([peer], SECONDS_OF_A_LINE)
        peer.send(signal.SIGTERM)
        self.finish(peer)
        if seed is not None:
            seed.kill()

    def with_seed(self, folder, words):
        """A founder, which has a key if the line names one, and the words that join it."""
        if "--key" not in words:
            seed = self.found(name="an open founder")
        else:
            state = folder / "founder"
            seed = self.found("--state", state, name="a founder with a key")
            words = with_value(words, "--key", str(state / "swarm.key"))
        return seed, with_value(words, "--join", seed.address)

    def run_swarm(self, folder, words, line):
        if "--scenario" in words:  # it says itself when it is over
            self.wait_for_exit([self.begin(folder, words, line)], 2 * SECONDS_OF_A_LINE)
            return
        peers = int(value_of(words, "--peers") or 4)
        chaos = "--chaos" in words
        after = peers * SAMPLES_BEFORE_CHAOS if chaos else 0
        target = samples_for(15 if chaos else 1, after=after)
        # What small nets make in a second takes others minutes.
        own = (value_of(words, "--until") or "").removeprefix("samples=")
        if chaos or not own.isdigit() or int(own) > int(target.removeprefix("samples=")):
            words = with_value(words, "--until", target)
        process = self.begin(folder, words, line)
        self.wait_for_exit([process], 2 * SECONDS_OF_A_LINE)

    def run_status(self, folder, words, line):
        """Asks a peer of its own, found by its state directory or by its address."""
        state = ("--state", value_of(words, "--state")) if "--state" in words else ()
        peer = self.found(*state, name="who is asked")
        if not state:
            words = with_value(words, "--http", peer.http)
        words = [word for word in words if word != "--watch"]  # it would go on as long as the peer
        self.run_to_end(folder, words, line)
        peer.kill()

    run_leave = run_status

    def run_eval(self, folder, words, line):
        if "--from" in words:
            return self.run_on_a_swarm(folder, words, line)
        if "--state" in words:
            self.leave_state_in(value_of(words, "--state"))
        self.run_to_end(folder, words, line)

    run_export = run_eval

    def run_on_a_swarm(self, folder, words, line):
        state = folder / "founder"
        seed = self.found("--state", state, name="whose model is asked for")
        self.wait_for_training([seed])
        words = with_value(words, "--from", seed.address)
        if "--key" in words:
            words = with_value(words, "--key", str(state / "swarm.key"))
        self.run_to_end(folder, words, line)
        seed.kill()

    def run_bench_step(self, folder, words, line):
        self.run_to_end(folder, with_value(words, "--seconds", "0.1"), line)

    def run_bench_exchange(self, folder, words, line):
        if "--listen" in words or "--connect" in words:
            return  # two machines; their flags exist, which another test sees to
        words = with_value(words, "--params", "1000000")
        self.run_to_end(folder, with_value(words, "--seconds", "0.1"), line)

    def run_simulate(self, folder, words, line):
        if (value_of(words, "--duration") or "").endswith("h"):
            words = with_value(words, "--duration", "10m")
        self.run_to_end(folder, words, line)

    # Peers that lines need.

    @functools.cached_property
    def left_state(self):
        """The state directory of a peer that has trained a little and left."""
        state = self.directory / "left"
        peer = self.found("--state", state, name="who leaves a state")
        self.wait_for_training([peer])
        peer.send(signal.SIGTERM)
        self.wait_for_exit([peer], 30)
        return state

    @functools.cached_property
    def left_model(self):
        """The model of that peer as an ONNX file."""
        file = self.directory / "left.onnx"
        exported = run("export", "--state", self.left_state, "--output", file)
        self.assertEqual(exported.returncode, 0, exported.stderr)
        return file

    def leave_state_in(self, path):
        shutil.copytree(self.left_state, path)


class DocumentedCommands(LineRunner):
    """README's, and that what any text names exists."""

    def test_every_flag_and_command_exists(self):
        wrong = []
        for line in lines_of_documents() + lines_of_pages() + lines_of_help():
            words = line.words
            command = command_of(words)
            if command is None and not words[1].startswith("-") and not line.has_placeholder:
                wrong.append(f"{line}: no such command")
            known = flags_of(*command) if command else all_flags()
            wrong += [
                f"{line}: no flag {flag}"
                for flag in (word.split("=")[0] for word in words if word.startswith("--"))
                if flag not in known
            ]
        for name in DOCUMENTS:
            for where, flag in command_lines.flags_of_markdown(name, (ROOT / name).read_text()):
                if flag not in all_flags():
                    wrong.append(f"{where}: no flag {flag}")
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_every_command_has_an_example(self):
        without = [
            " ".join(command)
            for command in commands()
            if not command_lines.subcommands(help_of(*command))
            and not command_lines.from_help(command, help_of(*command))
        ]
        self.assertFalse(without, "these print no example in their --help")

    def test_every_line_runs(self):
        self.run_lines(runnable(lines_of_documents()).values())


class DocumentedHelp(LineRunner):
    """What --help says and README does not."""

    def test_every_line_runs(self):
        said = runnable(lines_of_documents())
        more = runnable(lines_of_help())
        self.run_lines([line for key, line in more.items() if key not in said])


@functools.cache
def all_flags():
    return set().union(*(flags_of(*command) for command in commands()))


class CommandLines(unittest.TestCase):
    """What the test reads from documents, without which it could be green over nothing."""

    TEXT = (
        "Say `starling status --http HOST:PORT` or\n`starling peer\n--state a`, with `--until X`.\n"
        "```\n$ starling peer --dataset idx:x \\\n      --model mlp   # why\npeer 1 listens\n"
        "starling eval --state a\n```\n## Not there yet\n`starling invite`\n## More\n"
        "`starling leave --state b`\n"
    )

    def test_blocks_and_inline_code_are_found_and_remarks_left_out(self):
        found = [str(line) for line in command_lines.from_markdown("T", self.TEXT)]
        self.assertEqual(
            found,
            [
                "T:5: starling peer --dataset idx:x --model mlp",
                "T:8: starling eval --state a",
                "T:1: starling status --http HOST:PORT",
                "T:2: starling peer --state a",
                "T:13: starling leave --state b",
            ],
        )

    def test_placeholders_are_words_in_capitals(self):
        for word in ("HOST:PORT", "samples=N", "LINE", "NAME.onnx", "...", "[flags]", "DIR/peer-1"):
            self.assertTrue(command_lines.is_placeholder(word), word)
        for word in ("idx:data/samples", "accuracy=0.9", "10Mbit", "~/.starling", "a"):
            self.assertFalse(command_lines.is_placeholder(word), word)


if __name__ == "__main__":
    main()
