"""Goal: a trained model can be exported to files that other programs read, and a swarm can train a model
from a file. Broken files get one line. Method: a peer trains on the shipped samples, and its checkpoint is
exported in both formats. The tests read the safetensors file with the standard library (and numpy if it is
installed). The ONNX file founds another swarm, whose second peer gets only an address."""

import gzip
import json
import math
import struct

from swarm_fixture import SAMPLES, SAMPLES_SPEC, SwarmTestCase, main, run, samples_for


def read_safetensors(path):
    """Reads a file as a simple program would: eight bytes of length, JSON, raw floats."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        count = math.prod(entry["shape"])
        assert entry["dtype"] == "F32" and end - begin == 4 * count, name
        values = struct.unpack(f"<{count}f", content[begin:end])
        try:
            import numpy

            array = numpy.frombuffer(content[begin:end], dtype="<f4").reshape(entry["shape"])
            assert array.ravel().tolist() == list(values), name
        except ImportError:
            pass
        tensors[name] = (entry["shape"], values)
    return tensors


class Export(SwarmTestCase):
    def train(self, model):
        state = self.directory / "state"
        founder = self.found("--state", state, "--until", "steps=60", model=model)
        self.wait_for_exit([founder], 60)
        return state

    def export(self, state, name):
        result = run("export", "--state", state, "--output", self.directory / name)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        summary = json.loads(result.stdout)
        self.assertEqual((self.directory / name).stat().st_size, summary["bytes"])
        return summary

    def labelled(self, name, change):
        """Returns the SPEC of the shipped samples with other labels for training."""
        folder = self.directory / name
        folder.mkdir()
        for source in SAMPLES.glob("fashion-mini-*.gz"):
            raw = gzip.decompress(source.read_bytes())
            if source.name.startswith("fashion-mini-train-labels"):
                raw = raw[:8] + change(raw[8:])  # after the magic number and the count
            (folder / source.stem).write_bytes(raw)
        return f"idx:{folder}"

    def test_a_checkpoint_leaves_in_both_formats_and_comes_back(self):
        state = self.train("mlp?hidden=16")
        summary = self.export(state, "net.safetensors")
        tensors = read_safetensors(self.directory / "net.safetensors")
        self.assertEqual(tensors["fc1.weight"][0], [16, 784])
        self.assertEqual(sum(len(values) for _, values in tensors.values()), summary["parameters"])
        self.assertTrue(all(math.isfinite(v) for _, values in tensors.values() for v in values))
        exported = self.export(state, "net.onnx")
        self.assertEqual(exported["parameters"], summary["parameters"])

        # How to prepare samples stands in the file, for whoever runs it elsewhere.
        content = (self.directory / "net.onnx").read_bytes()
        recipe = content[content.index(b"starling.recipe") :]
        recipe, _ = json.JSONDecoder().raw_decode(recipe[recipe.index(b"{") :].decode("latin-1"))
        inspected = json.loads(run("data", "inspect", SAMPLES_SPEC, "--json").stdout)
        self.assertEqual(recipe, inspected["recipe"])
        self.assertEqual(recipe["shape"], [1, 28, 28])
        self.assertAlmostEqual(recipe["scales"][0]["mean"], 0.29, delta=0.02)

        trained = json.loads(run("eval", "--state", state, "--dataset", SAMPLES_SPEC).stdout)
        file = f"onnx:{self.directory}/net.onnx"
        own = run("eval", "--model", file, "--dataset", SAMPLES_SPEC)
        self.assertEqual((own.returncode, own.stderr), (0, ""))
        own = json.loads(own.stdout)
        self.assertEqual(own["samples"], trained["samples"])
        self.assertAlmostEqual(own["loss"], trained["loss"], places=4)
        self.assertAlmostEqual(own["accuracy"], trained["accuracy"], places=2)
        step = ("bench", "step", "--threads", 1, "--seconds", 0.1, "--batch", 8, "--model")
        named, from_file = (json.loads(run(*step, model).stdout) for model in ("mlp?hidden=16", file))
        self.assertEqual(from_file.keys(), named.keys())
        self.assertEqual(from_file["params"], named["params"])
        self.assertEqual(from_file["batch"], 8)

        nines = self.labelled("nines", lambda labels: bytes([9]) * len(labels))
        for model in (("--state", state), ("--model", file)):
            odd = run("eval", *model, "--dataset", nines)
            self.assertEqual(odd.returncode, 0, odd.stderr)
            self.assertIn("every image has the label 9", odd.stderr)
            self.assertIn("loss", json.loads(odd.stdout))
        more = self.labelled("more", lambda labels: labels[:-1] + b"\x10")
        refused = run("eval", "--state", state, "--dataset", more)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("has 17 classes, the model 10", refused.stderr)
        model = f"onnx:{self.directory}/net.onnx?loss=cross-entropy"
        again = self.directory / "again"
        founder = self.found("--state", again, "--until", samples_for(4), model=model)
        # The file is removed before another peer joins: its bytes travel in the descriptor.
        (self.directory / "net.onnx").unlink()
        joiner = self.join(founder)
        self.wait_for_exit([founder, joiner], 90)
        finals = [peer.last("final") for peer in (founder, joiner)]
        self.assert_agreed(finals)
        # The second swarm continues where the first one ended.
        first = next(line for line in founder.all("progress") if line["steps"] > 0)
        self.assertLess(first["loss"], trained["loss"] + 0.5)
        self.assertGreater(finals[0]["accuracy"], trained["accuracy"] - 0.1)
        found = json.loads(run("eval", "--state", again, "--dataset", SAMPLES_SPEC).stdout)
        self.assertGreater(found["accuracy"], trained["accuracy"] - 0.1)
        self.export(again, "twice.onnx")

    def test_broken_files_get_one_line(self):
        broken = self.directory / "broken.onnx"
        broken.write_bytes(b"\x08\x08:\xff\xff\xff\xff\x0f")
        empty = self.directory / "empty.onnx"
        empty.write_bytes(b"")
        cases = [
            (("peer", "--dataset", SAMPLES_SPEC, "--model", f"onnx:{broken}"), 2, "onnx"),
            (("peer", "--dataset", SAMPLES_SPEC, "--model", f"onnx:{empty}"), 2, "onnx"),
            (("peer", "--dataset", SAMPLES_SPEC, "--model", "onnx:/nowhere.onnx"), 2, "/nowhere.onnx"),
            (("peer", "--dataset", SAMPLES_SPEC, "--model", "onnx"), 2, "onnx:net.onnx"),
            (("eval", "--dataset", SAMPLES_SPEC), 2, "--state DIR"),
            (("eval", "--dataset", SAMPLES_SPEC, "--model", "cnn"), 2, "has weights of its own"),
            (("eval", "--dataset", SAMPLES_SPEC, "--model", f"onnx:{broken}"), 2, "broken.onnx"),
            (("eval", "--dataset", SAMPLES_SPEC, "--model", "onnx:/nowhere.onnx"), 2, "/nowhere.onnx"),
            (("bench", "step", "--model", f"onnx:{broken}"), 2, "broken.onnx"),
            (("bench", "step", "--model", "onnx:/nowhere.onnx"), 2, "/nowhere.onnx"),
            (("export", "--state", self.directory, "--output", "x.bin"), 2, "--format"),
            (("export", "--state", self.directory, "--output", "x.onnx"), 2, str(self.directory)),
        ]
        for arguments, code, words in cases:
            with self.subTest(" ".join(map(str, arguments))):
                result = run(*arguments)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                self.assertIn(words, result.stderr)


if __name__ == "__main__":
    main()
