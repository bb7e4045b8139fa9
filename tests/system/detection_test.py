"""Goal: a swarm learns to find things in pictures, a newcomer needs none of the files, and what is wrong is told
before anything runs. Method: pictures with coloured rectangles that the test draws, boxes as VOC has them, and two
peers on loopback."""

import json
import random
import re
import struct
import zlib

from swarm_fixture import SwarmTestCase, main, run

WIDTH, HEIGHT = 64, 48
COLOURS = {"brick": (220, 60, 50), "slate": (40, 90, 220)}


def png(rows):
    """Returns the file of a picture: rows of pixels of three bytes."""
    raw = b"".join(b"\0" + b"".join(map(bytes, row)) for row in rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b"")
    )


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def draw(rng):
    """Returns a picture of up to three rectangles on noise, and their names and corners."""
    rows = [[[rng.randrange(90, 130) for _ in range(3)] for _ in range(WIDTH)] for _ in range(HEIGHT)]
    things = []
    for _ in range(rng.randrange(4)):
        wide, high = rng.randrange(10, 22), rng.randrange(10, 22)
        left, top = rng.randrange(WIDTH - wide), rng.randrange(HEIGHT - high)
        box = (left, top, left + wide, top + high)
        if any(overlap(box, other) for _, other in things):
            continue
        name = rng.choice(sorted(COLOURS))
        things.append((name, box))
        for y in range(top, top + high):
            for x in range(left, left + wide):
                rows[y][x] = [min(255, value + rng.randrange(20)) for value in COLOURS[name]]
    return png(rows), things


def annotation(things):
    """VOC counts pixels from 1, and the last one belongs to the box."""
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{box[0] + 1}</xmin><ymin>{box[1] + 1}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box in things
    )
    return f"<annotation>{objects}</annotation>"


class Detection(SwarmTestCase):
    def draw_tree(self):
        tree = self.directory / "things"
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (tree / folder).mkdir(parents=True)
        rng = random.Random(4)
        for part, count in (("train", 96), ("val", 24)):
            names = [f"{part}{i}" for i in range(count)]
            for name in names:
                picture, things = draw(rng)
                (tree / "JPEGImages" / f"{name}.png").write_bytes(picture)
                (tree / "Annotations" / f"{name}.xml").write_text(annotation(things))
            (tree / "ImageSets/Main" / f"{part}.txt").write_text("\n".join(names) + "\n")
        return tree

    def test_two_peers_learn_to_find_things(self):
        tree = self.draw_tree()
        dataset = f"voc:{tree}?flip=1&pad=4"
        state = self.directory / "founder"
        founder = self.found(
            "--until", "steps=150", "--wait-for", 2, "--batch", 8, "--state", state, "--optimizer",
            "adamw?lr=0.004", dataset=dataset, model=f"detector?width=8&size={WIDTH}x{HEIGHT}&stride=4",
        )
        joiner = self.join(founder)
        self.wait_for_exit([founder, joiner], 120)
        for peer in (founder, joiner):
            self.assertEqual(peer.last("final")["steps"], 150)
            self.assertLess(peer.last("final")["spread"], 1e-3)
        judged = run("eval", "--state", state, "--dataset", dataset, "--threads", 1, "--per-class")
        self.assertEqual(judged.returncode, 0, judged.stderr)
        told = json.loads(judged.stdout)
        self.assertGreater(told["map50"], 0.6, told)
        self.assertGreater(told["map50"], told["map"])
        self.assertEqual(told["samples"], 24)
        self.assertNotIn("accuracy", told)
        self.assertNotIn("absolute_error", told)
        self.assertAlmostEqual(told["loss"], founder.last("final")["loss"], delta=0.05)
        self.assertEqual([one["class"] for one in told["classes"]], ["brick", "slate"])
        for one in told["classes"]:
            self.assertGreater(one["boxes"], 0)
            self.assertGreater(one["ap50"], 0.5, told)
        # What it finds in a picture lies where the picture says, and is drawn there.
        seen = self.directory / "seen"
        picture = tree / "JPEGImages" / "val1.png"
        found = run("predict", "--state", state, picture, "--json", "--draw", seen, "--score", 0.3)
        self.assertEqual(found.returncode, 0, found.stderr)
        boxes = json.loads(found.stdout)["boxes"]
        known = re.findall(
            r"<name>(\w+)</name><bndbox><xmin>(\d+)</xmin><ymin>(\d+)</ymin><xmax>(\d+)</xmax><ymax>(\d+)</ymax>",
            (tree / "Annotations" / "val1.xml").read_text(),
        )
        for name, *corners in known:
            left, top, right, bottom = map(int, corners)
            near = [
                box for box in boxes
                if box["class"] == name and abs(box["left"] - left) < 6 and abs(box["top"] - top) < 6
                and abs(box["right"] - right) < 6 and abs(box["bottom"] - bottom) < 6
            ]
            self.assertTrue(near, (name, corners, boxes))
        self.assertGreater(len(known), 0)
        self.assertNotEqual((seen / "val1.png").read_bytes(), picture.read_bytes())
        # Other runtimes find the same scores in the file.
        model = self.directory / "net.onnx"
        exported = run("export", "--state", state, "--output", model)
        self.assertEqual(exported.returncode, 0, exported.stderr)
        self.assertGreater(model.stat().st_size, 1000)
        self.begin_with(model, dataset)

    def begin_with(self, model, dataset):
        """Another swarm begins with what this one has learned of pictures; the file travels to a newcomer."""
        founder = self.found(
            "--until", "steps=30", "--wait-for", 2, "--batch", 8, "--optimizer", "adamw?lr=0.004",
            dataset=dataset, model=f"detector?backbone=onnx:{model}&width=8&size={WIDTH}x{HEIGHT}",
        )
        joiner = self.join(founder)
        self.wait_for_exit([founder, joiner], 60)
        for peer in (founder, joiner):
            self.assertEqual(peer.last("final")["steps"], 30)
        self.assertIn("backbone=onnx:net.onnx", founder.last("founded")["model"])
        self.assertNotIn(str(model.parent), str(joiner.events))

    def test_what_does_not_fit_is_told_in_one_line(self):
        tree = self.draw_tree()
        for dataset, model, words in (
            (f"voc:{tree}?size=40", "detector", "multiples of 16"),
            (f"voc:{tree}", "detector?size=64", "width x height"),
            (f"voc:{tree}", "detector?stride=3", "3"),
            (f"voc:{tree}", "detector?backbone=resnet", "backbone=onnx:net.onnx"),
            (f"voc:{tree}", f"detector?backbone=onnx:{tree}/none.onnx", "none.onnx"),
            (f"voc:{tree}", "resnet18", "try detector"),
            (f"voc:{tree}", "mlp", "try detector"),
        ):
            done = run("peer", "--listen", "127.0.0.1:0", "--dataset", dataset, "--model", model)
            self.assertEqual(done.returncode, 2, (model, done.stderr))
            self.assertIn(words, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)


if __name__ == "__main__":
    main()
