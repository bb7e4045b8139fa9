"""Goal: membership keeps its promises on networks that lose, cut and block packets, and that rename machines.
Method: real peers run, each in a network namespace of its own on one bridge. iptables and tc make the
faults. The tests read what every peer prints, and what `starling status` says about it.

The classes that end in ForMinutes are the same with more peers or more time. They are slow.
"""

import os
import pathlib
import signal
import time
import unittest

import namespaces
from namespace_fixture import DEFAULT, Member, NamespaceTestCase
from swarm_fixture import SAMPLES_SPEC, SwarmTestCase, run

slow = unittest.skipUnless(
    os.environ.get("STARLING_TEST_SLOW"), "slow: set STARLING_TEST_SLOW"
)


class NamespaceLoss(NamespaceTestCase):
    seconds = 25

    def test_one_packet_in_five_lost_kills_nobody(self):
        members = self.form()
        for member in members:
            member.machine.lose(0.2)
        self.keep(members, self.seconds)
        self.assert_no_failure(members)
        for member in members:
            self.assertEqual(member.status()["live"], self.size)


@slow
class NamespaceLossForMinutes(NamespaceLoss):
    seconds = 300


class NamespaceHalves(NamespaceTestCase):
    # A half declares the last member of the other half failed after the longest suspicion: 26 s for twelve.
    apart_seconds = 0
    merged_seconds = 60

    def test_two_clean_halves_merge_by_themselves(self):
        members = self.form()
        halves = members[: self.size // 2], members[self.size // 2 :]
        cut_at = time.monotonic()
        for half, other in (halves, halves[::-1]):
            for member in half:
                member.machine.cut_from([far.machine for far in other])
        for half in halves:
            self.wait_until_whole(half, 45)
        self.keep(members, max(0, cut_at + self.apart_seconds - time.monotonic()))
        for half, other in (halves, halves[::-1]):
            self.assert_no_failure(half, {member.id for member in other})
            self.assertEqual({member.status()["live"] for member in half}, {len(half)})
        healed_at = time.monotonic()
        for member in members:
            member.machine.heal()
        self.wait_until_whole(members, self.merged_seconds)
        print(f"\nwhole again {time.monotonic() - healed_at:.1f} s after healing", flush=True)


@slow
class NamespaceHalvesForMinutes(NamespaceHalves):
    apart_seconds = 120


class NamespaceBlockedUdp(NamespaceTestCase):
    # A peer names a blocked direction after three probes of one member: three rounds of size - 1 probes.
    size = 8
    told_seconds = 45
    seconds = 5

    def test_a_peer_without_udp_stays_a_member_and_status_names_the_direction(self):
        members = self.form()
        *open_members, deaf, mute = members
        deaf.machine.filter("INPUT", "-p", "udp", "-j", "DROP")
        mute.machine.filter("OUTPUT", "-p", "udp", "-j", "DROP")
        self.poll(
            lambda: all(
                member.status_of(deaf)["udp"] == "out blocked"
                and member.status_of(mute)["udp"] == "in blocked"
                for member in open_members
            ),
            self.told_seconds,
            "all others name both directions",
        )
        self.poll(
            lambda: any(deaf.status_of(member)["udp"] == "in blocked" for member in open_members)
            and any(mute.status_of(member)["udp"] == "out blocked" for member in open_members),
            self.told_seconds,
            "the blocked name their side of it",
        )
        self.keep(members, self.seconds)
        self.assert_no_failure(members)
        for member in members:
            self.assertEqual(member.status()["live"], self.size)
            self.assertEqual(member.status_of(open_members[0])["state"], "alive")


@slow
class NamespaceBlockedUdpForMinutes(NamespaceBlockedUdp):
    size = 12
    told_seconds = 90
    seconds = 120


class NamespaceSeeds(NamespaceTestCase):
    def test_any_member_lets_a_newcomer_in_when_all_seeds_are_dead(self):
        founder, *survivors = self.form()
        founder.peer.kill()
        self.wait_until_whole(survivors, 45)
        self.assert_no_failure(survivors, {founder.id})
        newcomer = Member(self, self.size + 1)
        newcomer.machine.limit_uplink("128kbit")
        newcomer.start(survivors[-1])
        self.wait_for_start([newcomer])
        self.wait_until_whole([*survivors, newcomer], 20)


class NamespaceMove(NamespaceTestCase):
    def test_a_restart_at_another_address_is_one_update(self):
        *others, mover = self.form()
        id_before = mover.id
        told_before = {member: len(member.peer.all("member")) for member in others}
        mover.peer.kill()
        mover.peer.process.wait()
        mover.machine.take_new_address()
        mover.start(others[0])
        self.wait_for_start([mover])
        self.wait_until_whole([*others, mover], 20)
        self.assertEqual(mover.id, id_before)
        self.wait_for(
            lambda: all(member.peer.all("member", what="moved") for member in others),
            20,
            "all others tell of the move",
        )
        self.keep(others, 5)
        for member in others:
            news = member.peer.all("member")[told_before[member] :]
            lasting = [event["what"] for event in news if event["what"] in ("up", "moved", "failed", "left")]
            self.assertEqual(lasting, ["moved"], member.peer.name)
        self.assert_no_ghosts([*others, mover])


class NamespaceDefaults(NamespaceTestCase):
    def test_joiners_without_listen_are_members_that_outlive_their_seed(self):
        founder, by_address, by_name = (Member(self, number) for number in range(1, 4))
        namespaces.call({"seed": [founder.machine.host]})
        founder.start()
        self.wait_for_start([founder])
        by_address.start(founder, listen=DEFAULT)
        by_name.start(founder, join=f"seed:{namespaces.PORT}", listen=DEFAULT)
        joiners = [by_address, by_name]
        self.wait_for_start(joiners)
        self.wait_until_whole([founder, *joiners], 20)
        for joiner in joiners:
            host = joiner.peer.address.rsplit(":", 1)[0]
            self.assertEqual(host, joiner.machine.host)
        founder.peer.kill()
        self.wait_until_whole(joiners, 45)
        self.assert_no_failure(joiners, {founder.id})


    def test_two_machines_meet_with_default_flags(self):
        founder, joiner = (Member(self, number) for number in range(1, 3))
        founder.start(listen=DEFAULT)
        self.wait_for_start([founder])
        host = founder.peer.address.rsplit(":", 1)[0]
        self.assertEqual(host, founder.machine.host)
        joiner.start(founder, join=founder.peer.address, listen=DEFAULT)
        self.wait_for_start([joiner])
        self.wait_until_whole([founder, joiner], 20)
        self.assertEqual(joiner.peer.errors, [])
        # The second start, of both, in the other order.
        for member in (founder, joiner):
            member.peer.kill()
        joiner.start(listen=DEFAULT)
        self.wait_for_start([joiner])
        founder.start(listen=DEFAULT)
        self.wait_for_start([founder])
        self.wait_until_whole([founder, joiner], 30)

    def test_one_that_nobody_can_dial_says_so_and_stays_a_member(self):
        founder, mistaken = (Member(self, number) for number in range(1, 3))
        founder.start()
        self.wait_for_start([founder])
        nobody = f"{mistaken.machine.host}:1"
        mistaken.start(founder, advertise=nobody)
        self.wait_for_start([mistaken])
        self.wait_until_whole([founder, mistaken], 20)
        self.poll(lambda: mistaken.status()["reachable"] is False, 15, "it learns that it is not reached")
        self.poll(
            lambda: (founder.status_of(mistaken) or {}).get("reachable") is False, 15, "others hear of it"
        )
        self.assertTrue(any(nobody in line and "--advertise" in line for line in mistaken.peer.errors))
        # The founder's probes reach nobody, so without the stream it would be declared failed in this time.
        self.keep([founder, mistaken], 15)
        self.assert_no_failure([founder, mistaken])
        self.assertIs(founder.status()["reachable"], None, "nobody has greeted the founder as a seed")


class NamespaceSmallPackets(NamespaceTestCase):
    def test_a_way_that_loses_large_packets_is_told_and_used_with_small_ones(self):
        near, behind = namespaces.Machine(), namespaces.Machine()
        for machine in (near, behind):
            machine.send_single_packets()
        behind.lose_packets_above(1280)
        founder = self.train_on(near, "--dataset", SAMPLES_SPEC, "--model", "mlp")
        joiner = self.train_on(behind, "--join", near.address)
        self.wait_for(
            lambda: joiner.progress("exchanges") >= 2, 40, "they average", peers=[founder, joiner]
        )
        self.assertTrue(any("1,280 bytes" in line for line in joiner.errors), joiner.errors)

    def train_on(self, machine, *arguments):
        listen = ("--listen", machine.address, "--threads", 1)
        peer = self.start("peer", "--json", *listen, *arguments, prefix=machine.enter)
        self.wait_for(lambda: peer.last("listening"), 20, "it listens", peers=[peer])
        return peer


class NamespaceNames(NamespaceTestCase):
    def start_one(self, *arguments, **options):
        member = Member(self, len(self.peers) + 1)
        member.start(*arguments, **options)
        self.wait_for_start([member])
        return member

    def test_a_name_of_several_addresses_and_several_seeds_lead_in(self):
        founder = Member(self, 1)
        place = founder.machine.address
        founder.start(listen=f"0.0.0.0:{namespaces.PORT}", advertise=place)
        self.wait_for_start([founder])
        nobody = founder.machine.host.rsplit(".", 1)[0] + ".250"
        namespaces.call({"seeds": [nobody, founder.machine.host]})
        by_name = self.start_one(founder, join=f"seeds:{namespaces.PORT}")
        by_second = self.start_one(
            founder, join=f"no-such-name:{namespaces.PORT},{nobody}:{namespaces.PORT},{place}"
        )
        members = [founder, by_name, by_second]
        self.wait_until_whole(members, 30)
        self.assert_no_ghosts(members)

    def test_a_name_server_that_never_answers_holds_up_no_signal(self):
        founder = Member(self, 1)
        founder.start()
        self.wait_for_start([founder])
        namespaces.lose_questions_for_names(founder.machine)
        lonely = Member(self, 2)
        lonely.machine = founder.machine
        lonely.start(founder, join="seed.example:7300", listen="127.0.0.1:0")
        self.wait_for_start([lonely])
        lonely.peer.send(signal.SIGTERM)
        self.wait_for_exit([lonely.peer], 4, code=1)

    def test_nor_does_it_where_a_flag_for_an_own_address_is_a_name(self):
        machine = Member(self, 1).machine
        namespaces.lose_questions_for_names(machine)
        for number, flag in enumerate(("listen", "http", "advertise"), 2):
            lonely = Member(self, number)
            lonely.machine = machine
            lonely.start(**{"listen": "127.0.0.1:0", flag: "own.example:7300"})
            sockets = pathlib.Path(f"/proc/{lonely.peer.process.pid}/net/udp")
            self.poll(lambda: ":0035 " in sockets.read_text(), 15, "it asks the name server")
            lonely.peer.send(signal.SIGTERM)
            self.wait_for_exit([lonely.peer], 4, code=1)
        late = Member(self, 5)
        late.machine = machine
        late.start(listen="own.example:7300")
        self.wait_for_exit([late.peer], 15, code=2)
        self.assertIn("--listen: cannot resolve 'own.example:7300'", "".join(late.peer.errors))

    def test_a_swarm_lives_on_ipv6_alone(self):
        members = [Member(self, number) for number in range(1, 4)]
        try:
            places = [f"[{m.machine.add_ipv6_address()}]:{namespaces.PORT}" for m in members]
        except RuntimeError as error:
            self.skipTest(f"no IPv6 here ({error})")
        founder = members[0]
        founder.start(listen=places[0])
        self.wait_for_start([founder])
        for member, place in zip(members[1:], places[1:]):
            member.start(founder, join=places[0], listen=place)
        self.wait_for_start(members)
        self.wait_until_whole(members, 20)
        for member in members:
            self.assertEqual(
                sorted(seen["address"] for seen in member.status()["members"]), sorted(places)
            )


@slow
class NamespaceNamesForMinutes(NamespaceTestCase):
    size = 2

    def test_a_seed_that_moved_is_found_under_its_name(self):
        """Neither side knows the other's address, and nobody can dial the peer that was cut off."""
        seed, other = self.form()
        namespaces.call({"seed": [seed.machine.host]})
        lonely = Member(self, 3)
        try:
            lonely.machine.filter("INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
        except RuntimeError as error:
            self.skipTest(f"iptables tracks no connections here ({error})")
        lonely.start(seed, join=f"seed:{namespaces.PORT}")
        self.wait_for_start([lonely])
        self.wait_until_whole([seed, other, lonely], 20)
        lonely.machine.cut_from([seed.machine, other.machine])
        self.wait_until_whole([seed, other], 45)
        for mover, stays in ((seed, other), (other, seed)):
            mover.peer.kill()
            mover.peer.process.wait()
            mover.machine.take_new_address()
            mover.start(stays)
            self.wait_for_start([mover])
            self.wait_until_whole([seed, other], 45)
        self.wait_for(lambda: not lonely.living(), 45, "it is alone", peers=[lonely.peer])
        # The cut filters their old addresses, so it does not hold for the new ones.
        namespaces.call({"seed": [seed.machine.host]})
        self.wait_until_whole([seed, other, lonely], 100)


class NamespaceRestarts(NamespaceTestCase):
    def test_half_of_them_restarted_at_once_are_back_and_nobody_else(self):
        members = self.form()
        stay, restart = members[: self.size // 2], members[self.size // 2 :]
        began = time.monotonic()
        for member in restart:
            member.peer.kill()
        for member in restart:
            member.peer.process.wait()
            member.start(stay[0])
        started = time.monotonic() - began
        self.wait_for_start(restart)
        self.wait_until_whole(members, 30)
        whole = time.monotonic() - began
        print(f"\nall started {started:.1f} s after the first death, whole {whole:.1f} s", flush=True)
        self.assert_no_failure(members)
        # A peer that is suspected now is declared failed within this time: the shortest suspicion is 4 s.
        self.keep(members, 8)
        self.assert_no_failure(members)
        self.assert_no_ghosts(members)


class NamespaceFullDisk(SwarmTestCase):
    """A state directory on a small disk that another program fills. No network is needed, but the right to
    mount a disk, which a process has in the namespaces of these tests."""

    def setUp(self):
        super().setUp()
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        namespaces.system("ip", "link", "set", "lo", "up")
        namespaces.system("mount", "-t", "tmpfs", "-o", "size=14m", "none", self.disk)
        self.addCleanup(namespaces.system, "umount", "--lazy", self.disk)
        self.state = self.disk / "state"
        self.ballast = self.disk / "ballast"

    def fill(self):
        with open(self.ballast, "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass

    def test_a_peer_starts_again_on_a_full_disk_and_says_what_it_lacks(self):
        first = self.found("--state", self.state)
        self.poll((self.state / "checkpoint").exists, 30, "it has a checkpoint")
        epoch = first.status()["members"][0]["epoch"]
        first.kill()
        first.process.wait()
        self.fill()
        # It writes nothing that it has just read, so the first is due after this time.
        flags = ("--state", self.state, "--checkpoint-every", "2s")
        second = self.start_peer(*flags, name="on a full disk")
        self.wait_for(lambda: second.last("resumed"), 20, "it resumes", peers=[second])
        self.assertEqual(second.id, first.id)
        self.poll(
            lambda: second.status()["members"][0]["epoch"] > epoch, 10, "no two lives have one epoch"
        )
        self.wait_for(
            lambda: any("no checkpoint is written" in line for line in second.errors),
            20,
            "it says what it cannot write",
            peers=[second],
        )
        self.assertFalse((self.state / "http").exists(), "one of the life before would mislead")
        self.ballast.unlink()
        second.send(signal.SIGTERM)
        self.wait_for_exit([second], 20)

    def test_a_first_start_on_a_full_disk_is_refused_in_one_line(self):
        self.fill()
        result = run("peer", "--dataset", SAMPLES_SPEC, "--model", "mlp", "--state", self.state)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, rf"\Astarling peer: {self.state}.*No space left.*\n\Z")


if __name__ == "__main__":
    namespaces.main()
