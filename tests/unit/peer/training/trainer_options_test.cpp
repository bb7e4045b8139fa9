// Goal: the seed of a peer's shuffle is the one that its user gave, and a peer that resumes keeps the
// shuffle that it was in. Method: options from descriptors, flags and checkpoints.

#include "peer/training/trainer_options.hpp"

#include <gtest/gtest.h>

#include "tests/unit/peer/training/tiny_data.hpp"

namespace starling::peer {
namespace {

class TrainersOptions : public ::testing::Test {
protected:
    TrainersOptions() {
        descriptor_.model = "mlp?hidden=8";
        descriptor_.optimizer = "sgd";
        descriptor_.mix = "pairwise";
        descriptor_.batch = 16;
        descriptor_.seed = 11;
        descriptor_.manifest = testing::tiny_shards().manifest;
        ours_.bytes[0] = 1;
        theirs_.bytes[0] = 2;
    }

    [[nodiscard]] std::uint64_t seed(const PeerId& self, const Checkpoint* checkpoint = nullptr)
        const {
        return trainer_options(config_, self, descriptor_, descriptor_.manifest, checkpoint).seed;
    }

    PeerConfig config_;
    Descriptor descriptor_;
    PeerId ours_;
    PeerId theirs_;
};

TEST_F(TrainersOptions, AllPeersOfASwarmShuffleAlike) {
    EXPECT_EQ(seed(ours_), 11U) << "that of the descriptor, which a founder's --seed becomes";
    EXPECT_EQ(seed(theirs_), 11U);
    config_.seed = 7;
    config_.seed_given = true;
    EXPECT_EQ(seed(ours_), 11U) << "a joiner's own seed does not change the order of samples";
    const auto evaluations = [this](const PeerId& self) {
        return trainer_options(config_, self, descriptor_, descriptor_.manifest, nullptr)
            .evaluation_seed;
    };
    EXPECT_NE(evaluations(ours_), evaluations(theirs_)) << "they see different parts of the tests";
}

TEST_F(TrainersOptions, ACheckpointOfAnEarlierReleaseGoesOnInTheCommonShuffle) {
    Checkpoint checkpoint;
    for (const auto kept : {std::optional<std::uint64_t>(99), {}}) {
        checkpoint.position = {3, 1234, kept};
        const auto options =
            trainer_options(config_, ours_, descriptor_, descriptor_.manifest, &checkpoint);
        EXPECT_EQ(options.position, (data::BatcherPosition{3, 1234, 11}));
    }
}

TEST_F(TrainersOptions, FixedKernelsAreNotMeasured) {
    EXPECT_NE(
        trainer_options(config_, ours_, descriptor_, descriptor_.manifest, nullptr)
            .engine.stopwatch,
        nullptr
    );
    config_.kernels = Kernels::Fixed;
    EXPECT_EQ(
        trainer_options(config_, ours_, descriptor_, descriptor_.manifest, nullptr)
            .engine.stopwatch,
        nullptr
    );
}

}  // namespace
}  // namespace starling::peer
