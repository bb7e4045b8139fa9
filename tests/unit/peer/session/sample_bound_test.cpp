// Goal: an honest swarm counts every sample, and a peer that lies about its own moves the count by no
// more than its speed and its time explain. Method: swarms of made-up records, second by second.

#include "peer/session/sample_bound.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <vector>

#include "base/rng.hpp"

namespace starling::peer {
namespace {

using namespace std::chrono_literals;

PeerId id(std::uint8_t number) {
    PeerId id;
    id.bytes[0] = number;
    return id;
}

/// We train 100 samples in a second; the others as a test says.
struct Swarm {
    void add(std::uint8_t number, std::uint64_t samples = 0) {
        SeenPeer peer;
        peer.id = id(number);
        peer.record.emplace().state = PeerState::Training;
        peer.record->samples = samples;
        view.others.push_back(peer);
        ++view.live;
    }

    Record& record(std::size_t i) { return *view.others[i].record; }

    std::uint64_t after(Duration time, std::uint64_t samples) {
        now += time;
        own += samples;
        return bound.count(now, view, own);
    }

    SwarmView view;
    SampleBound bound;
    Instant now{};
    std::uint64_t own = 0;
};

TEST(SampleBound, AnHonestSwarmCountsEverySampleAlsoOfFastPeersAndOfOldOnes) {
    Swarm swarm;
    swarm.add(1, 5'000'000);
    swarm.add(2, 40'000);
    swarm.add(3, 90'000);
    EXPECT_EQ(swarm.after(0s, 0), 5'130'000U) << "what a newcomer hears at first";
    for (int second = 1; second <= 600; ++second) {
        swarm.record(0).samples += 100;
        swarm.record(1).samples += 25;
        swarm.record(2).samples += 400;
        if (second == 30) {
            swarm.record(0).speed = 53;
            swarm.record(1).speed = 37;
            swarm.record(2).speed = 69;
        }
        const auto all = swarm.after(1s, 100);
        ASSERT_EQ(all, 5'130'000U + static_cast<std::uint64_t>(second) * 625U) << second;
    }
}

TEST(SampleBound, WhatAMuchFasterPeerHasDoneCountsWhenItHasSaidItsSpeed) {
    Swarm swarm;
    for (std::uint8_t number = 1; number <= 3; ++number) swarm.add(number);
    std::uint64_t all = 0;
    for (int second = 1; second <= 60; ++second) {
        swarm.record(0).samples += 100;
        swarm.record(1).samples += 100;
        swarm.record(2).samples += 3200;
        if (second == 30) {
            swarm.record(0).speed = swarm.record(1).speed = 53;
            swarm.record(2).speed = 93;
        }
        all = swarm.after(1s, 100);
        if (second < 30) continue;
        ASSERT_EQ(all, static_cast<std::uint64_t>(second) * 3500U) << second;
    }
}

TEST(SampleBound, ALieCountsAsFarAsItsSpeedAndItsTimeExplain) {
    Swarm swarm;
    for (std::uint8_t number = 1; number <= 3; ++number) swarm.add(number);
    for (int second = 0; second < 120; ++second) {
        swarm.record(0).samples += 100;
        swarm.record(1).samples += 100;
        if (second == 100) swarm.record(2).samples = std::uint64_t{1} << 62U;
        (void)swarm.after(1s, 100);
    }
    const auto honest = 3U * 12'000U;
    const auto all = swarm.after(0s, 0);
    EXPECT_GT(all, honest);
    EXPECT_LE(all, honest + 2U * 100U * 160U) << "of nobody's speed";
    // A word of speed costs it shards, and is bounded as well.
    swarm.record(0).speed = swarm.record(1).speed = 53;
    swarm.record(2).speed = 32'000;
    const auto fast = swarm.after(0s, 0);
    EXPECT_LE(fast, honest + 64U * 2U * 100U * 160U);
    // It went away, and what counted stays.
    swarm.view.gone.push_back({id(3), std::uint64_t{1} << 62U});
    swarm.view.gone_samples = std::uint64_t{1} << 62U;
    swarm.view.others.pop_back();
    EXPECT_EQ(swarm.after(1s, 0), fast);
}

TEST(SampleBound, ALiarThatHasNotSaidItsSpeedGainsLittle) {
    Swarm swarm;
    for (std::uint8_t number = 1; number <= 3; ++number) swarm.add(number);
    for (int second = 0; second < 10; ++second) {
        swarm.record(0).samples += 100;
        swarm.record(1).samples += 100;
        swarm.record(2).samples += 100;
        (void)swarm.after(1s, 100);
    }
    swarm.record(2).samples = std::uint64_t{1} << 62U;
    const auto all = swarm.after(0s, 0);
    EXPECT_GT(all, 4000U);
    EXPECT_LE(all, 3U * 1000U + 2U * 100U * 40U);
}

TEST(SampleBound, WhatANewcomerHearsOfTheGoneIsWithinReason) {
    Swarm swarm;
    swarm.add(1, 10'000);
    swarm.add(2, 20'000);
    swarm.view.gone = {{id(7), 15'000}, {id(8), std::uint64_t{1} << 62U}};
    swarm.view.gone_samples = 15'000 + (std::uint64_t{1} << 62U);
    const auto all = swarm.after(0s, 0);
    EXPECT_GE(all, 45'000U);
    EXPECT_LE(all, 45'000U + 1024U * 20'000U);
}

TEST(SampleBound, NoCountFallsAndNoSumOverflows) {
    Swarm swarm;
    swarm.add(1, ~std::uint64_t{0});
    swarm.add(2, ~std::uint64_t{0});
    const auto first = swarm.after(0s, 1);
    swarm.record(0).samples = 0;
    EXPECT_GE(swarm.after(1s, 0), first);
}

/// The same rule, which looks at all others for each.
class Naive {
public:
    std::uint64_t count(Instant now, const SwarmView& view, std::uint64_t own) {
        if (!own_) own_ = Seen{now, own, own};
        std::vector<std::uint64_t> counts;
        if (own > 0) counts.push_back(own);
        for (const auto& peer : view.others) {
            if (peer.record->samples > 0) counts.push_back(peer.record->samples);
        }
        auto most = ~std::uint64_t{0} / 4;
        if (counts.size() >= 3) {
            most = static_cast<std::uint64_t>(
                SampleBound::kHeadStartMax * static_cast<double>(middle(counts))
            );
        }
        std::map<PeerId, Seen> present;
        for (const auto& peer : view.others) {
            const auto first = std::min(peer.record->samples, most);
            const auto known = seen_.find(peer.id);
            present[peer.id] = known == seen_.end() ? Seen{now, first, first} : known->second;
        }
        seen_ = present;
        auto total = own;
        for (const auto& peer : view.others) {
            std::vector<double> rates;
            add_rate(rates, now, *own_, own);
            for (const auto& [id, seen] : seen_) {
                if (!(id == peer.id)) add_rate(rates, now, seen, seen.counted);
            }
            auto& seen = seen_[peer.id];
            if (!rates.empty()) seen.usual = std::max(seen.usual, middle(rates));
            auto allowed = ~std::uint64_t{0};
            if (seen.usual > 1e-6) {
                const double time = to_seconds(now - seen.since) + SampleBound::kBurstSeconds;
                allowed = seen.at_first +
                          static_cast<std::uint64_t>(SampleBound::kSlack * seen.usual * time);
            }
            seen.counted = std::max(seen.counted, std::min(peer.record->samples, allowed));
            total += seen.counted;
        }
        return total;
    }

private:
    struct Seen {
        Instant since;
        std::uint64_t at_first = 0;
        std::uint64_t counted = 0;
        double usual = 0;
    };

    template <class T>
    static T middle(std::vector<T> values) {
        std::sort(values.begin(), values.end());
        return values[(values.size() - 1) / 2];
    }

    static void add_rate(
        std::vector<double>& rates, Instant now, const Seen& seen, std::uint64_t samples
    ) {
        const double time = to_seconds(now - seen.since);
        if (time < 1.0 || samples <= seen.at_first) return;
        rates.push_back(static_cast<double>(samples - seen.at_first) / time);
    }

    std::optional<Seen> own_;
    std::map<PeerId, Seen> seen_;
};

TEST(SampleBound, CountsAsOneThatLooksAtAllOthersForEachPeer) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Rng rng(seed);
        Swarm swarm;
        Naive naive;
        std::uint8_t next = 1;
        for (int second = 0; second < 60; ++second) {
            if (next < 30 && rng.chance(0.4)) swarm.add(next++, rng.below(3) * rng.below(10'000));
            for (auto& peer : swarm.view.others) {
                // Equal rates are usual, too, and now and then somebody lies.
                peer.record->samples +=
                    rng.chance(0.02) ? rng.below(1'000'000) : 100 * rng.below(3);
            }
            if (!swarm.view.others.empty() && rng.chance(0.05)) swarm.view.others.pop_back();
            const auto all = swarm.after(1s, 100);
            ASSERT_EQ(all, naive.count(swarm.now, swarm.view, swarm.own)) << seed << " " << second;
        }
    }
}

}  // namespace
}  // namespace starling::peer
