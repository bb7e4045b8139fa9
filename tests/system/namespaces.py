"""A network of its own for a test of real peers: a bridge, and for each machine a network namespace
with one address on it.

Method: the test's process moves into new network, mount and process namespaces before it does
anything. All machines live inside, named in a /run that only this process sees, so the kernel takes
everything away with the last process, and the last process goes with the first: nothing is left on
the host however the test ends, kill -9 included. Needs root, or a kernel that lets users have
namespaces; ip and iptables; else the test says what is missing and is skipped.
"""

import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

INSIDE = "STARLING_TEST_INSIDE"
SKIPPED = 77  # what ctest takes for it
NET = "10.77"
HOSTS = "/run/hosts"
PORT = 7300
# All that the tests ask of the kernel, tried once before them.
TRIAL = """
    mount -t tmpfs none /run
    ip link add bridge type bridge
    ip netns add trial
    ip link add one type veth peer name two netns trial
    iptables -w -A INPUT -s 10.0.0.1,10.0.0.2 -p udp -m statistic --mode random --probability 0.2 -j DROP
    tc qdisc add dev one root tbf rate 1mbit burst 2kb latency 100ms
"""


def enter_command(*command):
    unshare = ["unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        unshare.append("--map-root-user")
    return [*unshare, *command]


def what_is_missing():
    """Returns why this machine cannot run the tests, or nothing."""
    for tool, package in (("ip", "iproute2"), ("iptables", "iptables"), ("unshare", "util-linux")):
        if shutil.which(tool, path=search_path()) is None:
            return f"there is no {tool} (Debian package {package})"
    trial = subprocess.run(
        enter_command("sh", "-ec", TRIAL),
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": search_path()},
        check=False,
    )
    if trial.returncode == 0:
        return None
    complaint = (trial.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"no network namespaces with iptables here ({complaint}); root has them on most machines"


def search_path():
    # A user's PATH leaves out where ip and iptables are.
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def system(*command):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def make_bridge():
    system("mount", "-t", "tmpfs", "none", "/run")
    tempfile.tempdir = "/run"  # so that the states of the peers vanish as well
    system("ip", "link", "add", "bridge", "type", "bridge")
    system("ip", "link", "set", "bridge", "up")
    call({})
    system("mount", "--bind", HOSTS, "/etc/hosts")


def call(names):
    """Lets each name stand for these addresses from now on, in this order."""
    lines = [f"{host} {name}" for name, hosts in names.items() for host in hosts]
    pathlib.Path(HOSTS).write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))


class Machine:
    """One namespace on the bridge. `enter` goes before a command that shall run in it."""

    numbers = itertools.count(1)

    def __init__(self):
        number = next(Machine.numbers)
        self.name = f"machine{number}"
        self.device = f"to-{number}"
        self.enter = ("nsenter", f"--net=/run/netns/{self.name}")
        system("ip", "netns", "add", self.name)
        end = ("peer", "name", "eth0", "netns", self.name)
        system("ip", "link", "add", self.device, "type", "veth", *end)
        system("ip", "link", "set", self.device, "master", "bridge", "up")
        self.host = self.add_address()
        for device in ("lo", "eth0"):
            system("ip", "-n", self.name, "link", "set", device, "up")

    @property
    def address(self):
        return f"{self.host}:{PORT}"

    def take_new_address(self):
        """Gives up its address for one that nobody ever had."""
        system("ip", "-n", self.name, "address", "flush", "dev", "eth0", "scope", "global")
        self.host = self.add_address()

    def add_address(self):
        """Returns a further address of this machine, one that nobody ever had."""
        number = next(Machine.numbers)
        host = f"{NET}.{number // 256}.{number % 256}"
        system("ip", "-n", self.name, "address", "add", f"{host}/16", "dev", "eth0")
        return host

    def add_ipv6_address(self):
        host = f"fd77::{next(Machine.numbers):x}"
        system("ip", "-n", self.name, "address", "add", f"{host}/64", "dev", "eth0", "nodad")
        return host

    def remove(self):
        system("ip", "netns", "delete", self.name)

    def filter(self, chain, *rule):
        system(*self.enter, "iptables", "-w", "-A", chain, *rule)

    def lose(self, share):
        """Loses so much of what comes in from others, datagrams and segments alike; what a test asks
        a peer on its own machine must arrive."""
        chance = ("-m", "statistic", "--mode", "random", "--probability", share)
        self.filter("INPUT", "!", "-i", "lo", *chance, "-j", "DROP")

    def cut_from(self, others):
        """Takes no packet of these machines any more; they vanish, and nobody is told."""
        self.filter("INPUT", "-s", ",".join(other.host for other in others), "-j", "DROP")

    def heal(self):
        system(*self.enter, "iptables", "-w", "-F")

    def limit_uplink(self, rate):
        queue = ("tbf", "rate", rate, "burst", "4kb", "latency", "400ms")
        system("tc", "-n", self.name, "qdisc", "add", "dev", "eth0", "root", *queue)


def enter():
    """Goes inside and makes the bridge, or leaves with a sentence that says why it cannot."""
    if not os.environ.get(INSIDE):
        missing = what_is_missing()
        if missing:
            print(f"skipped: {missing}")
            sys.exit(SKIPPED)
        os.environ[INSIDE] = "1"
        os.environ["PATH"] = search_path()
        command = enter_command(sys.executable, "-B", *sys.argv)
        os.execvp(command[0], command)
    make_bridge()


def main():
    """Runs the tests of the calling file inside."""
    enter()
    unittest.main(verbosity=2)
