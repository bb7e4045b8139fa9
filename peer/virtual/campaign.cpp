#include "peer/virtual/campaign.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/rng.hpp"
#include "peer/virtual/detection.hpp"
#include "peer/virtual/session_log.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

namespace {

constexpr std::uint64_t kCampaignPurpose = 0x63616d70;
constexpr Duration kFormationMax = std::chrono::minutes(5);
constexpr Duration kJoinEvery = std::chrono::milliseconds(20);
constexpr Duration kWholeMax = std::chrono::minutes(1);
constexpr Duration kHealMax = std::chrono::minutes(5);
constexpr Duration kLook = std::chrono::milliseconds(100);
constexpr Duration kRestartAfter = std::chrono::minutes(1);
/// A peer that is only restarted, or that has ended with a fault, is away for so long.
constexpr Duration kAwayFor = std::chrono::seconds(5);
/// The first records of all have spread by then.
constexpr Duration kRecordsSpread = std::chrono::seconds(30);
constexpr Duration kRecordsSpreadEach = std::chrono::milliseconds(100);
/// No crash comes so long before a partition, so that only its healing is measured.
constexpr Duration kCalmBefore = std::chrono::seconds(30);
/// Number of points of the curve of the consensus error.
constexpr std::int64_t kSamples = 20;
constexpr Duration kReportEvery = std::chrono::seconds(1);

Quantiles quantiles(std::vector<double> values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const auto at = [&](double q) {
        const auto rank = std::ceil(q * static_cast<double>(values.size())) - 1.0;
        return values[static_cast<std::size_t>(std::max(rank, 0.0))];
    };
    return {values.size(), at(0.5), at(0.99), values.back()};
}

/// Adds up time and bytes of exchanges.
class Exchanges final : public Observer {
public:
    explicit Exchanges(std::size_t peers) : by_peer(peers) {}

    void on_exchange(Instant, NodeIndex at, const gossip::ExchangeEvent& event) override {
        using gossip::Outcome;
        if (event.outcome == Outcome::Busy) ++busy;
        const bool failed = event.outcome == Outcome::TimedOut ||
                            event.outcome == Outcome::Disconnected ||
                            event.outcome == Outcome::Violated;
        if (failed) ++aborted;
        if (event.outcome == Outcome::Committed) ++by_peer[at];
        if (!event.initiator || event.outcome != Outcome::Committed) return;
        bytes += event.bytes;
        seconds.push_back(to_seconds(event.duration));
    }

    std::uint64_t busy = 0;
    std::uint64_t aborted = 0;
    std::uint64_t bytes = 0;
    std::vector<double> seconds;
    std::vector<std::uint64_t> by_peer;
};

SwarmOptions swarm_options(const CampaignOptions& options) {
    SwarmOptions swarm;
    swarm.peers = options.peers;
    swarm.seed = options.seed;
    swarm.swim = options.swim;
    swarm.network = options.network;
    swarm.averaging = options.averaging;
    swarm.training = options.training;
    swarm.records = options.records;
    return swarm;
}

class Campaign {
public:
    explicit Campaign(const CampaignOptions& options)
        : options_(options),
          swarm_(swarm_options(options)),
          detection_(swarm_),
          exchanges_(options.peers),
          rng_(Rng(options.seed).fork(kCampaignPurpose)),
          faults_(swarm_, options.faults, rng_.fork(1)) {
        swarm_.observe(detection_);
        swarm_.observe(exchanges_);
        if (options.training) swarm_.observe(sessions_.emplace(swarm_));
        // We measure exchanges only after the swarm has formed. Whole peers decide for themselves.
        if (!options.training) swarm_.quiesce();
    }

    CampaignSummary run();

private:
    [[nodiscard]] std::optional<double> wait_until_whole(Duration longest);
    void report();
    void run_with_crashes(Instant until, Instant last_crash);
    void take_one(Duration away);
    void kill_share();
    void restart_due();
    [[nodiscard]] bool all_ended() const;
    void partition();
    void summarize(Instant begin, const std::vector<Traffic>& before);
    void sample_due();
    void summarize_averaging(Instant begin);
    void summarize_training();

    CampaignOptions options_;
    Swarm swarm_;
    Detection detection_;
    Exchanges exchanges_;
    std::optional<SessionLog> sessions_;  ///< only with whole peers
    Rng rng_;
    CampaignFaults faults_;
    Instant begin_;
    Instant next_report_;
    std::size_t started_ = 0;
    bool formed_ = false;
    bool killed_ = false;
    Instant next_sample_ = Instant::max();
    std::multimap<Instant, NodeIndex> restarts_;
    CampaignSummary summary_;
};

CampaignSummary Campaign::run() {
    swarm_.start_all(
        kJoinEvery * static_cast<std::int64_t>(options_.peers),
        [this](std::size_t started) {
            started_ = started;
            report();
        }
    );
    summary_.formation_seconds = wait_until_whole(kFormationMax);
    if (summary_.formation_seconds) {
        *summary_.formation_seconds = to_seconds(swarm_.now().time_since_epoch());
    }
    // The first records of all are about. What they cost belongs to the joins.
    if (options_.records && !options_.training) {
        const auto peers = static_cast<std::int64_t>(options_.peers);
        swarm_.run_for(kRecordsSpread + kRecordsSpreadEach * peers);
    }
    const auto begin = swarm_.now();
    const auto end = begin + options_.duration;
    begin_ = begin;
    formed_ = true;
    faults_.begin();
    if (options_.faults.cuts()) detection_.disturb(begin);
    if (options_.averaging) {
        summary_.averaging.emplace();
        next_sample_ = begin;
        sample_due();
        swarm_.resume_mixing();
    }
    std::vector<Traffic> before;
    for (NodeIndex i = 0; i < swarm_.size(); ++i) before.push_back(swarm_.network().traffic(i));
    if (options_.partition > Duration::zero()) {
        const auto cut = begin + options_.duration / 3;
        run_with_crashes(cut, cut - kCalmBefore);
        partition();
    }
    run_with_crashes(end, end);
    if (options_.averaging) summarize_averaging(begin);
    if (sessions_) summarize_training();
    summarize(begin, before);
    return summary_;
}

void Campaign::report() {
    if (!options_.progress || swarm_.now() < next_report_) return;
    next_report_ = swarm_.now() + kReportEvery;
    const double seconds = to_seconds(swarm_.now().time_since_epoch());
    options_.progress({formed_, started_, seconds, swarm_.event_count()});
}

std::optional<double> Campaign::wait_until_whole(Duration longest) {
    const auto begin = swarm_.now();
    while (!swarm_.whole()) {
        if (swarm_.now() - begin >= longest) return std::nullopt;
        swarm_.run_for(kLook);
        restart_due();
        report();
    }
    return to_seconds(swarm_.now() - begin);
}

void Campaign::run_with_crashes(Instant until, Instant last_crash) {
    const auto draw = [&](double per_minute) {
        if (per_minute <= 0.0) return Instant::max();
        return swarm_.now() + from_seconds(rng_.exponential(60.0 / per_minute));
    };
    auto next_crash = draw(options_.crashes_per_minute);
    auto next_restart = draw(options_.restarts_per_minute);
    while (swarm_.now() < until && !all_ended()) {
        report();
        // The swarm stops every virtual second for a report. This does not change the run.
        const auto soon = swarm_.now() + kReportEvery;
        auto next = std::min({until, next_crash, next_restart, next_sample_, soon});
        if (!restarts_.empty()) next = std::min(next, restarts_.begin()->first);
        next = std::min(next, std::max(swarm_.now(), faults_.next()));
        const bool kills = options_.kill_at && !killed_;
        if (kills) next = std::min(next, begin_ + *options_.kill_at);
        swarm_.run_until(next);
        if (kills && swarm_.now() >= begin_ + *options_.kill_at) kill_share();
        if (faults_.carry_out()) detection_.disturb(swarm_.now());
        restart_due();
        sample_due();
        if (swarm_.now() >= next_crash) {
            if (swarm_.now() < last_crash) take_one(kRestartAfter);
            next_crash = draw(options_.crashes_per_minute);
        }
        if (swarm_.now() >= next_restart) {
            if (swarm_.now() < last_crash) take_one(kAwayFor);
            next_restart = draw(options_.restarts_per_minute);
        }
    }
}

bool Campaign::all_ended() const {
    return sessions_ && sessions_->finished() == swarm_.size() && swarm_.running().empty();
}

void Campaign::sample_due() {
    if (swarm_.now() < next_sample_) return;
    summary_.averaging->error.emplace_back(
        to_seconds(swarm_.now() - begin_), swarm_.consensus_error()
    );
    next_sample_ += options_.duration / kSamples;
}

void Campaign::summarize_averaging(Instant begin) {
    auto& out = *summary_.averaging;
    const auto& averaging = *options_.averaging;
    out.rule = averaging.config.mix.to_string();
    out.encoding = gossip::to_string(averaging.config.encoding);
    out.parameters = averaging.floats->chunks * averaging.floats->elements;
    out.exchanges = exchanges_.seconds.size();
    out.exchanges_by_peer = exchanges_.by_peer;
    out.aborted = exchanges_.aborted;
    out.busy = exchanges_.busy;
    for (const auto node : swarm_.running()) {
        out.promotions += swarm_.averager(node).counters().promotions;
    }
    if (out.exchanges > 0) {
        out.bytes_per_exchange =
            static_cast<double>(exchanges_.bytes) / static_cast<double>(out.exchanges);
    }
    out.exchange_time = quantiles(std::move(exchanges_.seconds));
    const double peer_seconds =
        std::max(1e-9, to_seconds(swarm_.now() - begin)) * static_cast<double>(options_.peers);
    out.waiting_share = to_seconds(swarm_.waited()) / peer_seconds;
}

/// Crashes a peer, which returns after so long.
void Campaign::take_one(Duration away) {
    const auto running = swarm_.running();
    // Without survivors there is nothing to measure.
    if (running.size() <= 2) return;
    if (away == kAwayFor) ++summary_.restarts;
    const auto victim = rng_.pick(std::span<const NodeIndex>(running));
    swarm_.crash(victim, rng_.chance(0.5) ? Power::Stopped : Power::Dark);
    restarts_.emplace(swarm_.now() + away, victim);
}

/// Half of the victims are killed, the machines of the others go dark. None comes back.
void Campaign::kill_share() {
    killed_ = true;
    auto victims = swarm_.running();
    rng_.shuffle(std::span(victims));
    const auto share = options_.kill * static_cast<double>(victims.size());
    victims.resize(std::min(static_cast<std::size_t>(share), victims.size() - 1));
    for (std::size_t i = 0; i < victims.size(); ++i) {
        swarm_.crash(victims[i], i % 2 == 0 ? Power::Stopped : Power::Dark);
    }
}

void Campaign::restart_due() {
    if (sessions_) {
        for (const auto node : sessions_->take_failed()) {
            restarts_.emplace(swarm_.now() + kAwayFor, node);
        }
    }
    while (!restarts_.empty() && restarts_.begin()->first <= swarm_.now()) {
        const auto node = restarts_.begin()->second;
        restarts_.erase(restarts_.begin());
        const auto running = swarm_.running();
        std::vector<NodeIndex> seeds;
        for (int i = 0; i < 3 && !running.empty(); ++i) {
            seeds.push_back(rng_.pick(std::span<const NodeIndex>(running)));
        }
        swarm_.start(node, seeds);
    }
}

void Campaign::summarize_training() {
    auto& out = summary_.training.emplace();
    const auto& until = options_.training->until;
    out.until = until.kind == peer::UntilKind::Forever ? "" : until.to_string();
    out.joined = sessions_->join_seconds.size();
    out.join_time = quantiles(std::move(sessions_->join_seconds));
    out.resumed = sessions_->resumed;
    out.ended = sessions_->finished();
    out.failed = sessions_->failures;
    out.last_fault = sessions_->last_fault;
    out.rounds = sessions_->rounds;
    if (all_ended()) out.ended_after = to_seconds(sessions_->last_end.time_since_epoch());
    const auto work = sessions_->work();
    out.steps = work.steps;
    out.samples = work.samples;
}

void Campaign::partition() {
    std::vector<std::uint8_t> groups(swarm_.size());
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<std::uint8_t>(i % 2);
    rng_.shuffle(std::span(groups));
    summary_.partitioned = true;
    detection_.disturb(swarm_.now());
    swarm_.network().set_groups(std::move(groups));
    const auto heal_at = swarm_.now() + options_.partition;
    run_with_crashes(heal_at, swarm_.now());
    swarm_.network().heal();
    detection_.disturb(swarm_.now());
    summary_.heal_seconds = wait_until_whole(kHealMax);
}

void Campaign::summarize(Instant begin, const std::vector<Traffic>& before) {
    auto& out = summary_;
    out.peers = options_.peers;
    out.seed = options_.seed;
    out.virtual_seconds = to_seconds(swarm_.now().time_since_epoch());
    out.events = swarm_.event_count();
    out.trace = swarm_.trace_hash();
    std::vector<double> first;
    std::vector<double> all;
    for (const auto& crash : detection_.crashes()) {
        ++out.crashes;
        if (crash.masked) continue;
        if (crash.first) first.push_back(to_seconds(*crash.first));
        if (crash.all) all.push_back(to_seconds(*crash.all));
        // The peers had too little time to detect a crash of the last half minute.
        if (!crash.all && swarm_.now() - crash.at > kCalmBefore) ++out.undetected;
    }
    out.detected_first = quantiles(std::move(first));
    out.detected_all = quantiles(std::move(all));
    out.false_suspicions = detection_.false_alarms().suspicions;
    out.false_failures = detection_.false_alarms().failures;
    // Nobody was there for less than a moment: then nothing was sent, and rates are 0.
    const double peer_seconds =
        std::max(1e-9, to_seconds(swarm_.now() - begin)) * static_cast<double>(options_.peers);
    for (NodeIndex i = 0; i < swarm_.size(); ++i) {
        const auto& now = swarm_.network().traffic(i);
        const auto rate = [&](std::uint64_t later, std::uint64_t earlier) {
            return static_cast<double>(later - earlier) / peer_seconds;
        };
        out.datagrams_per_second += rate(now.datagrams, before[i].datagrams);
        out.datagram_bytes_per_second += rate(now.datagram_bytes, before[i].datagram_bytes);
        out.stream_bytes_per_second += rate(now.stream_bytes, before[i].stream_bytes);
    }
    faults_.end();
    // The peers may not know the last crash yet. From here on nobody is restarted.
    out.whole_at_end = wait_until_whole(kWholeMax).has_value();
}

}  // namespace

CampaignSummary run_campaign(const CampaignOptions& options) {
    return Campaign(options).run();
}

}  // namespace starling::peer_virtual
