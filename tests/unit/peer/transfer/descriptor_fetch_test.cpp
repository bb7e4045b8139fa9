// Goal: a newcomer gets the descriptor from the first seed that has it, and says of every other one
// what is wrong with it. Method: the test plays the seeds and the clock; each seed follows a script.

#include "peer/transfer/descriptor_fetch.hpp"

#include <gtest/gtest.h>

#include "peer/terms/descriptor.hpp"
#include "tests/unit/peer/transfer/support/descriptor_seeds.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Command = DescriptorFetch::Command;

TEST_F(DescriptorFetchTest, TheFirstSeedThatHasTheDescriptorGivesIt) {
    seeds_[seed_at(1)] = refusing();
    seeds_[seed_at(2)] = honest();
    seeds_[seed_at(3)] = [](Command::Kind, const Endpoint&) {};
    begin({seed_at(1), seed_at(2), seed_at(3)});
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    const auto& fetched = **fetch_->outcome();
    EXPECT_EQ(fetched.blob, blob_);
    EXPECT_EQ(fetched.swarm, swarm_id_of(blob_));
    EXPECT_EQ(fetched.seed, seed_at(2));
    EXPECT_EQ(notes_, std::vector<std::string>{"cannot reach it; trying again"});
    EXPECT_EQ(closes_, 2) << "also the stream to the third";
    EXPECT_TRUE(open_.empty());
    EXPECT_FALSE(fetch_->poll_timeout());
}

TEST_F(DescriptorFetchTest, ASilentSeedIsGivenUpAfterTwelveSeconds) {
    seeds_[seed_at(1)] = [](Command::Kind, const Endpoint&) {};
    begin({seed_at(1)});
    const Instant began = now_;
    EXPECT_EQ(fetch_->poll_timeout(), began + seconds(12));
    fetch_->handle_timeout(began + seconds(11));
    drain();
    EXPECT_FALSE(fetch_->outcome());
    now_ = began + seconds(12);
    fetch_->handle_timeout(now_);
    drain();
    EXPECT_TRUE(open_.empty());
    EXPECT_EQ(notes_, std::vector<std::string>{"no descriptor from 127.0.0.1:1; trying again"});
}

TEST_F(DescriptorFetchTest, ASeedThatGreetsAndThenSaysNothingCostsNoMoreThanASilentOne) {
    seeds_[seed_at(1)] = [this](Command::Kind kind, const Endpoint& at) {
        if (kind != Command::Kind::Dial) return;
        now_ += seconds(2);
        fetch_->handle_greeted(now_, at, peer_id(2), swarm_id_of(blob_));
    };
    const Instant began = now_;
    begin({seed_at(1)});
    EXPECT_EQ(fetch_->poll_timeout(), began + seconds(12));
}

TEST_F(DescriptorFetchTest, SilentSeedsDoNotHoldUpTheOneThatAnswers) {
    std::vector<Endpoint> seeds;
    for (std::uint16_t port = 1; port <= 20; ++port) {
        seeds.push_back(seed_at(port));
        seeds_[seed_at(port)] = [](Command::Kind, const Endpoint&) {};
    }
    seeds_[seed_at(20)] = honest();
    const Instant began = now_;
    begin(seeds);
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    EXPECT_EQ((*fetch_->outcome())->seed, seed_at(20));
    EXPECT_EQ(now_, began + seconds(24)) << "twice eight silent ones, 12 s each";
    EXPECT_TRUE(open_.empty()) << "the streams to the others are closed";
}

TEST_F(DescriptorFetchTest, OfTwoThatGreetOneIsAskedAndTheOtherWhenThatFails) {
    std::vector<Endpoint> asked;
    for (const auto& seed : {seed_at(1), seed_at(2)}) {
        seeds_[seed] = [&](Command::Kind kind, const Endpoint& at) {
            if (kind == Command::Kind::Ask) {
                asked.push_back(at);
            } else {
                fetch_->handle_greeted(now_, at, peer_id(2), swarm_id_of(blob_));
            }
        };
    }
    begin({seed_at(1), seed_at(2)});
    EXPECT_EQ(asked, std::vector<Endpoint>{seed_at(1)});
    now_ += seconds(8);
    close(seed_at(1), "closed by the other side", FaultCode::Closed);
    drain();
    EXPECT_EQ(asked, (std::vector<Endpoint>{seed_at(1), seed_at(2)}));
    EXPECT_EQ(fetch_->poll_timeout(), now_ + seconds(6)) << "the second one has time to answer";
    fetch_->handle_piece(now_, seed_at(2), piece(blob_.size(), 0, blob_));
    drain();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    EXPECT_EQ((*fetch_->outcome())->seed, seed_at(2));
}

TEST_F(DescriptorFetchTest, ANameThatIsNotKnownIsNotedAndTheOtherSeedsAreDialled) {
    seeds_[seed_at(1)] = honest();
    fetch_.emplace(now_, std::vector<Endpoint>{}, kSelf, kPatience, hash_of, 2);
    fetch_->handle_name(now_, fail(FaultCode::Unreachable, "cannot resolve 'nobody:1'"));
    drain();
    EXPECT_FALSE(fetch_->outcome());
    fetch_->handle_name(now_, std::vector<Endpoint>{seed_at(1)});
    drain();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    EXPECT_EQ(notes_, std::vector<std::string>{"cannot resolve 'nobody:1'"});
}

TEST_F(DescriptorFetchTest, WithoutAnyKnownNameItFailsAtOnce) {
    fetch_.emplace(now_, std::vector<Endpoint>{}, kSelf, kPatience, hash_of, 1);
    fetch_->handle_name(now_, fail(FaultCode::Unreachable, "cannot resolve 'nobody:1'"));
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_error());
    EXPECT_EQ(fault().message, "cannot resolve 'nobody:1'");
}

TEST_F(DescriptorFetchTest, ALookUpThatHangsEndsWithThePatience) {
    fetch_.emplace(now_, std::vector<Endpoint>{}, kSelf, kPatience, hash_of, 1);
    const Instant began = now_;
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_error());
    EXPECT_EQ(now_, began + kPatience);
    fetch_->handle_name(now_, std::vector<Endpoint>{seed_at(1)});
    EXPECT_FALSE(fetch_->poll_command()) << "it comes too late";
}

TEST_F(DescriptorFetchTest, ASeedThatGreetsAndThenSendsNothingIsDialledAgainWithSmallSegments) {
    std::vector<bool> small;
    fetch_.emplace(now_, std::vector<Endpoint>{seed_at(1)}, kSelf, kPatience, hash_of);
    while (!fetch_->outcome()) {
        while (const auto command = fetch_->poll_command()) {
            if (command->kind == Command::Kind::Dial) {
                small.push_back(command->small);
                fetch_->handle_greeted(now_, command->to, peer_id(2), swarm_id_of(blob_));
            } else if (command->kind == Command::Kind::Close) {
                close(command->to, "thank you", FaultCode::Closed);
            } else if (small.back()) {
                fetch_->handle_piece(now_, command->to, piece(blob_.size(), 0, blob_));
            }
        }
        if (fetch_->outcome()) break;
        now_ = *fetch_->poll_timeout();
        fetch_->handle_timeout(now_);
    }
    EXPECT_EQ(small, (std::vector<bool>{false, true}));
    ASSERT_TRUE(fetch_->outcome()->has_value());
    EXPECT_TRUE((*fetch_->outcome())->small);
}

TEST_F(DescriptorFetchTest, ABlobOfAnotherHashIsRefused) {
    seeds_[seed_at(1)] = answering(piece(3, 0, Bytes(3)));
    begin({seed_at(1)});
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_error());
    EXPECT_EQ(fault().code, FaultCode::Corrupt);
    EXPECT_EQ(
        fault().message,
        "127.0.0.1:1 sent a descriptor of another swarm than its own; is the seed's address "
        "right, and does a peer run there?"
    );
    EXPECT_TRUE(open_.empty());
}

TEST_F(DescriptorFetchTest, APieceThatDoesNotFitIsRefused) {
    const Bytes data(10);
    const std::vector<Bytes> broken = {
        Bytes(7),                               // cut short
        piece(10, 0, {}),                       // empty: it would come for ever
        piece(10, 5, ByteView(data).first(5)),  // a gap before it
        piece(9, 0, data),                      // more than the whole
        piece(kDescriptorMax + 1, 0, data),     // more than any descriptor
    };
    for (std::size_t i = 0; i < broken.size(); ++i) {
        seeds_[seed_at(1)] = answering(broken[i]);
        notes_.clear();
        begin({seed_at(1)});
        EXPECT_EQ(
            notes_, std::vector<std::string>{"127.0.0.1:1 sent a broken descriptor; trying again"}
        ) << i;
    }
}

/// The total minus the offset would wrap around, and the seed could go on for ever.
TEST_F(DescriptorFetchTest, ASeedThatChangesTheTotalIsGivenUpAndNothingIsKept) {
    constexpr std::size_t kOffset = 60;
    for (const std::size_t total : {std::size_t{10}, kOffset, std::size_t{99}, std::size_t{101}}) {
        int pieces = 0;
        seeds_[seed_at(1)] = [&](Command::Kind kind, const Endpoint& at) {
            if (kind == Command::Kind::Dial) {
                fetch_->handle_greeted(now_, at, peer_id(2), swarm_id_of(blob_));
                return;
            }
            fetch_->handle_piece(now_, at, piece(100, 0, Bytes(kOffset)));
            for (std::size_t offset = kOffset; offset < 6000 && open_.contains(at); offset += 60) {
                fetch_->handle_piece(now_, at, piece(total, offset, Bytes(40)));
                ++pieces;
                EXPECT_LE(fetch_->held_bytes(), kOffset);
            }
        };
        notes_.clear();
        open_.clear();
        begin({seed_at(1)});
        EXPECT_EQ(
            notes_, std::vector<std::string>{"127.0.0.1:1 sent a broken descriptor; trying again"}
        ) << total;
        EXPECT_EQ(fetch_->held_bytes(), 0U);
        EXPECT_TRUE(open_.empty()) << "its stream is closed";
        EXPECT_GT(pieces, 0);
    }
}

TEST_F(DescriptorFetchTest, WhatAFounderSaysOfItsProgressIsQuoted) {
    seeds_[seed_at(1)] = [this](Command::Kind kind, const Endpoint& at) {
        if (kind == Command::Kind::Dial) {
            fetch_->handle_greeted(now_, at, peer_id(2), swarm_id_of(blob_));
        } else {
            fetch_->handle_not_yet(now_, at, "\x1b]0;owned\x07\xff\n" + std::string(500, 'x'));
        }
    };
    begin({seed_at(1)});
    const auto shown = "\"?]0;owned???" + std::string(188, 'x') + "...\"";
    EXPECT_EQ(notes_, std::vector<std::string>{"127.0.0.1:1 is founding its swarm: " + shown});
}

TEST_F(DescriptorFetchTest, ASeedThatClosesHalfwayIsAskedFromTheStartAgain) {
    bool first = true;
    seeds_[seed_at(1)] = [this, &first](Command::Kind kind, const Endpoint& at) {
        if (!first || kind == Command::Kind::Dial) return honest()(kind, at);
        first = false;
        fetch_->handle_piece(now_, at, piece(blob_.size(), 0, ByteView(blob_).first(60)));
        close(at, "closed by the other side", FaultCode::Closed);
    };
    begin({seed_at(1)});
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    EXPECT_EQ((*fetch_->outcome())->blob, blob_);
    EXPECT_EQ(notes_, std::vector<std::string>{"closed by the other side; trying again"});
}

TEST_F(DescriptorFetchTest, ASeedThatIsOurselvesIsRefused) {
    seeds_[seed_at(1)] = [this](Command::Kind, const Endpoint& at) {
        fetch_->handle_greeted(now_, at, kSelf, SwarmId{});
    };
    seeds_[seed_at(2)] = honest();
    begin({seed_at(1), seed_at(2)});
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    EXPECT_EQ(notes_, std::vector<std::string>{"127.0.0.1:1 is this very peer; trying again"});
}

TEST_F(DescriptorFetchTest, ASeedThatStartsLateAnswersInTheSecondRound) {
    seeds_[seed_at(1)] = refusing();
    seeds_[seed_at(2)] = refusing();
    begin({seed_at(1), seed_at(2)});
    EXPECT_EQ(fetch_->poll_timeout(), now_ + milliseconds(300));
    seeds_[seed_at(2)] = honest();
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    EXPECT_EQ(dialled_, (std::vector<Endpoint>{seed_at(1), seed_at(2), seed_at(1), seed_at(2)}));
    EXPECT_EQ(notes_.size(), 2U) << "a note for each seed, in the first round only";
}

TEST_F(DescriptorFetchTest, TheLastFailureIsTheOutcomeWhenThePatienceIsOver) {
    seeds_[seed_at(1)] = refusing();
    begin({seed_at(1)});
    const Instant began = now_;
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_error());
    EXPECT_EQ(fault().code, FaultCode::Unreachable);
    EXPECT_GE(now_, began + kPatience);
    EXPECT_LT(now_, began + kPatience + seconds(1));
}

TEST_F(DescriptorFetchTest, ASeedThatIsFoundingIsAskedUntilItIsReady) {
    const Instant ready = now_ + 6 * kPatience;
    seeds_[seed_at(1)] = [&](Command::Kind kind, const Endpoint& at) {
        if (kind == Command::Kind::Dial) {
            fetch_->handle_greeted(
                now_, at, peer_id(2), now_ < ready ? SwarmId{} : swarm_id_of(blob_)
            );
        } else if (now_ < ready) {
            fetch_->handle_not_yet(now_, at, "40 % of big.txt read");
        } else {
            fetch_->handle_piece(now_, at, piece(blob_.size(), 0, blob_));
        }
    };
    begin({seed_at(1)});
    run();
    ASSERT_TRUE(fetch_->outcome().has_value());
    ASSERT_TRUE(fetch_->outcome()->has_value()) << fetch_->outcome()->error().message;
    EXPECT_GE(now_, ready);
    EXPECT_LE(now_, ready + seconds(1));
    // People read now and then how far it is, not at each of the dials.
    EXPECT_GE(notes_.size(), 6U);
    EXPECT_LE(notes_.size(), 13U);
    EXPECT_NE(notes_[0].find("40 % of big.txt read"), std::string::npos) << notes_[0];
}

TEST_F(DescriptorFetchTest, AFounderThatDiesIsWaitedForAsLongAsAnyOther) {
    bool dead = false;
    Instant died{};
    seeds_[seed_at(1)] = [&](Command::Kind kind, const Endpoint& at) {
        if (kind == Command::Kind::Dial && dead) {
            close(at, "nobody there", FaultCode::Unreachable);
        } else if (kind == Command::Kind::Dial) {
            fetch_->handle_greeted(now_, at, peer_id(2), SwarmId{});
        } else {
            fetch_->handle_not_yet(now_, at, "40 % of big.txt read");
            dead = true;
            died = now_;
        }
    };
    begin({seed_at(1)});
    run();
    ASSERT_TRUE(fetch_->outcome().has_value());
    EXPECT_EQ(fetch_->outcome()->error().code, FaultCode::Unreachable);
    EXPECT_LE(now_ - died, kPatience + seconds(1));
}

TEST_F(DescriptorFetchTest, AnotherVersionEndsItAtOnceWhenNoOtherSeedIsLeft) {
    seeds_[seed_at(1)] = [this](Command::Kind, const Endpoint& at) {
        close(at, "run another", FaultCode::BadVersion);
    };
    begin({seed_at(1)});
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_error());
    EXPECT_EQ(fault().code, FaultCode::BadVersion);
    EXPECT_EQ(fault().message, "run another");
    EXPECT_TRUE(notes_.empty());
    EXPECT_EQ(dialled_.size(), 1U);
}

TEST_F(DescriptorFetchTest, WithoutASeedItFailsWhenThePatienceIsOver) {
    begin({});
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_error());
    EXPECT_EQ(fault().code, FaultCode::Unreachable);
}

TEST_F(DescriptorFetchTest, WhatComesAfterTheEndOfAStreamChangesNothing) {
    seeds_[seed_at(1)] = honest();
    begin({seed_at(1)});
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    const Endpoint at = seed_at(1);
    fetch_->handle_greeted(now_, at, peer_id(3), SwarmId{});
    fetch_->handle_piece(now_, at, piece(3, 0, Bytes(3)));
    fetch_->handle_closed(now_, at, fail(FaultCode::Closed, "late"));
    fetch_->handle_timeout(now_ + seconds(60));
    drain();
    EXPECT_EQ((*fetch_->outcome())->blob, blob_);
    EXPECT_EQ(dialled_.size(), 1U);
}

}  // namespace
}  // namespace starling::peer
