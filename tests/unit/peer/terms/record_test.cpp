// Goal: progress records fit their 512 bytes, and bytes from strangers never break the decoder.
// Method: round trip, truncation, mutations.

#include "peer/terms/record.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <string>

#include "base/rng.hpp"
#include "membership/config.hpp"

namespace starling::peer {
namespace {

Record sample() {
    Record r;
    r.state = PeerState::Settling;
    r.reached = true;
    r.ending = true;
    r.round = 3;
    r.steps = 1000;
    r.samples = 64000;
    r.accuracy = 0.875F;
    r.held = 70;
    return r;
}

TEST(Record, SurvivesARoundTripWithinItsLimit) {
    const Bytes bytes = encode_record(sample());
    EXPECT_LE(bytes.size(), membership::kRecordMax);
    const auto decoded = decode_record(bytes);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->state, PeerState::Settling);
    EXPECT_TRUE(decoded->reached);
    EXPECT_TRUE(decoded->ending);
    EXPECT_EQ(decoded->round, 3U);
    EXPECT_EQ(decoded->samples, 64000U);
    EXPECT_EQ(decoded->accuracy, 0.875F);
    EXPECT_EQ(decoded->held, 70U);
}

TEST(Record, WithoutANameHasTheBytesThatItAlwaysHad) {
    auto named = sample();
    named.name = "kitchen-pc";
    const Bytes old = encode_record(sample());
    const Bytes now = encode_record(named);
    // The bytes of release 0.1.0, in hexadecimal.
    const std::string golden =
        "0102000303000000e80300000000000000fa0000"
        "0000000000000000000000000000000000000000"
        "00000000000000000000603f0000000000004600";
    std::string hex;
    for (const auto byte : old) {
        for (const unsigned half :
             {std::to_integer<unsigned>(byte) / 16, std::to_integer<unsigned>(byte) % 16}) {
            hex += "0123456789abcdef"[half];
        }
    }
    EXPECT_EQ(hex, golden);
    ASSERT_EQ(now.size(), old.size() + 11);
    EXPECT_TRUE(std::equal(old.begin(), old.end(), now.begin()));
    EXPECT_EQ(decode_record(old)->name, "");
    EXPECT_EQ(decode_record(now)->name, "kitchen-pc");
}

TEST(Record, WhatLaterReleasesSayFollowsTheNameAndMayBeMissing) {
    auto record = sample();
    record.test_loss = 0.5F;
    record.claim = {4096, 7, 0xdeadbeef};
    for (const std::string name : {"", "kitchen-pc"}) {
        record.name = name;
        const Bytes bytes = encode_record(record);
        EXPECT_LE(bytes.size(), membership::kRecordMax);
        const auto read = decode_record(bytes);
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->name, name);
        EXPECT_EQ(read->test_loss, 0.5F);
        EXPECT_EQ(read->claim, record.claim);
        // A release that knows names only stops here.
        const auto older = decode_record(ByteView(bytes).first(61 + name.size()));
        ASSERT_TRUE(older.has_value());
        EXPECT_EQ(older->name, name);
        EXPECT_LT(older->test_loss, 0);
        EXPECT_EQ(older->claim, Claim{});
        EXPECT_TRUE(decode_record(ByteView(bytes).first(bytes.size() - 1)).has_error());
        // And this one at what it knows.
        auto longer = bytes;
        for (int i = 0; i < 13 + 9 + 5 + 8; ++i) longer.push_back(std::byte{1});
        longer.push_back(std::byte{1});
        EXPECT_EQ(decode_record(longer)->claim, record.claim);
    }
    for (const float unknown : {std::nanf(""), -0.5F, -INFINITY}) {
        record.test_loss = unknown;
        const auto read = decode_record(encode_record(record));
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->test_loss, -1.0F);
        EXPECT_EQ(read->claim, record.claim);
    }
}

TEST(Record, SaysAfterItsDutyFromHowManySamplesItHasLearned) {
    auto record = sample();
    const Bytes silent = encode_record(record);
    record.ghost = true;
    EXPECT_EQ(encode_record(record).size(), silent.size()) << "a flag";
    record.learned = 123'456'789;
    for (const bool owes : {false, true}) {
        if (owes) record.duty.emplace().base = {7, 9};
        const Bytes bytes = encode_record(record);
        EXPECT_LE(bytes.size(), membership::kRecordMax);
        const auto read = decode_record(bytes);
        ASSERT_TRUE(read.has_value());
        EXPECT_TRUE(read->ghost);
        EXPECT_EQ(read->learned, record.learned);
        EXPECT_EQ(read->duty, record.duty);
        EXPECT_EQ(read->test_loss, -1.0F);
        EXPECT_TRUE(decode_record(ByteView(bytes).first(bytes.size() - 1)).has_error());
        // An older release reads the rest of it.
        EXPECT_TRUE(decode_record(ByteView(bytes).first(bytes.size() - 8)).has_value());
    }
    record.learned = kLearnedMax + 1;
    EXPECT_TRUE(decode_record(encode_record(record)).has_error());
}

TEST(Record, TheWatchedQualityFollowsTheClaim) {
    auto record = sample();
    record.claim = {4096, 7, 0xdeadbeef};
    const Bytes before = encode_record(record);
    record.quality = {compute::QualityKind::Auc, 0.875};
    const Bytes bytes = encode_record(record);
    ASSERT_EQ(bytes.size(), before.size() + 5);
    EXPECT_TRUE(std::equal(before.begin(), before.end(), bytes.begin())) << "as an older one wrote";
    EXPECT_EQ(decode_record(bytes)->quality, record.quality);
    EXPECT_FALSE(decode_record(before)->quality.has_value());
    EXPECT_TRUE(decode_record(ByteView(bytes).first(bytes.size() - 1)).has_error());
    // What a later release may know, and what no release says, is left out.
    auto later = bytes;
    later[before.size()] = std::byte{200};
    ASSERT_TRUE(decode_record(later).has_value());
    EXPECT_FALSE(decode_record(later)->quality.has_value());
    record.quality->value = std::numeric_limits<double>::infinity();
    EXPECT_FALSE(decode_record(encode_record(record))->quality.has_value());
}

TEST(Record, OwnSamplesFollowTheQualityThatMayBeUnknown) {
    auto record = sample();
    record.own_train = 4000;
    record.own_judged = 500;
    for (const bool known : {false, true}) {
        if (known) record.quality = {compute::QualityKind::Bpb, 1.5};
        const auto read = decode_record(encode_record(record));
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->own_train, 4000U);
        EXPECT_EQ(read->own_judged, 500U);
        EXPECT_EQ(read->quality, record.quality);
    }
}

TEST(Record, SaysHowFastItsPeerIsAfterAllThatOlderReleasesSay) {
    auto record = sample();
    const Bytes silent = encode_record(record);
    EXPECT_EQ(decode_record(silent)->speed, std::nullopt);
    for (const auto speed : std::initializer_list<std::int16_t>{-320, -1, 0, 64, 32767, -32767}) {
        record.speed = speed;
        const Bytes bytes = encode_record(record);
        ASSERT_EQ(bytes.size(), silent.size() + 1 + 20 + 13 + 2);
        EXPECT_EQ(decode_record(bytes)->speed, speed);
        EXPECT_LT(decode_record(bytes)->test_loss, 0) << "and nothing that it does not know";
        // A release that knows claims only stops before it.
        EXPECT_EQ(decode_record(ByteView(bytes).first(bytes.size() - 2))->speed, std::nullopt);
        EXPECT_TRUE(decode_record(ByteView(bytes).first(bytes.size() - 1)).has_error());
    }
}

TEST(Record, SaysHowFarItsShardsAre) {
    auto record = sample();
    const Bytes silent = encode_record(record);
    DutyProgress duty{{7, 40000}, {}};
    for (std::uint16_t i = 0; i < DutyProgress::kOthersMax; ++i) {
        record.duty = duty;
        const Bytes bytes = encode_record(record);
        EXPECT_EQ(bytes.size(), silent.size() + 1 + 20 + 13 + 2 + 7 + 5 * duty.others.size());
        EXPECT_LE(bytes.size() + kNameBytesMax, membership::kRecordMax);
        const auto read = decode_record(bytes);
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->duty, duty);
        EXPECT_EQ(read->speed, std::nullopt);
        // A release that knows speeds only stops before it.
        const auto older = bytes.size() - 7 - 5 * duty.others.size();
        EXPECT_EQ(decode_record(ByteView(bytes).first(older))->duty, std::nullopt);
        EXPECT_TRUE(decode_record(ByteView(bytes).first(bytes.size() - 1)).has_error());
        const auto shard = static_cast<std::uint16_t>(3 * i + 1);
        duty.others.push_back({shard, {static_cast<std::uint32_t>(6 + i % 3), i}});
        EXPECT_EQ(duty.of(shard), (DutyPlace{static_cast<std::uint32_t>(6 + i % 3), i}));
        EXPECT_EQ(duty.of(static_cast<std::uint16_t>(shard + 1)), duty.base);
    }
    record.duty = DutyProgress{{7, 40000}, {{3, {6, 1}}, {9, {8, 2}}}};
    const Bytes good = encode_record(record);
    for (std::uint64_t seed = 0; seed < 5000; ++seed) {
        Rng rng(seed);
        Bytes bad = good;
        const auto at =
            silent.size() + static_cast<std::size_t>(rng.below(good.size() - silent.size()));
        bad[at] = static_cast<std::byte>(rng.next());
        const auto read = decode_record(bad);
        if (!read || !read->duty) continue;
        EXPECT_TRUE(read->duty->fits());
        EXPECT_LE(read->duty->base.epoch, kEpochMax);
    }
}

TEST(Record, SaysWhetherOthersCouldDialItsPeer) {
    for (const std::optional<bool> reachable : {std::optional<bool>(), {false}, {true}}) {
        auto record = sample();
        record.reachable = reachable;
        const auto read = decode_record(encode_record(record));
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->reachable, reachable);
        EXPECT_TRUE(read->reached);
        EXPECT_TRUE(read->ending);
    }
}

TEST(Record, ANameThatCouldHarmATerminalIsRefused) {
    for (const std::string name : {"\x1b[2J", "a b", "$(id)", "caf\xc3\xa9", "a\nb"}) {
        EXPECT_FALSE(is_peer_name(name)) << name;
        auto record = sample();
        record.name = name;
        EXPECT_TRUE(decode_record(encode_record(record)).has_error()) << name;
    }
    EXPECT_TRUE(is_peer_name(std::string(kNameBytesMax, 'a')));
    EXPECT_FALSE(is_peer_name(std::string(kNameBytesMax + 1, 'a')));
    EXPECT_FALSE(is_peer_name(""));
    auto cut = encode_record(sample());
    cut.push_back(std::byte{5});  // five bytes of a name, which do not follow
    EXPECT_TRUE(decode_record(cut).has_error());
}

TEST(Record, TruncationsAndNonsenseAreRefused) {
    const Bytes good = encode_record(sample());
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_TRUE(decode_record(ByteView(good).first(length)).has_error()) << length;
    }
    for (std::uint64_t seed = 0; seed < 5000; ++seed) {
        SCOPED_TRACE(seed);
        Rng rng(seed);
        Bytes bad = good;
        bad[static_cast<std::size_t>(rng.below(bad.size()))] = static_cast<std::byte>(rng.next());
        const auto decoded = decode_record(bad);
        if (decoded.has_error()) continue;
        EXPECT_TRUE(std::isfinite(decoded->accuracy));
    }
}

}  // namespace
}  // namespace starling::peer
