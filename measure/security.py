#!/usr/bin/env python3
"""What sealed streams and strangers cost, in one run: the exchange of two processes sealed and not beside the cipher
alone; handshakes; and training under an attack from one address. Prints a table in Markdown.

    python3 measure/security.py --binary build/release/peer/starling

Needs the `openssl` program. Leave the machine alone meanwhile.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/system"))
import tls

ELSEWHERE = "127.0.0.9"


def lines(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def exchange(binary, parameters, seconds, *flags):
    """Returns bytes a second, and CPU seconds of both processes for a gigabyte."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = lines(binary, "bench", "exchange", "--params", parameters, "--seconds", seconds, *flags)[-1]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found["bytes_per_s"], cpu / (found["bytes_per_s"] * found["seconds"] / 1e9)


def cipher_bytes_per_s():
    done = subprocess.run(
        ["openssl", "speed", "-elapsed", "-evp", "aes-128-gcm", "-bytes", "16384", "-seconds", "2"],
        capture_output=True, text=True, check=True,
    )
    return float(done.stdout.split()[-1].rstrip("k")) * 1000


def exchanges(binary, parameters, rounds):
    plain, sealed, cpus = [], [], {"plain": [], "sealed": []}
    for _ in range(rounds):
        rate, cpu = exchange(binary, parameters, 3, "--plain-tcp")
        plain.append(rate)
        cpus["plain"].append(cpu)
        rate, cpu = exchange(binary, parameters, 3)
        sealed.append(rate)
        cpus["sealed"].append(cpu)
    p, s, c = statistics.median(plain), statistics.median(sealed), cipher_bytes_per_s()
    bound = 1 / (1 / p + 2 / (os.cpu_count() * c))
    print(f"| exchange of {parameters:,} parameters, f32 | GB/s | CPU s per GB |")
    print("|---|---|---|")
    print(f"| plain | {p / 1e9:.2f} | {statistics.median(cpus['plain']):.2f} |")
    print(f"| sealed | {s / 1e9:.2f} | {statistics.median(cpus['sealed']):.2f} |")
    print(f"| cipher alone, one core | {c / 1e9:.2f} | |")
    print(f"| bound of both | {bound / 1e9:.2f} | |")
    print(f"| sealed over the bound | {s / bound:.2f} | |\n")


def handshakes(binary):
    print("| handshake, one core | ms of the acceptor | a second |")
    print("|---|---|---|")
    for found in lines(binary, "bench", "handshake", "--seconds", 3):
        print(f"| {found['what']} | {found['acceptor_ms']:.4f} | {found['per_s_and_core']:,} |")
    print()


class Founder:
    def __init__(self, binary, folder):
        self.process = subprocess.Popen(
            [binary, "peer", "--json", "--threads", "1", "--listen", "127.0.0.1:0", "--state", folder,
             "--dataset", f"idx:{ROOT}/data/samples", "--model", "mlp", "--until", "samples=1000000000"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        listening = json.loads(self.process.stdout.readline())
        self.port = int(listening["listen"].rsplit(":", 1)[1])
        self.http = listening["http"]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def samples(self):
        with urllib.request.urlopen(f"http://{self.http}/status", timeout=10) as reply:
            return json.load(reply)["members"][0]["samples"]

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        pages = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def rate(self, seconds):
        """Returns samples for each CPU second."""
        samples, cpu = self.samples(), self.cpu()
        time.sleep(seconds)
        return (self.samples() - samples) / (self.cpu() - cpu)


def attack(port, first, per_second, stop):
    """Opens connections, says `first`, and keeps the newest thousand."""
    held = []
    while not stop.is_set():
        with contextlib.suppress(OSError):
            link = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(ELSEWHERE, 0))
            link.setblocking(False)
            held.append(link)
            if first:
                link.send(first)
        if len(held) > 1000:
            held.pop(0).close()
        stop.wait(1 / per_second)
    for link in held:
        link.close()


def under_attack(binary, seconds):
    print("| strangers from one address | samples per CPU second | of calm | memory, MiB more | an honest join, s |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        founder = Founder(binary, folder)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(Exception):
                    if founder.samples() > 0:
                        break
                time.sleep(0.1)
            time.sleep(3)
            key = tls.keyed(bytes.fromhex(pathlib.Path(folder, "swarm.key").read_text().strip()))
            calm = founder.rate(seconds)
            memory = founder.memory()
            print(f"| none | {calm:,.0f} | 1 | | {join(binary, founder, folder):.2f} |")
            for name, first in (("silent", b""), ("half handshakes", tls.client_hello(key)),
                                ("another key", tls.client_hello(tls.guest()))):
                stop = threading.Event()
                thread = threading.Thread(target=attack, args=(founder.port, first, 1000, stop))
                thread.start()
                rate = founder.rate(seconds)
                joined = join(binary, founder, folder)
                more = (founder.memory() - memory) / (1 << 20)
                stop.set()
                thread.join()
                print(f"| {name}, up to 1,000/s | {rate:,.0f} | {rate / calm:.3f} | {more:.1f} | {joined:.2f} |")
        finally:
            founder.process.terminate()
            founder.process.wait()


def join(binary, founder, folder):
    """Returns after how many seconds an honest peer has joined."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [binary, "peer", "--json", "--threads", "1", "--listen", "127.0.0.1:0", "--join",
         f"127.0.0.1:{founder.port}", "--key", f"{folder}/swarm.key"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    try:
        for line in process.stdout:
            if '"joined"' in line:
                return time.monotonic() - begin
    finally:
        process.kill()
        process.wait()
    return float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build/release/peer/starling"))
    parser.add_argument("--params", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    exchanges(arguments.binary, arguments.params, arguments.rounds)
    handshakes(arguments.binary)
    under_attack(arguments.binary, arguments.seconds)


if __name__ == "__main__":
    main()
