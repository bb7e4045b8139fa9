#pragma once

// One session with all that it decides about, and nothing around it: an averager, a shard store and
// parameters that are real and small, views made by hand, and a clock that the test moves. After
// each call the rig takes out everything that the session gives, and checks what must always hold.

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "gossip/codec.hpp"
#include "peer/averaging/averaging_options.hpp"
#include "peer/session/session.hpp"
#include "tests/unit/peer/session/support/small_swarm.hpp"

namespace starling::peer {

/// All that a session gave in one call or in a time.
struct Given {
    std::vector<OutgoingFrame> frames;
    std::vector<TrainerOrder> orders;
    std::vector<Record> records;
    std::vector<std::string> notes;
    std::vector<gossip::Outgoing> exchange_frames;
    std::optional<SessionOutcome> outcome;
    bool release = false;
    std::optional<Instant> mix_from;
    std::optional<double> rate_factor;
    std::uint64_t opened = 0;  ///< number of exchanges that we have asked for

    void add(Given other) {
        const auto append = [](auto& to, auto& from) {
            to.insert(to.end(), from.begin(), from.end());
        };
        append(frames, other.frames);
        append(orders, other.orders);
        append(records, other.records);
        append(notes, other.notes);
        append(exchange_frames, other.exchange_frames);
        if (other.outcome) outcome = other.outcome;
        release = release || other.release;
        if (other.mix_from) mix_from = other.mix_from;
        if (other.rate_factor) rate_factor = other.rate_factor;
        opened += other.opened;
    }

    [[nodiscard]] std::size_t count(FrameType type) const {
        std::size_t count = 0;
        for (const auto& frame : frames) count += frame.type == type ? 1 : 0;
        return count;
    }
};

class SessionRig {
public:
    struct Setup {
        std::function<void(Descriptor&)> change;
        std::size_t train_shards = 8;
        std::size_t norms = 0;  ///< channels of batch norm
        std::size_t test_shards = 2;
        std::uint64_t whole_split = data::kWholeSplitBytes;  ///< larger ones are judged in shares
    };

    SessionRig() : SessionRig(Setup{}) {}

    explicit SessionRig(const Setup& setup)
        : sharded(tiny_shards(setup.train_shards, setup.test_shards)),
          descriptor(describe(sharded.manifest, setup)),
          averager(*averager_config(descriptor), kSelf, descriptor.layout, floats, Rng(7)),
          shards(descriptor.manifest, &sha256),
          session(kSelf, descriptor, parts(setup)) {}

    // What the world does. Each function returns what the session gave in answer.

    Given begin(Start start, const Session::Progress& before = {}) {
        if (start == Start::Found) hold_all_shards();
        report.steps = before.steps;
        report.samples = before.samples;
        return after([&] {
            session.begin(now, start, before);
            begun_ = true;
        });
    }

    Given see() {
        return after([&] { session.handle_view(now, view); });
    }

    Given tell() {
        return after([&] { session.handle_report(now, report); });
    }

    Given tell_prepared() {
        report.prepared = true;
        return tell();
    }

    Given exchange(const gossip::ExchangeEvent& event, Duration cost = {}) {
        return after([&] { session.handle_exchange(now, event, cost); });
    }

    Given mix_due(std::uint64_t round = 1) {
        return after([&] { session.handle_mix_due(now, round); });
    }

    Given frame(
        const PeerId& from, FrameType type, const Bytes& payload = {}, bool overloaded = false
    ) {
        return after([&] { session.handle_frame(now, from, type, payload, overloaded); });
    }

    Given broken(const PeerId& partner) {
        return after([&] { session.handle_broken(now, partner); });
    }

    Given up() {
        return after([&] { session.member_up(now); });
    }

    Given down(const PeerId& peer) {
        return after([&] { session.member_down(now, peer); });
    }

    Given timeout() {
        return after([&] { session.handle_timeout(now); });
    }

    Given stop() {
        return after([&] {
            session.stop();
            over_ = true;
        });
    }

    /// Moves the clock, and wakes the session and the averager whenever they ask for it.
    Given pass(Duration time) {
        const Instant until = now + time;
        Given all;
        for (int wakes = 0;; ++wakes) {
            EXPECT_LT(wakes, 20'000) << "the timer spins";
            auto next = session.poll_timeout();
            if (const auto at = averager.poll_timeout(); at && next) next = std::min(*next, *at);
            if (!next || *next > until || wakes >= 20'000) break;
            now = std::max(now, *next);
            all.add(after([&] {
                averager.handle_timeout(now);
                session.handle_timeout(now);
                const auto due = session.view_due();
                if (due && *due <= now) session.handle_view(now, view);
            }));
        }
        now = until;
        return all;
    }

    /// A partner asks the averager for an exchange. Its answer stays where it is.
    void ask_to_average(const PeerId& partner, gossip::Rule rule) {
        gossip::Open open;
        open.id = ExchangeId{++last_asked_};
        open.layout = descriptor.layout;
        open.chunk_count = static_cast<std::uint32_t>(floats.chunk_count());
        open.rule = rule;
        const auto frame = gossip::encode(gossip::Message(open));
        EXPECT_TRUE(averager.handle_frame(now, partner, frame).has_value());
    }

    /// A partner that has the same parameters averages with us.
    void average_with(const PeerId& partner) {
        FewFloats same = floats;
        gossip::Averager other(
            *averager_config(descriptor), partner, descriptor.layout, same, Rng(9)
        );
        other.peer_up(now, kSelf);
        EXPECT_TRUE(other.begin_exchange(now));
        for (bool again = true; again;) {
            again = false;
            while (auto frame = other.poll_transmit()) {
                again = averager.handle_frame(now, partner, frame->frame).has_value();
            }
            while (auto frame = averager.poll_transmit()) {
                if (frame->to != partner) continue;
                again = other.handle_frame(now, kSelf, frame->frame).has_value();
            }
        }
        (void)after([] {});
    }

    /// Shows the session the view at once, as often as it asks to come back at once.
    Given settle_down() {
        Given all = see();
        for (int i = 0; i < 8 && session.view_due() == now; ++i) all.add(see());
        EXPECT_NE(session.view_due(), now) << "it asks for one view after the other";
        return all;
    }

    // What the view shows.

    /// Replaces what is known of a peer, or adds it.
    Record& other(const PeerId& id, PeerState state = PeerState::Training) {
        auto& others = view.others;
        auto at = std::find_if(others.begin(), others.end(), [&](const auto& seen) {
            return seen.id >= id;
        });
        if (at == others.end() || at->id != id) {
            at = others.insert(at, SeenPeer{});
            at->id = id;
            at->record.emplace();
            ++view.live;
        }
        at->record->state = state;
        at->record->held = static_cast<std::uint16_t>(sharded.shards.size());
        return *at->record;
    }

    void forget(const PeerId& id) {
        view.live -= std::erase_if(view.others, [&](const auto& seen) { return seen.id == id; });
    }

    // Data and parameters.

    void hold(std::size_t shard) { STARLING_CHECK(shards.put(sharded.shards[shard]).has_value()); }

    void hold_all_shards() {
        for (std::size_t i = 0; i < sharded.shards.size(); ++i) hold(i);
    }

    [[nodiscard]] std::size_t index_of(const ShardId& id) const {
        for (std::size_t i = 0; i < sharded.shards.size(); ++i) {
            if (sharded.manifest.shards[i].id == id) return i;
        }
        return sharded.shards.size();
    }

    [[nodiscard]] Bytes piece(const ShardId& shard) const {
        return shard_piece(shard, sharded.shards.at(index_of(shard)));
    }

    /// Gives all chunks of the parameters, as a donor that has promised to.
    Given give_chunks(const PeerId& donor = kPartner) {
        Given all;
        for (std::uint32_t i = 0; i < floats.chunk_count(); ++i) {
            all.add(frame(donor, FrameType::StateChunk, chunk(i)));
        }
        return all;
    }

    /// Returns what a newcomer is told that asks whether we give our parameters.
    bool is_donor() {
        const auto given = frame(kNewcomer, FrameType::StateInfoRequest);
        return given.count(FrameType::StateInfo) == 1 && ready(given.frames.back());
    }

    static bool ready(const OutgoingFrame& info) { return info.payload.at(40) != std::byte{0}; }

    data::Sharded sharded;
    Descriptor descriptor;
    FewFloats floats;
    gossip::Averager averager;
    data::ShardStore shards;
    Session session;
    SwarmView view;
    TrainerReport report;
    bool trainer_obeys = true;  ///< at once; else a step runs that does not end
    Instant now{std::chrono::seconds(1000)};

private:
    Session::Parts parts(const Setup& setup) {
        Session::Parts made{averager, shards, floats};
        made.norms = setup.norms;
        made.whole_split = setup.whole_split;
        return made;
    }

    static Descriptor describe(const data::Manifest& manifest, const Setup& setup) {
        Descriptor descriptor;
        descriptor.until = {UntilKind::Accuracy, 0.9};
        descriptor.manifest = manifest;
        if (setup.change) setup.change(descriptor);
        return descriptor;
    }

    template <class Call>
    Given after(const Call& call) {
        const auto opened = averager.counters().started;
        const bool was_over = over_;
        call();
        Given given;
        drain(given);
        given.opened = averager.counters().started - opened;
        check(given, was_over);
        return given;
    }

    /// Takes out everything, as a driver does: the session, then the averager, and again.
    void drain(Given& given) {
        for (bool again = true; again;) {
            again = false;
            while (session.serve([](const PeerId&) { return true; })) {
            }
            while (auto frame = session.poll_transmit()) given.frames.push_back(std::move(*frame));
            if (auto order = session.poll_order()) {
                again = obey(*order) || again;
                given.orders.push_back(std::move(*order));
            }
            if (session.poll_release()) given.release = true;
            if (const auto from = session.poll_mix_from()) given.mix_from = from;
            if (const auto factor = session.poll_rate_factor()) given.rate_factor = factor;
            while (auto note = session.poll_note()) given.notes.push_back(std::move(*note));
            if (const auto record = session.poll_record()) given.records.push_back(*record);
            if (const auto outcome = session.poll_outcome()) {
                EXPECT_FALSE(over_) << "a session ends once";
                given.outcome = outcome;
                over_ = true;
            }
            EXPECT_FALSE(session.poll_order()) << "one order is pending at most";
            EXPECT_FALSE(session.poll_record()) << "one record is pending at most";
            while (auto frame = averager.poll_transmit()) {
                given.exchange_frames.push_back(std::move(*frame));
            }
            while (const auto event = averager.poll_event()) {
                session.handle_exchange(now, *event);
                again = true;
            }
        }
    }

    /// Acknowledges the pause before a recovery, as a trainer does between two steps. Returns
    /// whether the session may have something to do.
    bool obey(const TrainerOrder& order) {
        if (!trainer_obeys) return false;
        report.obeyed = order.number;
        if (!session.recovery().running()) return false;
        auto told = report;
        told.diverged = false;
        session.handle_report(now, told);
        return true;
    }

    /// What must hold after every call.
    void check(const Given& given, bool was_over) {
        const bool runs = begun_ && !over_;
        EXPECT_EQ(session.poll_timeout().has_value(), runs);
        EXPECT_EQ(session.view_due().has_value(), runs);
        EXPECT_LE(session.poll_timeout(), session.view_due());
        const auto state = session.state();
        EXPECT_TRUE(may_follow(last_state_, state))
            << to_string(last_state_) << " to " << to_string(state);
        const bool arrives = state == PeerState::Joining;
        const bool has = session.has_parameters();
        EXPECT_EQ(has, !arrives && !session.recovery().running());
        // With sync, an averager whose partner does not come asks another one by itself.
        EXPECT_TRUE(has || given.opened == 0 || descriptor.sync);
        const bool exchanging =
            averager.initiating() || averager.responding() || averager.in_round();
        EXPECT_FALSE(exchanging && session.transfers().fetching_state());
        for (const auto& frame : given.frames) {
            const bool invites = frame.type == FrameType::StateInfo && ready(frame);
            EXPECT_TRUE(has || !invites);
        }
        EXPECT_TRUE(!over_ || (given.frames.empty() && given.orders.empty()));
        EXPECT_TRUE(!was_over || (given.records.empty() && !given.outcome && given.opened == 0));
        for (const auto& record : given.records) EXPECT_EQ(record.state, state);
        for (const auto& order : given.orders) check_order(order);
        last_state_ = state;
    }

    void check_order(const TrainerOrder& order) {
        const auto state = session.state();
        const bool trains = state == PeerState::Training && session.has_parameters();
        EXPECT_TRUE(trains || order.phase != TrainerPhase::Train);
        const bool evaluates = state == PeerState::Evaluating;
        EXPECT_TRUE(evaluates || order.phase != TrainerPhase::Evaluate);
        EXPECT_NE(order.phase, TrainerPhase::Stop) << "only a driver stops the trainer";
        EXPECT_EQ(order.shards, session.roster().duties().train);
        EXPECT_GE(order.shards_version, last_order_.shards_version);
        EXPECT_GE(order.evaluation, last_order_.evaluation);
        EXPECT_EQ(order.restarts, session.recovery().done());
        const bool same_version = order.shards_version == last_order_.shards_version;
        EXPECT_TRUE(order.shards == last_order_.shards || !same_version);
        last_order_ = order;
    }

    static bool may_follow(PeerState before, PeerState state) {
        using S = PeerState;
        // Nobody stays behind in an older round, so a peer that comes late, or that the news of a
        // new round and of its end reach together, settles at once.
        static const std::map<S, std::vector<S>> kNext = {
            {S::Joining, {S::Training, S::Settling}},
            {S::Training, {S::Settling}},
            {S::Settling, {S::Evaluating, S::Training}},
            {S::Evaluating, {S::Lingering, S::Training, S::Settling}},
            {S::Lingering, {S::Done, S::Training, S::Settling}},
            {S::Done, {}},
        };
        const auto& next = kNext.at(before);
        return state == before || std::find(next.begin(), next.end(), state) != next.end();
    }

    std::uint64_t last_asked_ = 0;
    bool begun_ = false;
    bool over_ = false;
    PeerState last_state_ = PeerState::Joining;
    TrainerOrder last_order_;
};

}  // namespace starling::peer
