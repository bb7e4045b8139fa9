// Goal: whatever happens in whatever situation, a session keeps its promises, and does what the
// table says. Method: each situation is reached anew for each event, in a swarm as users have
// it and in one that keeps step (sync). The rig checks the promises after each call. The table names
// all reactions of the first swarm.

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/unit/peer/session/support/situations.hpp"

namespace starling::peer {
namespace {

using std::chrono::seconds;

// What the session does, in words.

std::string word(const OutgoingFrame& frame) {
    switch (frame.type) {
        case FrameType::StateInfoRequest:
            return "asks-donor";
        case FrameType::StateInfo:
            return SessionRig::ready(frame) ? "says-ready" : "says-not-ready";
        case FrameType::StateRequest:
            return "asks-chunk";
        case FrameType::StateChunk:
            return frame.payload.size() > 5 ? "gives-chunk" : "says-busy";
        case FrameType::ShardRequest:
            return "asks-shard";
        case FrameType::ShardPiece:
            return frame.payload.size() > 40 ? "gives-shard" : "has-no-shard";
        default:
            return "sends-what-is-not-its-own";
    }
}

std::string word(const TrainerOrder& order) {
    switch (order.phase) {
        case TrainerPhase::Pause:
            return "order=pause";
        case TrainerPhase::Train:
            return "order=train";
        case TrainerPhase::Evaluate:
            return "order=evaluate";
        case TrainerPhase::Stop:
            return "order=stop";
    }
    return {};
}

/// Returns what the session gave, each word once, and how it has changed.
std::string in_words(const SessionRig& rig, const Given& given, bool was_ghost) {
    std::vector<std::string> words;
    for (const auto& record : given.records) {
        words.push_back("record=" + std::string(to_string(record.state)));
    }
    for (const auto& order : given.orders) words.push_back(word(order));
    for (const auto& frame : given.frames) words.push_back(word(frame));
    if (!given.notes.empty()) words.emplace_back("note");
    if (given.opened > 0) words.emplace_back("exchange");
    if (!was_ghost && rig.averager.ghost()) words.emplace_back("ghost");
    if (given.outcome) {
        const auto& fault = given.outcome->fault;
        words.push_back(fault ? "fails=" + std::string(to_string(fault->code)) : "ends");
    }
    if (rig.session.view_due() == rig.now) words.emplace_back("view");
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::string text;
    for (const auto& each : words) text += (text.empty() ? "" : " ") + each;
    return text;
}

SessionRig::Setup setup(Situation situation, bool sync) {
    return {[=](Descriptor& descriptor) {
        descriptor.sync = sync;
        if (situation == Situation::Waiting) descriptor.wait_for = 3;
    }};
}

/// In these situations the session does this. A row without situations is about all others.
struct Row {
    Event event;
    std::vector<Situation> situations;
    const char* reaction;
};

using S = Situation;

using E = Event;

const std::vector<S> kOver = {S::BeforeBegin, S::Done, S::Stopped};
const std::vector<S> kLacking = {S::Alone, S::Fetching, S::Shardless, S::Draining, S::Replacing};
const std::vector<S> kMixing = {S::Waiting, S::Training, S::Settling};

const std::vector<Row> kTable = {
    {E::SameView, {}, ""},

    {E::ViewWithNewcomer, {S::Alone}, "order=pause asks-shard asks-donor"},
    // Who trains and has other shards now says at once where it begins with them.
    {E::ViewWithNewcomer, {S::Fetching}, "order=pause asks-donor"},
    {E::ViewWithNewcomer, {S::Replacing}, "record=training order=pause asks-donor"},
    {E::ViewWithNewcomer, {S::Shardless, S::Settling, S::Lingering}, "order=pause"},
    {E::ViewWithNewcomer, {S::Draining}, "record=training order=pause"},
    {E::ViewWithNewcomer, {S::Waiting, S::Training}, "record=training order=train"},
    {E::ViewWithNewcomer, {S::Evaluating}, "order=evaluate"},
    {E::ViewWithNewcomer, kOver, ""},

    {E::ViewWithoutPartner, {S::Fetching, S::Shardless}, "order=pause"},
    {E::ViewWithoutPartner, {S::Draining, S::Replacing}, "record=training order=pause"},
    {E::ViewWithoutPartner, {S::Waiting}, "record=training order=pause note"},
    {E::ViewWithoutPartner, {S::Training}, "record=training order=train"},
    {E::ViewWithoutPartner, {S::Settling}, "record=evaluating order=evaluate"},
    {E::ViewWithoutPartner, {S::Evaluating}, "order=evaluate"},
    {E::ViewWithoutPartner, {S::Lingering}, "record=done ends"},
    {E::ViewWithoutPartner, {S::BeforeBegin, S::Alone, S::Done, S::Stopped}, ""},

    {E::ViewOfLaterRound, {S::Alone}, "order=pause asks-shard asks-donor"},
    {E::ViewOfLaterRound,
     {S::Settling, S::Evaluating, S::Lingering},
     "record=training order=train"},
    {E::ViewOfLaterRound, {}, ""},

    {E::ViewOfTheEnd, {S::Alone}, "order=pause asks-shard asks-donor"},
    {E::ViewOfTheEnd, {S::Waiting, S::Training}, "record=settling order=pause"},
    {E::ViewOfTheEnd, {}, ""},

    {E::ReportWithNews, kOver, ""},
    {E::ReportWithNews, {}, "view"},
    {E::ReportWithoutNews, {}, ""},
    {E::ReportDiverged, kMixing, "order=pause note ghost view"},
    {E::ReportDiverged, {}, ""},
    {E::ReportFault, kOver, ""},
    {E::ReportFault, {}, "fails=Io"},
    {E::ReportOfOldEvaluation, {S::Lingering}, "view"},
    {E::ReportOfOldEvaluation, {}, ""},
    {E::ReportOfEvaluation, {S::BeforeBegin, S::Lingering, S::Done, S::Stopped}, ""},
    {E::ReportOfEvaluation, {}, "view"},

    {E::Committed, {}, ""},
    {E::OwnValuesAreBad, kMixing, "order=pause note ghost view"},
    {E::OwnValuesAreBad, {}, ""},
    {E::PartnerRejectsUs, kMixing, "order=pause note ghost view"},
    {E::PartnerRejectsUs, {}, ""},
    {E::PartnerBroke, {}, ""},
    {E::MixDue, {S::Waiting, S::Training}, "exchange"},
    {E::MixDue, {}, ""},

    {E::InfoRequest, kLacking, "says-not-ready"},
    {E::InfoRequest, kOver, ""},
    {E::InfoRequest, {}, "says-ready"},
    {E::InfoRequestMalformed, kLacking, "says-not-ready"},
    {E::InfoRequestMalformed, kOver, ""},
    {E::InfoRequestMalformed, {}, "says-ready"},
    {E::ChunkRequest, kLacking, "says-busy"},
    {E::ChunkRequest, kOver, ""},
    {E::ChunkRequest, {}, "gives-chunk"},
    {E::ChunkRequestMalformed, {}, ""},
    {E::ShardRequest, {S::Alone, S::Shardless}, "has-no-shard"},
    {E::ShardRequest, kOver, ""},
    {E::ShardRequest, {}, "gives-shard"},
    {E::ShardRequestMalformed, {}, ""},

    {E::Info, {S::Replacing}, "asks-chunk"},
    {E::Info, {}, ""},
    {E::InfoMalformed, {}, ""},
    {E::Chunk, {}, ""},
    {E::ChunkMalformed, {}, ""},
    {E::Piece, {S::Shardless}, "order=pause asks-shard view"},
    {E::Piece, {}, ""},
    {E::PieceDamaged, {S::Shardless}, "asks-shard"},
    {E::PieceDamaged, {}, ""},
    {E::PieceMalformed, {}, ""},
    {E::Broken, {S::Shardless}, "asks-shard"},
    {E::Broken, {}, ""},

    {E::MemberUp, kOver, ""},
    {E::MemberUp, {}, "view"},
    {E::MemberDown, kOver, ""},
    {E::MemberDown, {S::Shardless}, "asks-shard view"},
    {E::MemberDown, {}, "view"},
    {E::TimeoutEarly, {}, ""},
    {E::TimeoutLate, {S::Shardless}, "asks-shard"},
    {E::TimeoutLate, {}, ""},
    {E::StopTwice, {}, ""},
};

/// Returns what the table says about a pair. Fails where it says nothing, or says it twice.
std::string stated(Situation situation, Event event) {
    std::vector<const char*> named;
    std::vector<const char*> others;
    for (const auto& row : kTable) {
        if (row.event != event) continue;
        const auto& all = row.situations;
        if (all.empty()) others.push_back(row.reaction);
        if (std::find(all.begin(), all.end(), situation) != all.end()) {
            named.push_back(row.reaction);
        }
    }
    const auto& rows = named.empty() ? others : named;
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? "" : rows[0];
}

/// Calls `test` with each event in each situation, both as new as the first.
template <class Test>
void for_each_pair(bool sync, const Test& test) {
    for (std::size_t e = 0; e <= static_cast<std::size_t>(Event::StopTwice); ++e) {
        for (std::size_t s = 0; s < kSituations.size(); ++s) {
            SCOPED_TRACE(std::string("event ") + std::to_string(e) + " in " + kSituations.at(s));
            SessionRig rig(setup(Situation(s), sync));
            reach(rig, Situation(s));
            if (!::testing::Test::HasFatalFailure()) test(rig, Situation(s), Event(e));
        }
    }
}

TEST(SessionTable, EachSituationAnswersEachEventAsStated) {
    for_each_pair(false, [](SessionRig& rig, Situation situation, Event event) {
        const bool ghost = rig.averager.ghost();
        const auto given = happen(rig, event);
        EXPECT_EQ(in_words(rig, given, ghost), stated(situation, event));
    });
}

TEST(SessionTable, PromisesHoldForSomeTimeAfterEachEvent) {
    for (const bool sync : {false, true}) {
        for_each_pair(sync, [](SessionRig& rig, Situation, Event event) {
            (void)happen(rig, event);
            (void)rig.pass(seconds(15));
            (void)rig.stop();
            (void)rig.pass(seconds(1));
        });
    }
}

}  // namespace
}  // namespace starling::peer
