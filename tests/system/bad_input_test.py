"""Goal: wrong input gets the right exit code and one line that says what, where and what to do.
Method: a table of commands; hostile seeds are Python servers that speak the framing."""

import gzip
import os
import shutil
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

from swarm_fixture import SAMPLES, SAMPLES_SPEC, SwarmTestCase, main, run
from wire import FakeSeed, descriptor

FAILED, USAGE = 1, 2
PEER = ("peer", "--dataset", SAMPLES_SPEC, "--model", "mlp")


class BadInputTestCase(SwarmTestCase):
    def check(self, table):
        """Each row has arguments, an exit code, and words that the line must contain."""
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda row: run(*row[0], seconds=40), table))
        for (arguments, code, words), result in zip(table, results):
            with self.subTest(" ".join(map(str, arguments))):
                self.assertEqual(result.returncode, code, result.stderr)
                lines = result.stderr.splitlines()
                self.assertTrue(lines)
                for line in lines[:-1]:  # notes on the way, as of a seed that is tried again
                    self.assertRegex(line, r"\Astarling.*; trying again\Z")
                self.assertRegex(lines[-1], r"\Astarling( [a-z]+)?: ")
                for word in words:
                    self.assertIn(word, lines[-1])


class WrongUsage(BadInputTestCase):
    def test_flags_are_checked_before_anything_starts(self):
        config = self.directory / "bad.toml"
        short = self.directory / "short.txt"
        short.write_text("to be or not to be")
        empty = self.directory / "empty.txt"
        empty.write_bytes(b"")
        latin = self.directory / "latin.txt"
        latin.write_bytes(b"caf\xe9 " * 500)
        config.write_text("[peer]\nbatch = many\n")
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        self.check(
            [
                (("peer", "--batch", "many"), USAGE, ["--batch", "many"]),
                (("peer",), USAGE, ["--dataset", "--join"]),
                ((*PEER, "--model", "cnn"), USAGE, ["--model"]),
                ((*PEER, "--batch", 0), USAGE, ["--batch"]),
                ((*PEER[:3], "--model", "nope"), USAGE, ["nope", "mlp"]),
                ((*PEER[:3], "--model", "mlp?depth=3"), USAGE, ["depth", "hidden"]),
                ((*PEER, "--optimizer", "sgd?rate=1"), USAGE, ["rate", "lr"]),
                ((*PEER, "--optimizer", "nope"), USAGE, ["nope", "sgd"]),
                ((*PEER, "--until", "tuesday"), USAGE, ["--until", "tuesday", "samples=N"]),
                ((*PEER, "--until", "accuracy=2"), USAGE, ["--until", "0 to 1"]),
                ((*PEER, "--mix", "blend"), USAGE, ["--mix", "blend", "pairwise"]),
                ((*PEER, "--encoding", "morse"), USAGE, ["--encoding", "morse", "f32"]),
                ((*PEER, "--precision", "f8"), USAGE, ["--precision", "f8"]),
                ((*PEER, "--device", "abacus"), USAGE, ["--device", "abacus", "cpu"]),
                ((*PEER, "--for", "3 weeks"), USAGE, ["--for", "90s"]),
                ((*PEER, "--membership-only"), USAGE, ["--membership-only", "--dataset"]),
                ((*PEER, "--listen", "nowhere"), USAGE, ["--listen", "nowhere", "HOST:PORT"]),
                ((*PEER, "--insecure"), USAGE, ["--insecure"]),
                (("--config", self.directory / "none.toml", *PEER), USAGE, ["none.toml"]),
                (("--config", config, *PEER), USAGE, ["batch", "many"]),
                (("swarm", "--dataset", SAMPLES_SPEC, "--chaos", "earthquake"), USAGE,
                 ["earthquake", "founder-crash"]),
                (("swarm", "--dataset", SAMPLES_SPEC, "--model", "nope"), USAGE, ["nope", "mlp"]),
                (("swarm", "--peers", 0), USAGE, ["--peers"]),
                (("status",), FAILED, ["no peer of yours runs", "--http"]),
                (("leave",), USAGE, ["--http", "--state"]),
                ((*PEER, "--name", "my pc"), USAGE, ["--name", "letters"]),
                (("status", "--http", "x"), USAGE, ["--http", "127.0.0.1:7000"]),
                (("leave", "--state", self.directory / "none"), FAILED, ["no peer runs"]),
                (("data", "inspect", "jpeg:x"), USAGE, ["jpeg", "idx:"]),
                (("data", "inspect", f"text:{empty}"), USAGE, ["empty.txt", "empty"]),
                (("data", "inspect", f"text:{pipe}"), USAGE, ["pipe", "into a file"]),
                ((*PEER[:3], "--model", f"onnx:{pipe}"), USAGE, ["pipe", "not a regular file"]),
                (("peer", "--dataset", "text:a?.txt"), USAGE, ["a?.txt", "%3F"]),
                (("data", "inspect", f"text:{short}"), USAGE, ["short.txt", "context=64"]),
                (("peer", "--dataset", f"text:{latin}", "--model", "gpt"), USAGE, ["latin.txt", "UTF-8"]),
                (("peer", "--dataset", f"text:{short}?context=1", "--model", "gpt?context=2"), USAGE,
                 ["context=2", "windows of 1"]),
                ((*PEER, "--partition", "sorted"), USAGE, ["--partition", "sorted", "dirichlet"]),
                ((*PEER, "--partition", "labels?owners=2&per-peer=2"), USAGE, ["--partition", "labels"]),
                ((*PEER, "--wait-for", 0), USAGE, ["--wait-for"]),
                (("simulate", "--loss", "2"), USAGE, ["--loss", "1%"]),
                (("eval", "--state", self.directory / "none", "--dataset", SAMPLES_SPEC), USAGE,
                 ["none"]),
            ]
        )

    def test_a_slip_in_a_command_or_flag_gets_the_nearest_one(self):
        self.check(
            [
                ((), USAGE, ["peer, swarm", "--help"]),
                (("frobnicate",), USAGE, ["no command", "frobnicate", "--help"]),
                (("swrm", "--peers", 2), USAGE, ["no command", "mean 'swarm'"]),
                (("peer", "--bogus"), USAGE, ["--bogus", "--help"]),
                (("peer", "--bach", 3), USAGE, ["starling peer", "no flag --bach", "mean '--batch'"]),
                (("bench",), USAGE, ["starling bench", "exchange, handshake, step"]),
                (("bench", "stp"), USAGE, ["no command 'starling bench stp'", "mean 'step'"]),
                (("data",), USAGE, ["starling data", "inspect"]),
                (("data", "inspect"), USAGE, ["SPEC", "starling data inspect --help"]),
                (("eval",), USAGE, ["--dataset", "required", "starling eval --help"]),
                (("export", "--state", "x"), USAGE, ["--output", "required"]),
                (("help", "nonsense"), USAGE, ["nonsense", "models, optimizer, dataset"]),
                ((*PEER[:1], "--dataset", "idx:/none", "--join", "127.0.0.1:1"), USAGE, ["idx:/none"]),
                ((*PEER[:3], "--model", "gpt"), USAGE, ["gpt", "samples of shape T"]),
                (("peer", "--join", "127.0.0.1"), USAGE, ["--join", "'127.0.0.1'", "HOST:PORT"]),
                (("peer", "--join", ":7"), USAGE, ["--join", "':7'", "HOST:PORT"]),
                (("peer", "--join", "::1:7"), USAGE, ["--join", "'::1:7'", "[::1]:PORT"]),
                (("export", "--state", self.directory, "--output", "x.onnx"), USAGE, ["checkpoint"]),
            ]
        )


class WrongData(BadInputTestCase):
    IMAGES = "train-images-idx3-ubyte"
    LABELS = "train-labels-idx1-ubyte"

    def dataset(self, name, file=None, harm=None):
        """A copy of the samples, one of whose files is harmed."""
        folder = self.directory / name
        folder.mkdir()
        for source in SAMPLES.glob("fashion-mini-*.gz"):
            target = source.name.removeprefix("fashion-mini-").removesuffix(".gz")
            raw = gzip.decompress(source.read_bytes())
            (folder / target).write_bytes(harm(raw) if target == file else raw)
        return f"idx:{folder}"

    def test_harmed_files_are_named(self):
        torn_gzip = self.directory / "torn-gzip"
        torn_gzip.mkdir()
        for source in SAMPLES.glob("fashion-mini-*.gz"):
            shutil.copy(source, torn_gzip)
        images = torn_gzip / f"fashion-mini-{self.IMAGES}.gz"
        images.write_bytes(images.read_bytes()[:200_000])
        empty = self.directory / "empty"
        empty.mkdir()
        table = [
            (f"idx:{torn_gzip}", [self.IMAGES, "too early", "again"]),
            (self.dataset("torn", self.IMAGES, lambda raw: raw[:-1]), [self.IMAGES, "ends after"]),
            (self.dataset("head", self.IMAGES, lambda raw: raw[:3]), [self.IMAGES, "header"]),
            (self.dataset("magic", self.IMAGES, lambda raw: b"PK" + raw[2:]), [self.IMAGES, "IDX"]),
            (self.dataset("type", self.IMAGES, lambda raw: raw[:2] + b"\x07" + raw[3:]),
             [self.IMAGES, "element type"]),
            # Floats are read, but bytes of pictures are none.
            (self.dataset("float", self.IMAGES, lambda raw: raw[:2] + b"\x0d" + raw[3:]),
             [self.IMAGES, "finite"]),
            (self.dataset("rank", self.LABELS, lambda raw: raw[:3] + b"\x03" + raw[4:]),
             [self.LABELS, "dimensions"]),
            (self.dataset("huge", self.IMAGES, lambda raw: raw[:4] + b"\xff" * 12 + raw[16:]),
             [self.IMAGES, "2 GiB"]),
            (self.dataset("zero", self.IMAGES, lambda raw: raw[:4] + bytes(4) + raw[8:]),
             [self.IMAGES, "size is 0"]),
            (self.dataset("fewer", self.LABELS,
                          lambda raw: raw[:4] + struct.pack(">I", 1499) + raw[8:-1]),
             [self.LABELS, "1499", "1500"]),
            (self.dataset("label", "t10k-labels-idx1-ubyte", lambda raw: raw[:-1] + b"\x63"),
             ["t10k-labels", "99"]),
        ]
        missing = [
            (f"idx:{self.directory}/none", ["none"]),
            (f"idx:{empty}", ["empty", self.IMAGES]),
            (f"text:{self.directory}/none", ["none"]),
        ]
        self.check([(("data", "inspect", spec), USAGE, words) for spec, words in table])
        self.check([(("peer", "--dataset", spec), USAGE, words) for spec, words in table[:2]])
        for command in (("data", "inspect"), ("peer", "--dataset")):
            self.check([((*command, spec), USAGE, words) for spec, words in missing])
        self.check([(("data", "inspect", f"{SAMPLES_SPEC}?train=0"), USAGE, ["train"])])


class WrongNetwork(BadInputTestCase):
    def fake_seed(self, *arguments, **options):
        seed = FakeSeed(*arguments, **options)
        self.addCleanup(seed.close)
        return seed.address

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken_tcp, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM
        ) as taken_udp:
            taken_udp.bind(("127.0.0.1", 0))
            tcp = "127.0.0.1:%d" % taken_tcp.getsockname()[1]
            udp = "127.0.0.1:%d" % taken_udp.getsockname()[1]
            self.check(
                [
                    ((*PEER, "--listen", tcp), FAILED, [tcp, "in use", "--listen"]),
                    ((*PEER, "--listen", udp), FAILED, [udp, "in use", "--listen"]),
                    ((*PEER, "--http", tcp), FAILED, [tcp, "in use"]),
                ]
            )

    def test_bad_seeds_are_refused_with_a_sentence(self):
        with socket.socket() as reserved:  # bound and not listening: nobody can answer there
            reserved.bind(("127.0.0.1", 0))
            nobody = "127.0.0.1:%d" % reserved.getsockname()[1]
            good = descriptor()
            self.check(
                [
                    (("peer", "--join", nobody), FAILED, [nobody, "seed"]),
                    (("peer", "--join", self.fake_seed(good, swarm=bytes([7]) * 32)), FAILED,
                     ["another swarm"]),
                    (("peer", "--join", self.fake_seed(descriptor(major=9))), FAILED,
                     ["version 9", "same release"]),
                    (("peer", "--join", self.fake_seed(good, major=9)), FAILED,
                     ["version 9", "same release"]),
                    (("peer", "--join", self.fake_seed(good)), FAILED, ["descriptor"]),
                    (("peer", "--join", "nowhere"), USAGE, ["nowhere", "HOST:PORT"]),
                ]
            )


if __name__ == "__main__":
    main()
