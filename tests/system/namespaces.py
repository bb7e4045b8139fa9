"""A private network for a test of real peers: a bridge, and for each machine a network namespace with one
address on it.

Method: before anything else the test's process moves into new network, mount and process namespaces. All
machines are inside, and their names are in a /run that only this process sees. When the first process ends,
all others end, and the kernel removes everything with the last one. So nothing is left on the host, even
after kill -9. This needs root, or a kernel that allows namespaces to users, and the programs ip and
iptables. Otherwise the test says what is missing and is skipped.
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
SKIPPED = 77  # the exit code by which ctest recognises a skipped test
NET = "10.77"
HOSTS = "/run/hosts"
SERVERS = "/run/resolv.conf"
PORT = 7300
# Everything that the tests need from the kernel. It is tried once before them.
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
    if pathlib.Path("/etc/resolv.conf").exists():
        pathlib.Path(SERVERS).write_text("")
        system("mount", "--bind", SERVERS, "/etc/resolv.conf")


def call(names):
    """Makes each name resolve to these addresses from now on, in this order."""
    lines = [f"{host} {name}" for name, hosts in names.items() for host in hosts]
    pathlib.Path(HOSTS).write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))


def lose_questions_for_names(machine):
    """Sends the questions of all machines to a name server that swallows them. Only this machine can send them."""
    server = f"{NET}.99.99"
    pathlib.Path(SERVERS).write_text(f"nameserver {server}\noptions timeout:5 attempts:2\n")
    # Without this entry nobody would answer ARP, and the question would fail instead of getting lost.
    device = ("lladdr", "02:00:00:00:00:99", "dev", "eth0")
    system("ip", "-n", machine.name, "neighbour", "replace", server, *device)


class Machine:
    """One namespace on the bridge. Put `enter` before a command that should run in it."""

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
        """Replaces its address by one that no machine has had before."""
        system("ip", "-n", self.name, "address", "flush", "dev", "eth0", "scope", "global")
        self.host = self.add_address()

    def add_address(self):
        """Adds and returns an address that no machine has had before."""
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
        """Loses this share of the packets from other machines, of UDP and TCP. It loses none of its own
        machine, because a test must reach its peer."""
        chance = ("-m", "statistic", "--mode", "random", "--probability", share)
        self.filter("INPUT", "!", "-i", "lo", *chance, "-j", "DROP")

    def cut_from(self, others):
        """Drops all packets from these machines silently."""
        self.filter("INPUT", "-s", ",".join(other.host for other in others), "-j", "DROP")

    def lose_packets_above(self, size):
        """Drops larger packets in both directions, and sends no ICMP message about them."""
        too_long = ("-m", "length", "--length", f"{size + 1}:65535", "-j", "DROP")
        self.filter("INPUT", "-i", "eth0", *too_long)
        self.filter("OUTPUT", "-o", "eth0", *too_long)

    def send_single_packets(self):
        """Keeps the kernel from sending several segments as one large packet, which a veth pair never cuts."""
        system("ip", "-n", self.name, "link", "set", "eth0", "gso_max_size", 1500)

    def heal(self):
        system(*self.enter, "iptables", "-w", "-F")

    def limit_uplink(self, rate):
        queue = ("tbf", "rate", rate, "burst", "4kb", "latency", "400ms")
        system("tc", "-n", self.name, "qdisc", "add", "dev", "eth0", "root", *queue)


def enter():
    """Enters the namespaces and makes the bridge. If it cannot, it exits with a message that says why."""
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
    """Runs the tests of the calling file in the namespaces."""
    enter()
    unittest.main(verbosity=2)
