// Goal: every sample is somebody's duty. While peers join and die, each sample is trained on in each
// epoch, all samples are in the same epochs, and only what was given out since the last words is repeated.
// Method: whole peers in virtual time whose trainers draw with the real batcher and count each sample.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <vector>

#include "tests/simulation/fault_schedule.hpp"
#include "tests/simulation/session_checkers.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using peer_virtual::Power;
using peer_virtual::SwarmOptions;

constexpr std::size_t kPeers = 16;
constexpr std::size_t kShards = 2048;
constexpr std::size_t kSamples = kShards * 15;
// Twenty epochs take a minute of a core: they are for those who ask for many seeds, as scripts/nightly does.
// NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread
const std::size_t kEpochs = std::getenv("STARLING_SIM_SEEDS") == nullptr ? 8 : 20;

/// Who has trained on which sample how often in which epoch.
class Visits {
public:
    explicit Visits(std::size_t samples = kSamples) : epochs_(samples) {}

    void add(std::uint32_t sample, std::uint64_t epoch) {
        auto& visits = epochs_.at(sample);
        if (visits.size() <= epoch) visits.resize(static_cast<std::size_t>(epoch) + 1, 0);
        ++visits[static_cast<std::size_t>(epoch)];
        ++made_;
    }

    /// Returns how often an epoch of a sample was left out while a later one was begun.
    [[nodiscard]] std::size_t left_out() const {
        std::size_t count = 0;
        for (const auto& visits : epochs_) {
            count += static_cast<std::size_t>(std::count(visits.begin(), visits.end(), 0));
        }
        return count;
    }

    /// Returns how many visits were not the first one in their epoch.
    [[nodiscard]] std::size_t repeated() const {
        std::size_t count = 0;
        for (const auto& visits : epochs_) {
            for (const auto times : visits) count += times > 1 ? times - 1U : 0U;
        }
        return count;
    }

    /// Returns how many samples were not trained on in each of the first so many epochs.
    [[nodiscard]] std::size_t lacking(std::size_t epochs) const {
        std::size_t count = 0;
        for (const auto& visits : epochs_) {
            for (std::size_t i = 0; i < epochs; ++i) {
                count += i >= visits.size() || visits[i] == 0 ? 1U : 0U;
            }
        }
        return count;
    }

    /// Returns how many visits were in later epochs.
    [[nodiscard]] std::size_t beyond(std::size_t epochs) const {
        std::size_t count = 0;
        for (const auto& visits : epochs_) {
            for (std::size_t i = epochs; i < visits.size(); ++i) count += visits[i];
        }
        return count;
    }

    /// Returns how many there were in all.
    [[nodiscard]] std::size_t made() const { return made_; }

    /// Returns in how many epochs each sample was trained on.
    [[nodiscard]] std::vector<std::size_t> epochs() const {
        std::vector<std::size_t> counts;
        for (const auto& visits : epochs_) {
            const auto none = static_cast<std::size_t>(std::count(visits.begin(), visits.end(), 0));
            counts.push_back(visits.size() - none);
        }
        return counts;
    }

private:
    std::vector<std::vector<std::uint16_t>> epochs_;
    std::size_t made_ = 0;
};

/// An epoch takes 60 s: 16 peers make four steps of eight samples a second.
SwarmOptions duty_swarm(std::uint64_t seed, Visits& visits) {
    SwarmOptions options;
    options.peers = kPeers;
    options.seed = seed;
    options.network.loss = 0.01;
    peer_virtual::AveragingOptions averaging;
    averaging.config.encoding = gossip::Encoding::F32;
    averaging.floats = peer_virtual::FloatVector::Shape{1, 16, 0.05};
    options.averaging = averaging;
    auto& training = options.training.emplace();
    training.until = *peer::Until::parse("samples=1000000000000");
    training.shards = kShards;
    training.samples_per_shard = kSamples / kShards;
    training.step = 250ms;
    training.checkpoint_every = 20s;
    training.trained = [&visits](std::uint32_t sample, std::uint64_t epoch) {
        visits.add(sample, epoch);
    };
    return options;
}

TEST(EverySample, IsTrainedOnOnceAnEpochWhilePeersComeAndGo) {
    for (const auto seed : seeds(1)) {
        Visits visits;
        Simulation run(duty_swarm(seed, visits));
        auto& swarm = run.swarm();
        swarm.start_all(2s);
        run.run_for(20s);
        run.checkers().ignore_leaves();
        Rng rng(seed);
        const auto end = swarm.now() + kEpochs * 60s;
        std::size_t deaths = 0;
        std::vector<NodeIndex> down;
        while (swarm.now() < end && !run.checkers().violation()) {
            // Six die and six come an epoch: every ten seconds one dies, and the one before returns.
            run.run_for(5s);
            const auto running = swarm.running();
            const auto victim = running[static_cast<std::size_t>(rng.below(running.size()))];
            swarm.crash(victim, rng.chance(0.5) ? Power::Dark : Power::Stopped);
            ++deaths;
            down.push_back(victim);
            run.run_for(5s);
            if (down.size() < 3) continue;
            swarm.start(down.front(), swarm.running());
            down.erase(down.begin());
        }
        ASSERT_TRUE(run.passed());
        const auto sum = visits.made();
        const auto epochs = visits.epochs();
        double mean = 0.0;
        for (const auto count : epochs) mean += static_cast<double>(count) / kSamples;
        EXPECT_GT(mean, 0.7 * static_cast<double>(kEpochs));
        std::size_t near = 0;
        std::size_t far = 0;
        for (const auto count : epochs) {
            const double off = std::abs(static_cast<double>(count) - mean);
            near += off <= 1.0 ? 1U : 0U;
            far += off > 2.0 ? 1U : 0U;
        }
        const auto repeated = static_cast<double>(visits.repeated()) / static_cast<double>(sum);
        std::printf(
            "mean %.2f epochs, within one %.4f, beyond two %zu, left out %zu, repeated %zu "
            "(%.4f)\n",
            mean,
            static_cast<double>(near) / kSamples,
            far,
            visits.left_out(),
            visits.repeated(),
            repeated
        );
        EXPECT_GE(near, kSamples * 99 / 100);
        EXPECT_EQ(far, 0U);
        // Where a shard's heir dies in the second in which it got the shard, a few are left out: 27 to 63
        // of 490,000 with seven seeds.
        EXPECT_LE(visits.left_out(), visits.made() / 5'000);
        // Each death repeats what one peer made since its last words, each return what others made since
        // theirs, until they hear of it: less than five seconds of one peer, at 32 samples a second.
        EXPECT_LE(visits.repeated(), deaths * 5 * 32);
    }
}

/// Epochs end with the duties, not with as many samples: each death lets some be trained on twice, and these bring
/// nobody nearer to the end.
TEST(EverySample, IsInAllEpochsThatWereAskedForWhenTheSwarmEnds) {
    constexpr std::size_t kAsked = 6;
    constexpr std::size_t kFew = 256 * std::size_t{15};
    for (const auto seed : seeds(3)) {
        Visits visits(kFew);
        auto options = duty_swarm(seed, visits);
        options.peers = 8;
        options.training->until = *peer::Until::parse("epochs=" + std::to_string(kAsked));
        options.training->shards = 256;
        Simulation run(options);
        auto& swarm = run.swarm();
        swarm.start_all(2s);
        run.checkers().ignore_leaves();
        Rng rng(seed);
        const auto end = swarm.now() + 70s;
        std::vector<NodeIndex> down;
        while (swarm.now() < end && !run.checkers().violation()) {
            run.run_for(5s);
            const auto running = swarm.running();
            const auto victim = running[static_cast<std::size_t>(rng.below(running.size()))];
            swarm.crash(victim, rng.chance(0.5) ? Power::Dark : Power::Stopped);
            down.push_back(victim);
            run.run_for(5s);
            if (down.size() < 2) continue;
            swarm.start(down.front(), swarm.running());
            down.erase(down.begin());
        }
        const bool ended = run.run_until([&] { return swarm.running().empty(); }, 300s);
        ASSERT_TRUE(run.passed());
        ASSERT_TRUE(ended) << "seed " << seed;
        // What hand-overs have left out before is another matter, and epochs of 15 s are short for them.
        const auto last = visits.lacking(kAsked) - visits.lacking(kAsked - 1);
        std::printf(
            "made %zu, repeated %zu, lacking %zu, of them in the last epoch %zu, beyond %zu\n",
            visits.made(),
            visits.repeated(),
            visits.lacking(kAsked),
            last,
            visits.beyond(kAsked)
        );
        EXPECT_LE(last, kFew / 100);
        EXPECT_GT(visits.repeated(), kFew / 20) << "else counted samples would end it as late";
        EXPECT_LE(visits.lacking(kAsked), kAsked * kFew * 3 / 100);
        // The last batch of each peer reaches into the next epoch, also that of an heir that had rested.
        EXPECT_LE(visits.beyond(kAsked), kAsked * kFew / 50);
    }
}

}  // namespace
}  // namespace starling::simulation
