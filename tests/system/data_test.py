"""Goal: swarms learn tables, sounds and pictures, a newcomer needs none of the files, and what is wrong with a
data set is told before anything is made or joined. Method: two peers on loopback, the shipped samples, and small
files that the test writes."""

import gzip
import json
import os
import shutil
import signal
import struct
import subprocess
import urllib.error
import zlib

from swarm_fixture import BINARY, ROOT, SwarmTestCase, http_get, main, run

SAMPLES = ROOT / "data" / "samples"


def png(colour, noise):
    """Returns a picture of 12 x 12 pixels of one colour, one of whose rows is another."""
    rows = b"".join(
        b"\0" + bytes(255 - value if y == noise else value for _ in range(12) for value in colour)
        for y in range(12)
    )

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 12, 12, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


class DataSets(SwarmTestCase):
    def learn(self, dataset, model, accuracy, *flags):
        """A founder and a joiner without the files; returns the founder's last line."""
        founder = self.found(
            "--until", f"accuracy={accuracy}", "--wait-for", 2, "--state", self.directory / "founder", *flags,
            dataset=dataset, model=model,
        )
        joiner = self.join(founder)
        self.wait_for_exit([founder, joiner], 90)
        finals = [peer.last("final") for peer in (founder, joiner)]
        # The parameters agree; losses of a net that is sure of itself differ more than these do.
        for final in finals:
            self.assertLess(final["spread"], 1e-3)
            self.assertAlmostEqual(final["accuracy"], finals[0]["accuracy"], delta=0.02)
            self.assertGreaterEqual(final["accuracy"], accuracy)
            self.assertGreater(final["steps"], 0)
        judged = run("eval", "--state", self.directory / "founder", "--dataset", dataset, "--threads", 1)
        self.assertEqual(judged.returncode, 0, judged.stderr)
        self.assertAlmostEqual(json.loads(judged.stdout)["accuracy"], finals[0]["accuracy"], delta=0.01)
        return finals[0]

    def test_a_table(self):
        self.learn(
            f"csv:{SAMPLES}/digits.csv.gz", "tabular", 0.9, "--optimizer", "adamw?lr=0.003", "--batch", 32
        )

    def test_a_table_whose_words_are_not_utf8(self):
        # As spreadsheets of old write them: in Latin-1, the name of a column, a word and the file's own name.
        folder = os.fsencode(self.directory)
        path = folder + b"/caf\xe9.csv"
        with open(path, "wb") as out:
            out.write(b"a,b\xe9,kind\n")
            for i in range(300):
                out.write(b"%d,%s,%s\n" % (i % 2, [b"x", b"y\xe9"][i % 3 % 2], [b"caf\xe9", b"th\xe9"][i % 2]))
        spec = b"csv:" + path
        state = self.directory / "state"
        commands = [
            ("data", "inspect", spec),
            ("data", "schema", spec, "--out", self.directory / "schema.json"),
            ("data", "shard", spec, "--out", self.directory / "shards"),
            ("peer", "--dataset", spec, "--model", "tabular", "--until", "steps=20", "--state", state, "--json",
             "--listen", "127.0.0.1:0"),
            ("eval", "--state", state, "--dataset", spec),
            ("predict", "--state", state, "--json", path),
            ("export", "--state", state, "--output", self.directory / "net.onnx"),
            ("export", "--state", state, "--output", self.directory / "net.safetensors"),
        ]
        for command in commands:
            done = subprocess.run([BINARY, *command], capture_output=True, timeout=60)
            with self.subTest(command=command[:2]):
                self.assertEqual(done.returncode, 0, done.stderr)
                for line in done.stdout.splitlines():
                    json.loads(line.decode("utf-8"))

    def test_sounds(self):
        # So few clips only show that all of them travel and are decoded on both sides.
        spec = f"audio:{SAMPLES}/spoken-digits-5lang.tar.gz?test=0.3&seconds=0.5"
        founder = self.found(
            "--until", "steps=20", "--wait-for", 2, "--batch", 8,
            "--augment", "shift=20,mask=4,time_mask=4,noise=0.01", dataset=spec,
            model="audio?channels=4,8&hidden=16&mels=20&window=40ms&hop=20ms",
        )
        joiner = self.join(founder)
        self.wait_for_exit([founder, joiner], 90)
        for peer in (founder, joiner):
            self.assertEqual(peer.last("final")["steps"], 20)

    def test_pictures(self):
        folder = self.directory / "pets"
        for split, count in (("train", 40), ("test", 10)):
            for name, colour in (("cat", (200, 40, 40)), ("dog", (40, 40, 200))):
                (folder / split / name).mkdir(parents=True)
                for i in range(count):
                    (folder / split / name / f"{i}.png").write_bytes(png(colour, i % 12))
        self.learn(
            f"images:{folder}?flip=1&pad=1", "cnn?channels=4&hidden=8", 0.95, "--batch", 8,
            "--optimizer", "adamw?lr=0.003",
        )
        # The same tree in an archive is the same data.
        shutil.make_archive(str(self.directory / "pets"), "gztar", folder)
        facts = [
            json.loads(run("data", "inspect", f"images:{path}?flip=1&pad=1").stdout)
            for path in (folder, f"{folder}.tar.gz")
        ]
        for fact in facts:
            del fact["dataset"]
        self.assertEqual(facts[0], facts[1])

    def test_augment_refuses_what_does_not_suit_the_data(self):
        sounds = f"audio:{SAMPLES}/spoken-digits-5lang.tar.gz"
        refused = run("peer", "--dataset", sounds, "--model", "audio", "--augment", "mask=6,flip")
        self.assertEqual(refused.returncode, 2)
        lines = refused.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, refused.stderr)
        self.assertIn("'flip' does not suit spectrograms", lines[0])
        self.assertIn("shift=2, noise=0.01, mask=6, time_mask=10", lines[0])

    def test_images_that_are_changed_in_training_are_those_that_joiners_have(self):
        founder = self.found(
            "--until", "steps=30", "--wait-for", 2, "--augment", "flip,crop=2,noise=0.05,mask=4",
            model="mlp?hidden=16",
        )
        joiner = self.join(founder)
        self.wait_for_exit([founder, joiner], 90)
        for peer in (founder, joiner):
            self.assertEqual(peer.last("final")["steps"], 30)

    def test_files_of_tokens_are_not_copied_and_what_changes_comes_from_others(self):
        tokens = self.directory / "tokens"
        tokens.mkdir()
        for name in ("train.bin", "val.bin"):
            (tokens / name).write_bytes(b"".join(struct.pack("<H", i * i % 61) for i in range(150_000)))
        state = self.directory / "founder"
        model = "gpt?layers=1&heads=2&dim=16&context=4096"
        founder = self.found("--state", state, "--batch", 1, dataset=f"bin:{tokens}?vocab=64", model=model)
        self.wait_for_training([founder])
        kept = list((state / "shards").iterdir())
        self.assertGreater(len(kept), 3)
        self.assertEqual({file.suffix for file in kept if file.name != "verified"}, {".extents"})
        self.assertLess(sum(file.stat().st_size for file in kept), 10_000)
        founder.kill()
        self.wait_for(lambda: founder.code is not None, 20, "it is dead")
        # The next life needs no --dataset.
        founder = self.start_peer("--state", state, name="the second life")
        joiner = self.join(founder)
        self.wait_for_training([founder, joiner])
        held = joiner.progress("held")
        self.poll(lambda: joiner.status()["shards_missing"] == 0, 30, "the joiner has its shards")
        self.assertGreater(held, 0)
        (tokens / "train.bin").write_bytes(b"\0\0" * 150_000)
        self.wait_for(
            lambda: any(str(tokens / "train.bin") in line for line in founder.errors), 40, "it says which file", [founder]
        )
        self.poll(lambda: founder.status()["shard_files"]["lost"] > 0, 30, "they are counted")
        self.poll(
            lambda: any(len(file.name) == 64 for file in (state / "shards").iterdir()), 40, "they come from the joiner"
        )

    def test_a_founder_listens_while_it_reads(self):
        words = (b"It was a dark and stormy night, and %d captains sat around a fire. " % n for n in range(1 << 14))
        chapter = b"".join(words)
        large = self.directory / "large.txt.gz"
        with gzip.open(large, "wb", compresslevel=1) as out:
            for _ in range(300):
                out.write(chapter)
        flags = ("--dataset", f"text:{large}", "--model", "gpt?layers=1&dim=16&heads=1&context=16")
        founder = self.start_peer(*flags, "--state", self.directory / "founder", name="founder")
        self.assertFalse(founder.last("founded"), "it listens before it has read so much")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            http_get(founder.http, "/status")
        self.assertIn("still starting", refused.exception.read().decode())
        joiner = self.join(founder, "--key", self.directory / "founder" / "swarm.key")
        self.wait_for(
            lambda: any("is founding its swarm: " in line for line in joiner.errors), 60,
            "the newcomer is told that it has to wait", peers=[founder, joiner],
        )
        self.wait_for(lambda: joiner.last("joined"), 120, "the newcomer joins by itself", peers=[founder, joiner])
        self.wait_for_training([founder, joiner], 60)

    def test_a_founder_that_reads_ends_when_asked(self):
        large = self.directory / "large.txt"
        with open(large, "wb") as out:
            for _ in range(256):
                out.write(b"words " * (1 << 18))
        flags = ("--dataset", f"text:{large}", "--model", "gpt?layers=1&dim=16&heads=1&context=16")
        founder = self.start_peer(*flags, name="founder")
        self.assertFalse(founder.last("founded"))
        founder.send(signal.SIGTERM)
        self.wait_for(lambda: founder.code is not None, 10, "it ends")
        self.assertFalse(founder.last("founded"))

    def test_what_is_wrong_is_told_before_anything_is_made(self):
        (self.directory / "empty").mkdir()
        (self.directory / "ragged.csv").write_text("a,b\n1,x\n2\n")
        for spec, words in (
            (f"csv:{self.directory}/none.csv", "does not exist"),
            (f"images:{self.directory}/empty", "no files .jpg"),
            (f"csv:{self.directory}/ragged.csv", "line 3"),
            ("nosuch:file", "no dataset kind"),
        ):
            done = run("peer", "--listen", "127.0.0.1:0", "--dataset", spec, "--model", "mlp")
            self.assertEqual(done.returncode, 2, spec)
            self.assertIn(words, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        state = self.directory / "never"
        done = run(
            "peer", "--state", state, "--listen", "127.0.0.1:0", "--join", "127.0.0.1:9",
            "--dataset", f"text:{self.directory}/none",
        )
        self.assertEqual(done.returncode, 2)
        self.assertFalse(state.exists())


if __name__ == "__main__":
    main()
