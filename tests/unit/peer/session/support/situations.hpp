#pragma once

// The situations that a session can be in, with the way into each, and the events that can happen in
// it. The rig plays the world.

#include <array>
#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {

enum class Situation : std::uint8_t {
    BeforeBegin,
    Alone,      ///< joins; nobody has parameters or shards to give
    Fetching,   ///< joins; has asked a donor for all chunks, and has its shards
    Shardless,  ///< joins; has all parameters, and has asked for its shards
    Waiting,    ///< is ready, but training begins with three peers
    Training,
    Draining,   ///< its training has diverged while an exchange runs
    Replacing,  ///< its training has diverged, and it has asked who gives parameters
    Settling,   ///< with an exchange under way
    Evaluating,
    Lingering,
    Done,
    Stopped,  ///< while it was joining
};
inline constexpr std::array<const char*, 13> kSituations = {
    "BeforeBegin",
    "Alone",
    "Fetching",
    "Shardless",
    "Waiting",
    "Training",
    "Draining",
    "Replacing",
    "Settling",
    "Evaluating",
    "Lingering",
    "Done",
    "Stopped",
};

enum class Event : std::uint8_t {
    SameView,
    ViewWithNewcomer,
    ViewWithoutPartner,
    ViewOfLaterRound,
    ViewOfTheEnd,  ///< the partner's record has the sticky flag
    ReportWithNews,
    ReportWithoutNews,
    ReportDiverged,
    ReportFault,
    ReportOfOldEvaluation,  ///< in which all answers were right
    ReportOfEvaluation,     ///< likewise
    Committed,              ///< with a partner that was far away
    OwnValuesAreBad,
    PartnerRejectsUs,
    PartnerBroke,  ///< the protocol
    MixDue,
    InfoRequest,
    InfoRequestMalformed,
    ChunkRequest,
    ChunkRequestMalformed,
    ShardRequest,
    ShardRequestMalformed,
    Info,
    InfoMalformed,
    Chunk,
    ChunkMalformed,
    Piece,
    PieceDamaged,
    PieceMalformed,
    Broken,
    MemberUp,
    MemberDown,
    TimeoutEarly,
    TimeoutLate,
    StopTwice,
};

// How a session comes into a situation.

inline void arrive(SessionRig& rig, Start start) {
    (void)rig.begin(start);
    (void)rig.tell_prepared();
    (void)rig.see();
}

inline void train(SessionRig& rig) {
    rig.other(kPartner).steps = 100;
    arrive(rig, Start::Found);
    ASSERT_EQ(rig.session.state(), PeerState::Training);
}

inline void diverge(SessionRig& rig) {
    rig.report.diverged = true;
    (void)rig.tell();
    (void)rig.see();
    ASSERT_TRUE(rig.session.recovery().running());
}

inline void settle(SessionRig& rig) {
    train(rig);
    rig.other(kPartner, PeerState::Settling).ending = true;
    (void)rig.see();
    ASSERT_EQ(rig.session.state(), PeerState::Settling);
}

inline void evaluate(SessionRig& rig) {
    settle(rig);
    (void)rig.exchange(committed(0));
    (void)rig.see();
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
}

inline void linger(SessionRig& rig) {
    evaluate(rig);
    rig.report.evaluation = 1;
    rig.report.evaluated.result = {0.0, 8, 8};
    (void)rig.tell();
    (void)rig.see();
    ASSERT_EQ(rig.session.state(), PeerState::Lingering);
}

inline void finish(SessionRig& rig) {
    linger(rig);
    rig.other(kPartner, PeerState::Lingering);
    const auto given = rig.see();
    ASSERT_TRUE(given.outcome && !given.outcome->fault);
}

/// Joins a swarm in which the partner trains, and finds it as a donor.
inline void join(SessionRig& rig) {
    rig.other(kPartner).steps = 100;
    arrive(rig, Start::Join);
    const auto asks = rig.frame(kPartner, FrameType::StateInfo, info());
    ASSERT_EQ(asks.count(FrameType::StateRequest), rig.floats.chunk_count());
}

inline void reach(SessionRig& rig, Situation situation) {
    switch (situation) {
        case Situation::BeforeBegin:
            rig.other(kPartner);
            return;
        case Situation::Alone:
            rig.other(kPartner, PeerState::Joining).held = 0;
            return arrive(rig, Start::Join);
        case Situation::Fetching:
            rig.hold_all_shards();
            return join(rig);
        case Situation::Shardless:
            join(rig);
            (void)rig.give_chunks();
            ASSERT_FALSE(rig.session.transfers().fetching_state());
            return;
        case Situation::Waiting:
            rig.other(kPartner);
            arrive(rig, Start::Found);
            ASSERT_EQ(rig.see().notes.size(), 1U);
            return;
        case Situation::Training:
            return train(rig);
        case Situation::Draining:
            train(rig);
            (void)rig.mix_due();
            ASSERT_TRUE(rig.averager.initiating());
            return diverge(rig);
        case Situation::Replacing:
            train(rig);
            return diverge(rig);
        case Situation::Settling:
            settle(rig);
            (void)rig.timeout();
            ASSERT_TRUE(rig.averager.initiating());
            return;
        case Situation::Evaluating:
            return evaluate(rig);
        case Situation::Lingering:
            return linger(rig);
        case Situation::Done:
            return finish(rig);
        case Situation::Stopped:
            join(rig);
            (void)rig.stop();
            return;
    }
}

// What happens.

inline Given view(SessionRig& rig, Event event) {
    if (event == Event::ViewWithNewcomer) rig.other(kNewcomer);
    if (event == Event::ViewWithoutPartner) rig.forget(kPartner);
    if (event == Event::ViewOfLaterRound) {
        auto& record = rig.other(kPartner, PeerState::Training);
        record.round = 1;
        record.ending = false;
    }
    if (event == Event::ViewOfTheEnd) rig.other(kPartner, PeerState::Settling).ending = true;
    rig.now += std::chrono::milliseconds(100);
    return rig.see();
}

inline Given tell(SessionRig& rig, Event event) {
    auto& report = rig.report;
    if (event == Event::ReportWithNews) report.accuracy = 0.5;
    if (event == Event::ReportWithoutNews) report.steps += 1;
    if (event == Event::ReportDiverged) report.diverged = true;
    if (event == Event::ReportFault) report.fault = fail(FaultCode::Io, "no memory");
    if (event == Event::ReportOfOldEvaluation) report.evaluation = 0;
    if (event == Event::ReportOfEvaluation) report.evaluation = 1;
    report.evaluated.result = {0.0, 8, 8};
    return rig.tell();
}

inline Given frame(SessionRig& rig, Event event) {
    const auto& own = rig.session.roster().duties().train;
    const ShardId shard = own.empty() ? rig.sharded.manifest.shards[0].id : own[0];
    Bytes damaged = rig.piece(shard);
    damaged.back() ^= std::byte{1};
    switch (event) {
        case Event::InfoRequest:
            return rig.frame(kNewcomer, FrameType::StateInfoRequest);
        case Event::InfoRequestMalformed:
            return rig.frame(kNewcomer, FrameType::StateInfoRequest, Bytes(9));
        case Event::ChunkRequest:
            return rig.frame(kNewcomer, FrameType::StateRequest, chunk_request(0));
        case Event::ChunkRequestMalformed:
            return rig.frame(kNewcomer, FrameType::StateRequest, chunk_request(3));
        case Event::ShardRequest:
            return rig.frame(kNewcomer, FrameType::ShardRequest, shard_request(shard));
        case Event::ShardRequestMalformed:
            return rig.frame(kNewcomer, FrameType::ShardRequest, Bytes(35));
        case Event::Info:
            return rig.frame(kPartner, FrameType::StateInfo, info());
        case Event::InfoMalformed:
            return rig.frame(kPartner, FrameType::StateInfo, Bytes(40));
        case Event::Chunk:
            return rig.frame(kPartner, FrameType::StateChunk, chunk(0));
        case Event::ChunkMalformed:
            return rig.frame(kPartner, FrameType::StateChunk, chunk(0, 3));
        case Event::Piece:
            return rig.frame(kPartner, FrameType::ShardPiece, rig.piece(shard));
        case Event::PieceDamaged:
            return rig.frame(kPartner, FrameType::ShardPiece, damaged);
        default:
            return rig.frame(kPartner, FrameType::ShardPiece, Bytes(39));
    }
}

inline Given happen(SessionRig& rig, Event event) {
    if (event <= Event::ViewOfTheEnd) return view(rig, event);
    if (event <= Event::ReportOfEvaluation) return tell(rig, event);
    if (event >= Event::InfoRequest && event <= Event::PieceMalformed) return frame(rig, event);
    using gossip::Misdeed;
    using gossip::Outcome;
    switch (event) {
        case Event::Committed:
            return rig.exchange(committed(0.5));
        case Event::OwnValuesAreBad:
            return rig.exchange(ended(Outcome::Violated, Misdeed::Own));
        case Event::PartnerRejectsUs:
            return rig.exchange(ended(Outcome::Violated));
        case Event::PartnerBroke:
            return rig.exchange(ended(Outcome::Violated, Misdeed::Norm));
        case Event::MixDue:
            return rig.mix_due();
        case Event::Broken:
            return rig.broken(kPartner);
        case Event::MemberUp:
            return rig.up();
        case Event::MemberDown:
            return rig.down(kPartner);
        case Event::TimeoutEarly:
            return rig.timeout();
        case Event::TimeoutLate:
            rig.now += ShardTransfer::kPieceTimeout;
            return rig.timeout();
        default:
            (void)rig.stop();
            return rig.stop();
    }
}

}  // namespace starling::peer
