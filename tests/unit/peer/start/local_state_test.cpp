// Goal: a state directory gives a peer its last life back or says in one line why not, and nothing
// in it is lost by a mistake. Method: directories that a test fills, damages, locks and copies.

#include "peer/start/local_state.hpp"

#include <fstream>
#include <gtest/gtest.h>

#include "peer/crypto/seal.hpp"
#include "peer/machine/files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

SwarmKey key_of(std::uint8_t byte) {
    SwarmKey key;
    key.bytes.fill(byte);
    return key;
}

class LocalStates : public ::testing::Test {
protected:
    LocalStates() {
        founder_.state = directory_.path() / "state";
        founder_.dataset = "idx:somewhere";
        joiner_.state = founder_.state;
        joiner_.join = {"127.0.0.1:1"};
        again_.state = founder_.state;
    }

    [[nodiscard]] fs::path file(const char* name) const { return founder_.state / name; }

    /// Lives once as a founder and leaves a checkpoint behind.
    void live_once() {
        auto ours = open_local_state(founder_);
        ASSERT_TRUE(ours.has_value()) << ours.error().message;
        store(1);
    }

    void store(std::uint64_t steps) const {
        Checkpoint checkpoint;
        checkpoint.descriptor = Bytes(10);
        checkpoint.steps = steps;
        ASSERT_TRUE(write_checkpoint(real_disk(), founder_.state, checkpoint).has_value());
    }

    fs::path key_file(const char* name, const SwarmKey& key) const {
        const auto path = directory_.path() / name;
        EXPECT_TRUE(write_swarm_key(path, key).has_value());
        return path;
    }

    static void expect_fault(
        const PeerConfig& config, FaultCode code, const std::vector<std::string>& words
    ) {
        const auto opened = open_local_state(config);
        ASSERT_TRUE(opened.has_error());
        const auto& fault = opened.error();
        EXPECT_EQ(to_string(fault.code), to_string(code)) << fault.message;
        EXPECT_EQ(fault.message.find('\n'), std::string::npos) << fault.message;
        for (const auto& word : words) {
            EXPECT_NE(fault.message.find(word), std::string::npos) << fault.message;
        }
    }

    starling::testing::TemporaryDirectory directory_;
    PeerConfig founder_;
    PeerConfig joiner_;
    PeerConfig again_;  ///< a restart that names nothing but the directory
};

TEST(Founds, OnlyWhoNeitherJoinsNorResumesNorWatches) {
    PeerConfig config;
    EXPECT_TRUE(founds(config, std::nullopt));
    EXPECT_FALSE(founds(config, Checkpoint{}));
    config.membership_only = true;
    EXPECT_FALSE(founds(config, std::nullopt));
    config.membership_only = false;
    config.join = {"127.0.0.1:1"};
    EXPECT_FALSE(founds(config, std::nullopt));
}

TEST_F(LocalStates, WithoutADirectoryAnIdentityLastsForOneRunAndThereIsNoKey) {
    founder_.state.clear();
    const auto one = open_local_state(founder_);
    const auto two = open_local_state(founder_);
    ASSERT_TRUE(one.has_value() && two.has_value());
    EXPECT_NE(one->identity.id, two->identity.id);
    EXPECT_FALSE(one->lock || one->checkpoint || one->key);
    EXPECT_TRUE(key_path(founder_).empty());
}

TEST_F(LocalStates, ARestartIsTheSamePeerInItsNextLifeWithItsKeyAndCheckpoint) {
    const auto first = open_local_state(founder_)->identity;
    const auto key = read_swarm_key(file("swarm.key"));
    ASSERT_TRUE(key.has_value()) << key.error().message;
    store(7);
    const auto second = open_local_state(again_);
    ASSERT_TRUE(second.has_value()) << second.error().message;
    EXPECT_EQ(second->identity.id, first.id);
    EXPECT_EQ(second->identity.epoch, first.epoch + 1);
    EXPECT_EQ(second->key, *key);
    EXPECT_EQ(second->checkpoint->steps, 7U);
}

TEST_F(LocalStates, OnlyAFounderMakesAKey) {
    EXPECT_FALSE(open_local_state(joiner_)->key.has_value());
    EXPECT_FALSE(fs::exists(file("swarm.key")));
    store(1);
    EXPECT_FALSE(open_local_state(again_)->key.has_value()) << "one that resumes an open swarm";
    fs::remove(file("checkpoint"));
    again_.membership_only = true;
    EXPECT_TRUE(open_local_state(again_)->key.has_value()) << "a founder of members only";
}

/// As a release that knew no modes has left it. A key is left to its reader, who refuses it.
TEST_F(LocalStates, WhatOthersCouldReadIsClosedAndSaidOnce) {
    live_once();
    fs::create_directory(file("shards"));
    std::ofstream(file("shards") / "verified") << "";
    std::ofstream(file("http")) << "";
    const auto open = fs::perms::owner_all | fs::perms::group_read | fs::perms::others_read;
    for (const auto* name : {".", "shards", "shards/verified", "http", "checkpoint", "epoch"}) {
        fs::permissions(file(name), open);
    }
    {
        const auto opened = open_local_state(again_);
        ASSERT_TRUE(opened.has_value()) << opened.error().message;
        ASSERT_EQ(opened->notes.size(), 1U);
        EXPECT_NE(opened->notes[0].find(founder_.state.string()), std::string::npos);
    }
    constexpr auto kOthers = fs::perms::group_all | fs::perms::others_all;
    for (const auto& entry : fs::recursive_directory_iterator(founder_.state)) {
        EXPECT_EQ(entry.status().permissions() & kOthers, fs::perms::none) << entry.path();
    }
    EXPECT_EQ(fs::status(founder_.state).permissions(), fs::perms::owner_all);
    EXPECT_TRUE(open_local_state(again_)->notes.empty());
    fs::permissions(file("identity.key"), open);
    expect_fault(again_, FaultCode::Usage, {"identity.key", "chmod 600"});
}

TEST_F(LocalStates, ALockedDirectoryIsRefusedAndItsEpochStays) {
    const auto running = open_local_state(founder_);
    ASSERT_TRUE(running.has_value()) << running.error().message;
    expect_fault(founder_, FaultCode::AddressInUse, {founder_.state.string(), "another peer"});
    std::ifstream epoch(file("epoch"));
    std::uint64_t number = 0;
    epoch >> number;
    EXPECT_EQ(number, running->identity.epoch);
}

TEST_F(LocalStates, ADamagedNewestCheckpointCostsTheWorkSinceThePreviousOne) {
    live_once();
    store(2);
    starling::testing::write_quickly(file("checkpoint"), as_byte_view("torn"));
    const auto opened = open_local_state(again_);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    EXPECT_EQ(opened->checkpoint->steps, 1U);
    EXPECT_TRUE(opened->checkpoint->damage.has_value());
}

TEST_F(LocalStates, ACheckpointThatWasBeingWrittenGivesItsRoomBack) {
    live_once();
    starling::testing::write_quickly(file("checkpoint.tmp"), as_byte_view("half of a ch"));
    ASSERT_TRUE(open_local_state(again_).has_value());
    EXPECT_FALSE(fs::exists(file("checkpoint.tmp")));
    EXPECT_TRUE(fs::exists(file("checkpoint")));
}

TEST_F(LocalStates, NobodyFoundsOrJoinsOverADamagedCheckpoint) {
    live_once();
    starling::testing::write_quickly(file("checkpoint"), as_byte_view("torn"));
    for (const auto* config : {&founder_, &joiner_, &again_}) {
        expect_fault(*config, FaultCode::Truncated, {file("checkpoint").string()});
    }
    EXPECT_TRUE(fs::exists(file("checkpoint")));
}

TEST_F(LocalStates, ADirectoryWithoutACheckpointNeedsDataOrASeed) {
    expect_fault(
        again_, FaultCode::Usage, {founder_.state.string(), "no checkpoint", "--dataset", "--join"}
    );
    const auto joined = open_local_state(joiner_);
    EXPECT_TRUE(joined.has_value()) << joined.error().message;
}

TEST_F(LocalStates, AStateThatIsNoDirectoryIsOneLine) {
    starling::testing::write_quickly(founder_.state, as_byte_view("a file"));
    expect_fault(founder_, FaultCode::Io, {founder_.state.string()});
    founder_.state = "/proc/nowhere";
    expect_fault(founder_, FaultCode::Io, {"/proc/nowhere"});
}

TEST_F(LocalStates, AnIdentityThatHasStartedTooOftenSaysWhatToRemove) {
    live_once();
    std::ofstream(file("epoch")) << kLivesMax - 1 << "\n";
    expect_fault(again_, FaultCode::Usage, {file("epoch").string(), "identity.key"});
}

TEST_F(LocalStates, AKeyFileThatCannotBeReadIsAWrongFlagAndNamed) {
    joiner_.key = directory_.path() / "none";
    expect_fault(joiner_, FaultCode::Usage, {joiner_.key.string()});
    joiner_.key = directory_.path();
    expect_fault(joiner_, FaultCode::Usage, {joiner_.key.string()});
    joiner_.key = key_file("key", key_of(1));
    fs::permissions(joiner_.key, fs::perms::group_read, fs::perm_options::add);
    expect_fault(joiner_, FaultCode::Usage, {"--key", joiner_.key.string(), "chmod 600"});
    fs::permissions(joiner_.key, fs::perms::group_read, fs::perm_options::remove);
    starling::testing::write_quickly(joiner_.key, as_byte_view("short"));
    expect_fault(joiner_, FaultCode::Usage, {"--key", joiner_.key.string(), "64"});
}

TEST_F(LocalStates, AKeyThatTheUserNamesIsTakenBeforeThatOfTheDirectory) {
    founder_.key = key_file("key", key_of(1));
    EXPECT_EQ(key_path(founder_), founder_.key);
    EXPECT_EQ(open_local_state(founder_)->key, key_of(1));
    EXPECT_EQ(key_path(again_), file("swarm.key"));
}

TEST_F(LocalStates, ARestartWithAnotherKeyIsRefusedAndTheRightOneStays) {
    live_once();
    const auto right = *read_swarm_key(file("swarm.key"));
    again_.key = key_file("other", key_of(2));
    expect_fault(
        again_, FaultCode::Usage, {"--key", again_.key.string(), file("swarm.key").string()}
    );
    EXPECT_EQ(*read_swarm_key(file("swarm.key")), right);
    again_.key = key_file("same", right);
    EXPECT_EQ(open_local_state(again_)->key, right);
    fs::remove(file("swarm.key"));
    again_.key = key_file("restored", right);
    EXPECT_EQ(open_local_state(again_)->key, right) << "a key that was lost is given again";
}

TEST_F(LocalStates, AKeyForAnOpenSwarmIsToldAndTheSwarmsOwnIsTakenWithoutOne) {
    const SwarmId swarm{key_of(9).bytes};
    Descriptor open;
    EXPECT_EQ(*choose_key(joiner_, std::nullopt, open, swarm), open_swarm_key(swarm));
    EXPECT_EQ(*choose_key(joiner_, key_of(1), open, swarm), open_swarm_key(swarm));
    joiner_.key = key_file("key", key_of(1));
    const auto told = choose_key(joiner_, key_of(1), open, swarm);
    ASSERT_TRUE(told.has_error());
    EXPECT_EQ(told.error().code, FaultCode::Usage);
    EXPECT_NE(told.error().message.find(swarm.short_string()), std::string::npos);
    EXPECT_NE(told.error().message.find("leave --key out"), std::string::npos);
}

TEST_F(LocalStates, ASwarmWithAKeyNeedsOneAndItIsKeptForTheNextLife) {
    ASSERT_TRUE(open_local_state(joiner_).has_value());
    Descriptor keyed;
    keyed.keyed = true;
    const SwarmId swarm{key_of(9).bytes};
    const auto none = choose_key(joiner_, std::nullopt, keyed, swarm);
    ASSERT_TRUE(none.has_error());
    EXPECT_EQ(none.error().code, FaultCode::Usage);
    EXPECT_NE(none.error().message.find("--key FILE"), std::string::npos);
    EXPECT_FALSE(fs::exists(file("swarm.key")));
    EXPECT_EQ(*choose_key(joiner_, key_of(1), keyed, swarm), key_of(1));
    EXPECT_EQ(*read_swarm_key(file("swarm.key")), key_of(1));
    joiner_.state.clear();
    EXPECT_EQ(*choose_key(joiner_, key_of(1), keyed, swarm), key_of(1));
}

}  // namespace
}  // namespace starling::peer
