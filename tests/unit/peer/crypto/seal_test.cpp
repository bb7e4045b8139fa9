// Goal: a sealed datagram opens once, at the peer that it is for, and not at all when one of its
// bits differs; what another member writes in a peer's name never makes that peer's own datagrams
// unreadable. Method: round trips, every flipped bit, replays and reordering around the window, two
// processes with one state, lies with the swarm's key, and golden bytes with fixed keys (checked
// against an independent implementation by tests/golden/seal.py).

#include "peer/crypto/seal.hpp"

#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <string>

#include "base/rng.hpp"
#include "membership/codec.hpp"
#include "peer/crypto/notary.hpp"

namespace starling::peer {
namespace {

using membership::BootSalt;
using membership::MemberState;
using membership::PublicKey;
using membership::Statement;

SwarmKey key_of(std::uint8_t fill) {
    SwarmKey key;
    key.bytes.fill(fill);
    return key;
}

SwarmId swarm_of(std::uint8_t fill) {
    SwarmId swarm;
    swarm.bytes.fill(fill);
    return swarm;
}

BootSalt salt_of_fill(std::uint8_t fill) {
    BootSalt salt;
    salt.fill(fill);
    return salt;
}

/// The identity whose private key has 32 equal bytes.
Identity identity_of(std::uint8_t fill) {
    const std::array<unsigned char, 32> seed = [fill] {
        std::array<unsigned char, 32> bytes{};
        bytes.fill(fill);
        return bytes;
    }();
    Identity identity;
    identity.key.reset(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()),
        [](EVP_PKEY* key) { EVP_PKEY_free(key); }
    );
    identity.id = *peer_id_of(identity.key.get());
    return identity;
}

std::string hex(ByteView bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const auto byte : bytes) {
        text.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4U]);
        text.push_back(kDigits[std::to_integer<unsigned>(byte) & 15U]);
    }
    return text;
}

/// One process of one peer: what it seals with, what it opens with, and what its table knows.
struct Process {
    Process(
        std::uint8_t who, std::uint64_t first_epoch, std::uint8_t salt_fill, std::uint8_t secret = 1
    )
        : identity(identity_of(who)),
          notary(make_notary(identity)),
          pairs(std::make_shared<PairKeys>(key_of(secret), identity)),
          salt(salt_of_fill(salt_fill)),
          epoch(first_epoch),
          sealer(key_of(secret), swarm_of(7), pairs, salt, first_epoch),
          opener(key_of(secret), swarm_of(7), pairs, notary) {}

    /// A packet as membership writes it: version, swarm tag, sender, and `length` bytes.
    [[nodiscard]] Bytes packet(std::size_t length, std::uint8_t swarm = 7) const {
        Bytes bytes{std::byte{membership::kWireVersion}};
        bytes.insert(bytes.end(), 4, std::byte{swarm});
        for (std::size_t i = 0; i < 8; ++i) bytes.push_back(std::byte{identity.id.bytes[i]});
        for (std::size_t i = 0; i < length; ++i) bytes.push_back(static_cast<std::byte>(i));
        return bytes;
    }

    [[nodiscard]] Statement claim() const {
        Statement claim;
        claim.subject = identity.id;
        claim.key = notary->key();
        claim.incarnation = {epoch, 1};
        claim.address = Endpoint::v4(0x0a000001, 7000);
        claim.tail = membership::make_tail(salt);
        claim.signature = notary->sign(signed_text(claim, swarm_of(7)));
        return claim;
    }

    static Bytes written(const Statement& claim) {
        Bytes bytes;
        ByteWriter writer(bytes);
        membership::write_claim(writer, claim);
        return bytes;
    }

    Bytes seal(const Process& to, std::size_t length = 50) {
        Bytes sealed;
        EXPECT_TRUE(sealer.seal(packet(length), to.notary->key(), sealed));
        return sealed;
    }

    Bytes introduce(std::size_t length = 50) {
        Bytes sealed;
        EXPECT_TRUE(sealer.introduce(packet(length), written(claim()), sealed));
        return sealed;
    }

    /// What its table holds from now on.
    void hear(const Process& other) {
        known[other.identity.id.prefix64()] = {other.notary->key(), other.epoch, other.salt};
    }

    std::optional<ByteView> open(const Bytes& sealed) {
        return opener.open(now, sealed, [this](const membership::ShortId& id) {
            const auto found = known.find(id.value);
            return found == known.end() ? std::nullopt : std::optional<Life>(found->second);
        });
    }

    bool opens(const Bytes& sealed) { return open(sealed).has_value(); }

    Identity identity;
    std::shared_ptr<const membership::Notary> notary;
    std::shared_ptr<PairKeys> pairs;
    BootSalt salt;
    std::uint64_t epoch;
    Sealer sealer;
    Opener opener;
    std::unordered_map<std::uint64_t, Life> known;
    Instant now{};
};

/// Alice writes to Bob, who knows her.
struct Pair {
    Pair() { bob.hear(alice); }

    Bytes seal(std::size_t length = 50) { return alice.seal(bob, length); }

    Process alice{3, 5, 21};
    Process bob{4, 2, 22};
};

TEST(Seal, OpensToThePacketAtEveryLength) {
    Pair pair;
    const auto longest = membership::kPacketMax - pair.alice.packet(0).size();
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{50}, longest}) {
        const auto sealed = pair.seal(length);
        EXPECT_EQ(sealed.size(), pair.alice.packet(length).size() + membership::kSealOverhead);
        EXPECT_LE(sealed.size(), membership::kDatagramMax);
        const auto opened = pair.bob.open(sealed);
        ASSERT_TRUE(opened.has_value()) << length;
        EXPECT_TRUE(std::ranges::equal(*opened, pair.alice.packet(length)));
    }
}

TEST(Seal, HidesTheMessagesAndNeverSealsTwiceAlike) {
    Pair pair;
    const auto first = pair.seal();
    const auto second = pair.seal();
    EXPECT_NE(hex(ByteView(first).subspan(22)), hex(ByteView(second).subspan(22)));
    const auto messages = pair.alice.packet(50);
    for (const auto& sealed : {first, pair.alice.introduce()}) {
        EXPECT_EQ(hex(sealed).find(hex(ByteView(messages).subspan(13, 8))), std::string::npos);
    }
}

TEST(Seal, EveryFlippedBitIsRefused) {
    Pair pair;
    Process stranger(9, 1, 9);
    for (auto* receiver : {&pair.bob, &stranger}) {
        const auto sealed = receiver == &pair.bob ? pair.seal() : pair.alice.introduce();
        for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
            auto bent = sealed;
            bent[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
            ASSERT_FALSE(receiver->opens(bent)) << "bit " << bit;
        }
        for (std::size_t length = 0; length < sealed.size(); ++length) {
            const Bytes cut(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(length));
            ASSERT_FALSE(receiver->opens(cut));
        }
        EXPECT_TRUE(receiver->opens(sealed)) << "a forgery used up the genuine one";
    }
}

TEST(Seal, AnotherKeySwarmOrReceiverOpensNothing) {
    Pair pair;
    const auto sealed = pair.seal();
    Process outsider(4, 2, 22, 2);
    outsider.hear(pair.alice);
    EXPECT_FALSE(outsider.opens(sealed)) << "Bob's identity without the swarm's key";
    EXPECT_FALSE(outsider.opens(pair.alice.introduce()));
    EXPECT_EQ(outsider.opener.counters().rejected, 2U);
    Process carol(5, 2, 23);
    carol.hear(pair.alice);
    EXPECT_FALSE(carol.opens(sealed)) << "a member for whom it is not";
    auto foreign = sealed;
    foreign[1] = std::byte{8};
    EXPECT_FALSE(pair.bob.opens(foreign));
    EXPECT_EQ(pair.bob.opener.counters().foreign, 1U);
}

TEST(Seal, AReplayIsRefusedAndReorderingWithinTheWindowIsNot) {
    Pair pair;
    std::vector<Bytes> sealed;
    for (std::size_t i = 0; i < 3 * kReplayWindow; ++i) sealed.push_back(pair.seal(4));
    Rng rng(1);
    // Each block is shuffled within itself, so nothing lags by more than the window.
    for (std::size_t block = 0; block < 3; ++block) {
        rng.shuffle(std::span(sealed).subspan(block * kReplayWindow, kReplayWindow));
    }
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        ASSERT_TRUE(pair.bob.opens(sealed[i])) << i;
        ASSERT_FALSE(pair.bob.opens(sealed[i])) << i;
    }
    for (const auto& old : sealed) ASSERT_FALSE(pair.bob.opens(old));
    EXPECT_EQ(pair.bob.opener.counters().replayed, 2 * sealed.size());
}

TEST(Seal, WhatLagsBehindTheWindowIsRefused) {
    Pair pair;
    const auto late = pair.seal();
    const auto in_time = pair.seal();
    Bytes last;
    for (std::size_t i = 0; i + 1 < kReplayWindow; ++i) last = pair.seal();
    EXPECT_TRUE(pair.bob.opens(last));
    EXPECT_TRUE(pair.bob.opens(in_time));
    EXPECT_FALSE(pair.bob.opens(late));
}

TEST(Seal, TheNewestSequenceRisesByABoundUnlessTheSenderIntroducesItself) {
    Pair pair;
    EXPECT_TRUE(pair.bob.opens(pair.seal()));
    for (std::uint64_t i = 0; i < kSequenceRiseMax - 1; ++i) (void)pair.seal(0);
    EXPECT_TRUE(pair.bob.opens(pair.seal())) << "the largest rise";
    for (std::uint64_t i = 0; i < kSequenceRiseMax; ++i) (void)pair.seal(0);
    EXPECT_FALSE(pair.bob.opens(pair.seal())) << "one more";
    EXPECT_EQ(pair.bob.opener.counters().replayed, 1U);
    EXPECT_TRUE(pair.bob.opens(pair.alice.introduce()));
    EXPECT_TRUE(pair.bob.opens(pair.seal()));
}

TEST(Seal, AnIntroductionIsReadByWhoKnowsNothingAndTheRestFollows) {
    Pair pair;
    Process carol(5, 1, 23);
    EXPECT_FALSE(carol.opens(pair.alice.seal(carol))) << "a life that Carol has not heard of";
    const auto opened = carol.open(pair.alice.introduce(30));
    ASSERT_TRUE(opened.has_value());
    EXPECT_TRUE(std::ranges::equal(*opened, pair.alice.packet(30)));
    EXPECT_TRUE(carol.opens(pair.alice.seal(carol)));
    const auto again = pair.alice.introduce();
    EXPECT_TRUE(carol.opens(again));
    EXPECT_FALSE(carol.opens(again)) << "a replay";
    EXPECT_GT(carol.opener.counters().introduction_bytes, 2U * 130U);
}

TEST(Seal, ARestartIsANewLifeAndTheOldOneIsOver) {
    Pair pair;
    const auto before = pair.seal();
    const auto unsent = pair.seal();
    EXPECT_TRUE(pair.bob.opens(before));
    Process restarted(3, 6, 24);
    EXPECT_TRUE(pair.bob.opens(restarted.introduce()));
    EXPECT_FALSE(pair.bob.opens(unsent)) << "of an earlier life";
    EXPECT_FALSE(pair.bob.opens(pair.alice.introduce()));
    EXPECT_TRUE(pair.bob.opens(restarted.seal(pair.bob)));
}

TEST(Seal, ACopiedStateDirectoryRepeatsNoKeyAndBothProcessesAreHeard) {
    Pair pair;
    Process copy(3, 5, 77);
    // The same identity, epoch, sequence, receiver and text: only the salt differs.
    const auto ours = pair.seal();
    const auto theirs = copy.seal(pair.bob);
    EXPECT_EQ(hex(ByteView(ours).first(22)), hex(ByteView(theirs).first(22)));
    EXPECT_NE(hex(ByteView(ours).subspan(22)), hex(ByteView(theirs).subspan(22)));
    const auto size = static_cast<std::ptrdiff_t>(ours.size());
    Bytes same_stream;
    for (std::ptrdiff_t i = 22; i < size - 16; ++i) {
        same_stream.push_back(
            ours[static_cast<std::size_t>(i)] ^ theirs[static_cast<std::size_t>(i)]
        );
    }
    EXPECT_FALSE(std::ranges::all_of(same_stream, [](std::byte b) { return b == std::byte{0}; }));
    EXPECT_NE(hex(pair.alice.introduce()), hex(copy.introduce()));
    // Both talk to the others until the conflict of their claims is settled.
    EXPECT_TRUE(pair.bob.opens(ours));
    EXPECT_FALSE(pair.bob.opens(theirs));
    EXPECT_TRUE(pair.bob.opens(copy.introduce()));
    EXPECT_TRUE(pair.bob.opens(copy.seal(pair.bob)));
    EXPECT_TRUE(pair.bob.opens(pair.seal()));
}

/// Mallory is a member and has the swarm's key.
TEST(Seal, ALieWithTheLastPossibleLifeLeavesTheTrueOnesReadable) {
    Pair pair;
    EXPECT_TRUE(pair.bob.opens(pair.seal()));
    Process mallory(6, 1, 66);
    auto lie = pair.alice.claim();
    lie.incarnation.epoch = kLivesMax - 1;

    // Alice's key stands in the lie, so the introduction's own key can be computed.
    class Impostor {
    public:
        static Bytes write(const Process& as, const Statement& claim, std::uint64_t epoch) {
            Sealer sealer(key_of(1), swarm_of(7), as.pairs, as.salt, epoch);
            Bytes sealed;
            EXPECT_TRUE(sealer.introduce(as.packet(8), Process::written(claim), sealed));
            return sealed;
        }
    };

    EXPECT_FALSE(pair.bob.opens(Impostor::write(pair.alice, lie, kLivesMax - 1)));
    EXPECT_EQ(pair.bob.opener.counters().forged, 1U);
    // Signed by Mallory, it is no word of Alice.
    lie.signature = mallory.notary->sign(signed_text(lie, swarm_of(7)));
    EXPECT_FALSE(pair.bob.opens(Impostor::write(pair.alice, lie, kLivesMax - 1)));
    // The genuine claim in a lie of the present life opens, as a lie of a member can.
    EXPECT_TRUE(pair.bob.opens(Impostor::write(pair.alice, pair.alice.claim(), pair.alice.epoch)));
    EXPECT_TRUE(pair.bob.opens(pair.seal()));
    EXPECT_TRUE(pair.bob.opens(pair.alice.introduce()));
    EXPECT_EQ(pair.bob.opener.counters().replayed, 0U);
}

TEST(Seal, SignaturesOfIntroductionsAreCheckedSoOftenInASecondAndNoMore) {
    Pair pair;
    auto forged = pair.alice.claim();
    forged.signature[0] ^= 1;
    const auto written = Process::written(forged);
    Process carol(5, 1, 23);
    const auto flood = [&](int count) {
        for (int i = 0; i < count; ++i) {
            Bytes sealed;
            ASSERT_TRUE(pair.alice.sealer.introduce(pair.alice.packet(4), written, sealed));
            EXPECT_FALSE(carol.opens(sealed));
        }
    };
    flood(1200);
    EXPECT_EQ(carol.opener.counters().forged, static_cast<std::uint64_t>(kIntroductionsBurst));
    EXPECT_EQ(carol.opener.counters().postponed, 200U);
    carol.now += std::chrono::seconds(1);
    EXPECT_TRUE(carol.opens(pair.alice.introduce()));
}

TEST(Seal, GoldenBytesWithFixedKeysDoNotDrift) {
    Pair pair;
    std::ifstream file(STARLING_GOLDEN "/seal.txt");
    ASSERT_TRUE(file.good());
    std::string name;
    std::string expected;
    std::size_t rows = 0;
    while (file >> name >> expected) {
        ++rows;
        const auto sealed = name == "known" ? pair.seal(8) : pair.alice.introduce(8);
        EXPECT_EQ(hex(sealed), expected) << name;
    }
    EXPECT_EQ(rows, 2U);
}

TEST(SwarmKeyFile, OfAnOpenSwarmFollowsFromItsId) {
    EXPECT_EQ(open_swarm_key(swarm_of(1)), open_swarm_key(swarm_of(1)));
    EXPECT_NE(open_swarm_key(swarm_of(1)), open_swarm_key(swarm_of(2)));
    EXPECT_NE(random_swarm_key(), random_swarm_key());
}

}  // namespace
}  // namespace starling::peer
