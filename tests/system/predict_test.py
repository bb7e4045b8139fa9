"""Goal: a trained model answers for files that nobody has labelled, from its state directory alone. Method: short
runs on the shipped samples and on a text that the test writes; then pictures, rows and prompts."""

import csv
import gzip
import json
import struct
import zlib

from swarm_fixture import ROOT, SAMPLES, SwarmTestCase, main, run

TEXT_MODEL = "gpt?layers=1&heads=2&dim=32&context=32"


def png_of(rows):
    """Returns a grey PNG of rows of bytes."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_pictures():
    """Returns the shipped test pictures of Fashion-MNIST as rows of bytes, and their labels."""
    with gzip.open(SAMPLES / "fashion-mini-t10k-images-idx3-ubyte.gz") as file:
        images = file.read()[16:]
    with gzip.open(SAMPLES / "fashion-mini-t10k-labels-idx1-ubyte.gz") as file:
        labels = file.read()[8:]
    pictures = [images[i * 784 : (i + 1) * 784] for i in range(len(labels))]
    return [[p[28 * y : 28 * (y + 1)] for y in range(28)] for p in pictures], labels


class Predict(SwarmTestCase):
    def train(self, *flags, **what):
        state = self.directory / "trained"
        peer = self.found("--state", state, *flags, **what)
        self.wait_for_exit([peer], 90)
        return state, peer.last("final")

    def test_pictures_of_a_raw_set_are_recognized(self):
        state, final = self.train("--until", "epochs=8")
        pictures, labels = test_pictures()
        files = []
        for i, rows in enumerate(pictures[:40]):
            files.append(self.directory / f"{i}.png")
            files[-1].write_bytes(png_of(rows))
        told = run("predict", "--state", state, "--json", *files)
        self.assertEqual(told.returncode, 0, told.stderr)
        lines = [json.loads(line) for line in told.stdout.splitlines()]
        self.assertEqual([line["sample"] for line in lines], [str(file) for file in files])
        right = sum(line["class"] == str(label) for line, label in zip(lines, labels))
        self.assertGreaterEqual(right / 40, final["accuracy"] - 0.2)
        for line in lines:
            self.assertEqual(len(line["answers"]), 3)
            best = [answer["probability"] for answer in line["answers"]]
            self.assertEqual(best, sorted(best, reverse=True))
        spoken = run("predict", "--state", state, files[0], "--top", 1)
        self.assertRegex(spoken.stdout, r"\A.*0\.png: \d \d\.\d{3}\n\Z")
        wrong = self.directory / "wrong.png"
        wrong.write_bytes(b"no picture")
        refused = run("predict", "--state", state, wrong)
        self.assertEqual((refused.returncode, len(refused.stderr.splitlines())), (2, 1), refused.stderr)
        self.assertIn(str(wrong), refused.stderr)

    def test_rows_need_no_column_to_learn_and_no_order(self):
        dataset = f"csv:{ROOT / 'data/samples/breast_cancer.csv'}?skip=1&header=0&split=row%5==0"
        state, final = self.train("--until", "epochs=20", dataset=dataset, model="tabular")
        self.assertGreater(final["qualities"]["auc"], 0.97)
        with open(ROOT / "data/samples/breast_cancer.csv", newline="") as file:
            rows = list(csv.reader(file))[1:]
        names = [f"column {i + 1}" for i in range(30)]
        mine = self.directory / "mine.csv"
        with open(mine, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(reversed(names))
            writer.writerows(reversed(row[:30]) for row in rows)
        told = run("predict", "--state", state, "--json", mine)
        self.assertEqual(told.returncode, 0, told.stderr)
        lines = [json.loads(line) for line in told.stdout.splitlines()]
        self.assertEqual(len(lines), len(rows))
        right = sum(line["class"] == row[30] for line, row in zip(lines, rows))
        self.assertGreater(right / len(rows), 0.93)
        self.assertEqual(lines[0]["sample"], f"{mine}: line 2")
        nothing = run("predict", "--state", state, "--prompt", "x")
        self.assertEqual(nothing.returncode, 2)
        self.assertIn("nothing to look at", nothing.stderr)

    def test_a_text_goes_on(self):
        path = self.directory / "text.txt"
        path.write_text("abcdefgh\n" * 2000)
        state, _ = self.train(
            "--optimizer", "adamw?lr=0.003", "--batch", 16, "--until", "bpb=0.3",
            dataset=f"text:{path}", model=TEXT_MODEL,
        )
        told = run("predict", "--state", state, "--prompt", "abc", "--temperature", 0, "--tokens", 24)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertEqual(told.stdout, ("abcdefgh\n" * 3) + "\n")
        drawn = [
            run("predict", "--state", state, "--prompt", "abc", "--seed", seed, "--json").stdout
            for seed in (1, 1, 2)
        ]
        self.assertEqual(drawn[0], drawn[1])
        self.assertEqual(json.loads(drawn[2])["prompt"], "abc")
        unknown = run("predict", "--state", state, "--prompt", "Z")
        self.assertEqual(unknown.returncode, 2, unknown.stderr)
        files = run("predict", "--state", state, path)
        self.assertIn("--prompt TEXT", files.stderr)


if __name__ == "__main__":
    main()
