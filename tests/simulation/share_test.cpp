// Goal: a test split in shares stays held three times while peers come and go, and in the end all count each part of it
// once, whoever dies or lies meanwhile. Method: whole peers in virtual time. Two checkers beside the others:
//
//   P12  when nobody has come or gone for a while, each portion is held by three peers that train, or by all
//   P13  whoever ends has counted each portion once, and says how much it has not

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/whole_run.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using peer_virtual::Power;

constexpr std::size_t kTests = 32;
constexpr Duration kTrainWithin = 120s;

peer_virtual::SwarmOptions in_shares(std::uint64_t seed, std::size_t peers) {
    auto options = whole_peers(seed, peers);
    options.training->test_shards = kTests;
    // A shard has about sixty bytes.
    options.training->whole_split = 300;
    return options;
}

/// What those that have ended say of the test split.
class LastWords final : public peer_virtual::Observer {
public:
    explicit LastWords(Swarm& swarm) : swarm_(swarm) { swarm.observe(*this); }

    void on_session(
        Instant /*now*/, NodeIndex at, peer_virtual::SessionNews news, const Fault* /*why*/
    ) override {
        if (news != peer_virtual::SessionNews::Finished) return;
        const auto& session = swarm_.session(at)->session();
        const auto& result = session.evaluated().result;
        const auto own = session.report().evaluated.result.loss();
        auto& word = words_[at];
        word = {session.judged(), result.samples, result.correct, result.loss(), own};
        word.share = session.share();
        for (const auto& suspect : session.cross_check().suspects) {
            word.suspects.push_back(suspect.peer);
        }
    }

    struct Word {
        std::optional<double> judged;
        std::uint64_t samples = 0;
        std::uint64_t correct = 0;
        double loss = 0.0;      ///< of all
        double own_loss = 0.0;  ///< of its share
        std::vector<PeerId> suspects{};
        peer::ShareSize share{};
    };

    [[nodiscard]] const std::map<NodeIndex, Word>& words() const { return words_; }

private:
    Swarm& swarm_;
    std::map<NodeIndex, Word> words_;
};

/// Returns the fewest peers that hold a portion whole.
std::size_t least_held(Swarm& swarm, const peer_virtual::SwarmOptions& options) {
    const auto running = swarm.running();
    std::size_t least = running.size();
    const auto& manifest = swarm.session(running.front())->shards().manifest();
    const data::SplitShares shares(manifest, options.seed, options.training->whole_split);
    EXPECT_TRUE(shares.divides());
    for (const auto& portion : shares.portions()) {
        std::size_t held = 0;
        for (const auto node : running) {
            const auto& store = swarm.session(node)->shards();
            held += std::all_of(
                        portion.shards.begin(),
                        portion.shards.end(),
                        [&store](const ShardId& shard) { return store.has(shard); }
                    )
                        ? 1U
                        : 0U;
        }
        least = std::min(least, held);
    }
    return least;
}

TEST(SplitShares, CoverTheTestSplitWhilePeersComeAndGo) {
    for (const auto seed : seeds(4)) {
        auto options = in_shares(seed, 9);
        WholeRun run(options);
        auto& swarm = run.swarm();
        swarm.start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        run.run_for(20s);
        const auto& newcomer = swarm.session(5)->session();
        EXPECT_LT(newcomer.share().portions, kTests);
        EXPECT_LT(swarm.session(5)->shards().held(), kTests + 24) << "it has not fetched all";
        Rng rng(seed);
        for (int i = 0; i < 8; ++i) {
            EXPECT_GE(least_held(swarm, options), std::min<std::size_t>(3, swarm.running().size()))
                << "P12 " << hex(seed);
            const auto node = static_cast<NodeIndex>(rng.below(swarm.size()));
            if (swarm.state(node) == NodeState::Running) {
                if (swarm.running().size() > 5) swarm.crash(node, Power::Dark);
            } else {
                swarm.start(node, swarm.running());
            }
            run.run_for(60s);
        }
        ASSERT_TRUE(run.simulation.passed());
    }
}

TEST(SplitShares, InTheEndAllCountEachPartOnce) {
    for (const auto seed : seeds(6)) {
        auto options = in_shares(seed, 7);
        options.training->until = *peer::Until::parse("samples=20000");
        WholeRun run(options);
        LastWords last(run.swarm());
        run.swarm().start_all(2s);
        run.require_within(300s, "all end", [&] { return run.all_gone(); });
        ASSERT_TRUE(run.simulation.passed());
        ASSERT_EQ(last.words().size(), 7U);
        for (const auto& [node, word] : last.words()) {
            EXPECT_EQ(word.judged, 1.0) << "P13 " << node << hex(seed);
            EXPECT_EQ(word.samples, kTests * options.training->samples_per_shard);
            EXPECT_LT(word.share.portions, kTests);
            EXPECT_TRUE(word.suspects.empty());
            EXPECT_EQ(word.loss, last.words().begin()->second.loss) << "the same medians";
        }
    }
}

TEST(SplitShares, ATargetIsHeldAgainstWhatAllFind) {
    for (const auto seed : seeds(4)) {
        auto options = in_shares(seed, 6);
        options.training->until = *peer::Until::parse("accuracy=0.95");
        options.training->noise = 0.02;
        WholeRun run(options);
        LastWords last(run.swarm());
        run.swarm().start_all(2s);
        run.require_within(600s, "all end", [&] { return run.all_gone(); });
        ASSERT_TRUE(run.simulation.passed());
        EXPECT_EQ(run.checkers.rounds().size(), 1U);
        for (const auto& [node, word] : last.words()) {
            EXPECT_GE(static_cast<double>(word.correct), 0.95 * static_cast<double>(word.samples));
        }
    }
}

TEST(SplitShares, ALiarIsNamedAndMovesNothing) {
    for (const auto seed : seeds(4)) {
        auto options = in_shares(seed, 6);
        options.training->until = *peer::Until::parse("samples=20000");
        WholeRun run(options);
        auto& swarm = run.swarm();
        LastWords last(swarm);
        const NodeIndex liar = 3;
        swarm.start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        swarm.set_false_judge(liar, true);
        run.require_within(300s, "all end", [&] { return run.all_gone(); });
        ASSERT_TRUE(run.simulation.passed());
        ASSERT_EQ(last.words().size(), 6U);
        for (const auto& [node, word] : last.words()) {
            if (node == liar) continue;
            EXPECT_EQ(word.suspects, std::vector{swarm.id(liar)}) << node << hex(seed);
            // The liar says that its portions cost a hundredth, and ours are all of equal sizes.
            EXPECT_NEAR(word.loss / last.words().begin()->second.loss, 1.0, 1e-3);
            EXPECT_NEAR(word.loss / word.own_loss, 1.0, 0.1) << node << hex(seed);
        }
    }
}

TEST(SplitShares, WhoDiesWhileAllSettleStallsNobody) {
    for (const auto seed : seeds(6)) {
        auto options = in_shares(seed, 7);
        options.training->until = *peer::Until::parse("samples=20000");
        WholeRun run(options);
        auto& swarm = run.swarm();
        LastWords last(swarm);
        swarm.start_all(2s);
        const auto victim = static_cast<NodeIndex>(seed % 7);
        const auto ends = [&](NodeIndex node) {
            const auto* session = swarm.session(node);
            if (session == nullptr || !session->begun()) return false;
            const auto state = session->session().state();
            return state == peer::PeerState::Settling || state == peer::PeerState::Evaluating;
        };
        run.require_within(300s, "it settles", [&] { return ends(victim); });
        swarm.crash(victim, Power::Dark);
        run.simulation.checkers().ignore_leaves();
        const auto since = swarm.now();
        run.require_within(120s, "the others end", [&] { return run.all_gone(); });
        ASSERT_TRUE(run.simulation.passed());
        RecordProperty("seconds to the end", static_cast<int>(to_seconds(swarm.now() - since)));
        ASSERT_EQ(last.words().size(), 6U) << hex(seed);
        for (const auto& [node, word] : last.words()) {
            EXPECT_EQ(word.judged, 1.0) << "two others have judged what it held";
            EXPECT_EQ(word.samples, kTests * options.training->samples_per_shard);
        }
    }
}

}  // namespace
}  // namespace starling::simulation
