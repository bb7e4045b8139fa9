"""Goal: the kernels' PTX is machine code for NVIDIA's cards from 2018 on, and no kernel runs out of registers. Method:
ptxas, which comes with NVIDIA's toolkit, assembles the build's PTX. Skips where there is no ptxas, or no PTX.

STARLING_PTX names the folder with the build's PTX.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

PTX = pathlib.Path(os.environ["STARLING_PTX"])
PTXAS = shutil.which("ptxas", path=os.environ["PATH"] + ":/usr/local/cuda/bin")
# The newest PTX that each card takes: ptxas 13 knows no card before sm_75.
CARDS = {"sm_75": "sm_60", "sm_80": "sm_80", "sm_90": "sm_80", "sm_120": "sm_80"}
# Kernels that keep a few registers in memory on some cards, so that more groups run at a time; in bytes.
SPILLS = {"attention_gradient_key", "product"}
SPILLED_MAX = 64


class Ptxas(unittest.TestCase):
    def assemble(self, card, source):
        done = subprocess.run(
            [PTXAS, "--verbose", f"--gpu-name={card}", "--output-file=/dev/null", str(PTX / f"{source}.ptx")],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        kernels = {}
        for name, facts in re.findall(r"Compiling entry function '(\w+)'.*\n.*\n(.*)\n", done.stderr):
            kernels[name] = [int(number) for number in re.findall(r"\d+", facts)]
        return kernels

    def test_each_kernel_assembles_without_spills(self):
        entries = set(re.findall(r"\.entry (\w+)\(", (PTX / "sm_80.ptx").read_text()))
        self.assertGreater(len(entries), 40)
        for card, source in CARDS.items():
            with self.subTest(card):
                kernels = self.assemble(card, source)
                self.assertEqual(set(kernels), entries)
                # Bytes of stack, and of registers that are stored and loaded again.
                spilling = {name: max(facts) for name, facts in kernels.items() if any(facts)}
                self.assertLessEqual(set(spilling), SPILLS)
                self.assertLessEqual(max(spilling.values(), default=0), SPILLED_MAX)


if __name__ == "__main__":
    if not PTXAS:
        print("skipped: there is no ptxas, which comes with NVIDIA's toolkit")
        sys.exit(77)
    program = unittest.main(exit=False, verbosity=2)
    sys.exit(not program.result.wasSuccessful())
