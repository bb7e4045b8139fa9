"""Two or more network namespaces on one machine, joined by links of a given rate and delay. Needs
root and iproute2, for delay also the program tun_router: kernels without netem have no other.

    with links.shaped(rate_mbit=100) as (one, other):
        one.popen(["iperf3", "-c", other.address, ...])

Everything is undone at the end, also after an exception."""

import contextlib
import json
import os
import subprocess
import time


class Namespace:
    def __init__(self, name, address):
        self.name, self.address = name, address

    def popen(self, command, **options):
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)

    def ip(self, *words):
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    def sysctl(self, key, value):
        command = ["ip", "netns", "exec", self.name, "sysctl", "-qw", f"{key}={value}"]
        subprocess.run(command, check=True)

    def tc(self, *words):
        subprocess.run(["tc", "-n", self.name, *words], check=True)


def name(suffix):
    return f"starling-{os.getpid()}-{suffix}"


@contextlib.contextmanager
def namespaces(count, network="10.77.0", suffix=""):
    made = [Namespace(name(f"{i}{suffix}"), f"{network}.{i + 1}") for i in range(count)]
    try:
        for one in made:
            subprocess.run(["ip", "netns", "add", one.name], check=True)
            one.ip("link", "set", "lo", "up")
        yield made
    finally:
        for one in made:
            subprocess.run(["ip", "netns", "del", one.name], stderr=subprocess.DEVNULL)


def shape(space, device, rate_mbit, burst=0):
    """A bucket of 2 ms at the rate, or of so many bytes, and a queue of 50 ms behind it. Packets
    that the kernel has put together (up to 64 KiB) are cut up in front of a smaller bucket."""
    burst = burst or max(20_000, int(rate_mbit * 1e6 / 8 * 0.002))
    space.tc("qdisc", "add", "dev", device, "root", "tbf", "rate", f"{rate_mbit}mbit",
             "burst", str(burst), "latency", "50ms")  # fmt: skip


@contextlib.contextmanager
def shaped(rate_mbit, burst=0):
    """Two namespaces and a veth pair, each end of which sends at most at the rate."""
    with namespaces(2) as (one, other):
        one.ip("link", "add", "eth", "type", "veth", "peer", "name", "eth", "netns", other.name)
        for space in (one, other):
            space.ip("addr", "add", f"{space.address}/24", "dev", "eth")
            space.ip("link", "set", "eth", "up")
            shape(space, "eth", rate_mbit, burst)
        yield one, other


@contextlib.contextmanager
def routed(router, rate_mbit, delay_ms, loss=0.0, jitter_ms=0.0, seed=1):
    """Two namespaces and a userspace router; the delay is that of both directions together."""
    with namespaces(2) as (one, other):
        queue_kib = max(256, int(rate_mbit * 1e6 / 8 * 0.05 / 1024))
        carrier = subprocess.Popen(
            [router, "--left", f"{one.name}:eth", "--right", f"{other.name}:eth",
             "--rate", str(rate_mbit), "--delay", str(delay_ms / 2), "--jitter", str(jitter_ms),
             "--loss", str(loss), "--queue", str(queue_kib), "--seed", str(seed)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            if carrier.stdout.readline() != b"ready\n":
                raise RuntimeError("tun_router did not start")
            for space in (one, other):
                space.ip("addr", "add", f"{space.address}/24", "dev", "eth")
                space.ip("link", "set", "eth", "up")
            yield one, other
        finally:
            carrier.kill()
            carrier.wait()


@contextlib.contextmanager
def star(count, rate_mbit):
    """So many namespaces, each behind a link of its own to one bridge, shaped both ways."""
    with namespaces(count) as spaces, namespaces(1, "10.77.1", "-hub") as (hub,):
        hub.ip("link", "add", "bridge", "type", "bridge")
        hub.ip("link", "set", "bridge", "up")
        for i, space in enumerate(spaces):
            space.ip("link", "add", "eth", "type", "veth", "peer", "name", f"port{i}",
                     "netns", hub.name)  # fmt: skip
            space.ip("addr", "add", f"{space.address}/24", "dev", "eth")
            space.ip("link", "set", "eth", "up")
            hub.ip("link", "set", f"port{i}", "master", "bridge", "up")
            shape(space, "eth", rate_mbit)
            shape(hub, f"port{i}", rate_mbit)
        yield spaces


def bytes_sent(space, device="eth"):
    """Bytes that a namespace has put on its link, all headers included."""
    out = subprocess.run(
        ["ip", "-n", space.name, "-s", "-j", "link", "show", device],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    return json.loads(out)[0]["stats64"]["tx"]["bytes"]


def wait_until_listening(space, server, port):
    """Until a TCP port is bound in a namespace; raises when its process has ended."""
    for _ in range(200):
        if server.poll() is not None:
            raise RuntimeError("the server ended at once")
        out = subprocess.run(
            ["ip", "netns", "exec", space.name, "cat", "/proc/net/tcp", "/proc/net/tcp6"],
            capture_output=True,
        ).stdout.decode()
        if any(f":{port:04X} " in line and " 0A " in line for line in out.splitlines()):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


def iperf_bidir(one, other, seconds):
    """Sum of both directions of `iperf3 --bidir` between two namespaces, in bit/s of payload."""
    port = 5201
    server = other.popen(["iperf3", "-s", "-1", "-p", str(port)], stdout=subprocess.DEVNULL)
    try:
        wait_until_listening(other, server, port)
        client = one.popen(
            ["iperf3", "-c", other.address, "-p", str(port), "--bidir", "-t", str(seconds), "-J"],
            stdout=subprocess.PIPE,
        )
        out, _ = client.communicate(timeout=60 + seconds)
        end = json.loads(out)["end"]
        there = end["sum_received"]["bits_per_second"]
        return there + end["sum_received_bidir_reverse"]["bits_per_second"]
    finally:
        server.kill()
        server.wait()
