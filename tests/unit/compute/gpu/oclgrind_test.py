"""Goal: no kernel touches memory that is not its own, and no two threads of a group race. Method: Oclgrind, which
executes OpenCL kernels one instruction after the other and watches each, runs the operators' own tests; and kernels
with a planted error of each kind, to see that it would say so.

STARLING_COMPUTE_TEST names the test program, STARLING_OCLGRIND Oclgrind's OpenCL driver.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

GPU = pathlib.Path(__file__).resolve().parents[4] / "compute/gpu"
# Whole models and large convolutions take hours here. These run every kernel.
TESTS = (
    "*Bf16Products.OfAConvolution*:*Bf16Products.Round*:Attention*:Broadcast*:Dropout*:Function.*:Loss*:MatMul*:Movement*:Normalization*:Operator*:Optimizer*:"
    "Pooling*:Reduction*:Residual.ABatchNorm*:Score*:SecondPass*:Softmax*-Attention.ManyBlocks*:Attention.ScoresTooLarge*:"
    "Function.WorksOnTheBlockedLayout*:MatMul.Batches*:Normalization.BatchNormOfAConvolution*:Operator.Convolution*:Optimizer.PlainMomentum*"
)
# Rows of 130 elements, two groups of 64 threads; the bytes of each argument, and what is in it.
SOFTMAX = """kernels.cl
softmax
128 1 1
64 1 1
<size=1040 float fill=0.5>
<size=8 long> 0
<size=1040 float fill=0 dump>
<size=8 long> 0
<size=4 int> 130
<size=8 long> 1
<size=4 int> 0
"""


def kernels():
    """All kernels' names."""
    names = set()
    for path in (GPU / "kernels").glob("*.gpu"):
        names.update(re.findall(r"^KERNEL(?:_OF\(\w+, \w+\))? void (\w+)\(", path.read_text(), re.MULTILINE))
    return names


class Oclgrind(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="starling-oclgrind-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def softmax(self, dialect=lambda text: text, rows=lambda text: text):
        """Runs softmax on changed text. Returns what Oclgrind says."""
        text = dialect((GPU / "dialect.h").read_text()) + rows((GPU / "kernels/rows.gpu").read_text())
        (self.folder / "kernels.cl").write_text(text)
        (self.folder / "softmax.sim").write_text(SOFTMAX)
        done = subprocess.run(
            ["oclgrind-kernel", "--data-races", "softmax.sim"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout + done.stderr

    def test_every_kernel_is_clean(self):
        (self.folder / "oclgrind.icd").write_text(os.environ["STARLING_OCLGRIND"] + "\n")
        log = self.folder / "log"
        environment = {
            **os.environ,
            "OCL_ICD_VENDORS": str(self.folder),
            "OCLGRIND_CHECK_API": "1",
            "OCLGRIND_DATA_RACES": "1",
            "OCLGRIND_INST_COUNTS": "1",
            # It adds up the local memory of all kernels whose names begin as the one that runs.
            "OCLGRIND_LOCAL_MEM_SIZE": "131072",
            "OCLGRIND_LOG": str(log),
            "OMP_WAIT_POLICY": "PASSIVE",
            "STARLING_TEST_DEVICES": "opencl:0",
        }
        done = subprocess.run(
            [os.environ["STARLING_COMPUTE_TEST"], f"--gtest_filter={TESTS}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        said = log.read_text() if log.exists() else ""
        self.assertEqual(said, "", said[:2000])
        ran = set(re.findall(r"Instructions executed for kernel '(\w+)'", done.stdout + done.stderr))
        self.assertEqual(kernels() - ran, set())

    def test_the_kernel_of_the_next_tests_is_clean(self):
        said = self.softmax()
        self.assertNotIn("Invalid", said)
        self.assertNotIn("race", said)
        self.assertIn("0.00769231", said)  # 1 / 130

    def test_a_store_behind_the_end_is_seen(self):
        wrong = self.softmax(rows=lambda text: self.change(text, "y[at] = logarithm", "y[at + length] = logarithm"))
        self.assertIn("Invalid write of size 4 at global memory", wrong)

    def test_a_missing_barrier_is_seen(self):
        def without_barrier(text):
            at = text.index("BARRIER();", text.index("#define ROW_SUM"))
            return text[:at] + " " * len("BARRIER();") + text[at + len("BARRIER();") :]

        self.assertIn("data race at local memory", self.softmax(dialect=without_barrier))

    def change(self, text, old, new):
        self.assertIn(old, text)
        return text.replace(old, new)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    sys.exit(not program.result.wasSuccessful())
