#include "peer/scenario/judge.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace starling::scenario {
namespace {

/// One line for each peer that is active: what it saw.
std::vector<std::string> what_peers_see(const View& view) {
    constexpr std::size_t kLinesMax = 32;
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < view.peers.size() && lines.size() < kLinesMax; ++i) {
        const auto& peer = view.peers[i];
        if (!peer.active()) continue;
        lines.push_back(fmt::format(
            "peer {}: {}, step {}, {} exchanges, lists {} alive",
            i + 1,
            peer.state,
            peer.steps,
            peer.exchanges,
            peer.members
        ));
    }
    return lines;
}

}  // namespace

Judge::Judge(const Scenario& scenario, Instant began)
    : expect_(scenario.expect),
      core_(scenario.core),
      calm_(scenario),
      trust_(scenario.peers + scenario.added(), Trust{0, began, {}}),
      began_(began) {}

Duration Judge::scaled(Duration limit) const {
    return from_seconds(tempo_.slowness() * to_seconds(limit));
}

double Judge::seconds(Instant at) const {
    return to_seconds(at - began_);
}

void Judge::add(Instant now, std::string what, std::vector<std::string> evidence) {
    ++count_;
    if (findings_.size() >= kFindingsMax) return;
    findings_.push_back({std::move(what), seconds(now), std::move(evidence)});
}

void Judge::each(const std::vector<std::size_t>& peers, std::size_t all, auto&& change) {
    if (peers.empty()) {
        for (std::size_t i = 0; i < all; ++i) change(trust_[i]);
    }
    for (const auto peer : peers) {
        if (peer >= 1 && peer <= all) change(trust_[peer - 1]);
    }
}

void Judge::fault_begins(Instant now, const std::vector<std::size_t>& peers, bool ongoing) {
    ++measures_.faults;
    each(peers, trust_.size(), [&](Trust& trust) {
        trust.calm_since = now;
        if (ongoing) ++trust.faults;
    });
    whole_since_ = now;
    late_ = false;
}

void Judge::fault_ends(Instant now, const std::vector<std::size_t>& peers) {
    each(peers, trust_.size(), [&](Trust& trust) {
        trust.calm_since = now;
        if (trust.faults > 0) --trust.faults;
    });
    whole_since_ = now;
    late_ = false;
}

void Judge::says_goodbye(Instant now, std::size_t peer) {
    if (peer >= 1 && peer <= trust_.size()) trust_[peer - 1].goodbye = now;
}

bool Judge::trusted(std::size_t peer, Instant now) const {
    if (peer < 1 || peer > trust_.size()) return false;
    const auto& trust = trust_[peer - 1];
    return trust.faults == 0 && now - trust.calm_since >= kGrace;
}

void Judge::called_failed(Instant now, std::size_t by, std::size_t about, const View& view) {
    if (about < 1 || about > view.peers.size() || about > trust_.size()) return;
    const auto& peer = view.peers[about - 1];
    if (peer.running && !peer.leaving && !peer.ended) {
        ++measures_.failures;
        if (expect_.failures && measures_.failures > *expect_.failures) {
            add(now,
                fmt::format("peer {} was called failed while it ran", about),
                {fmt::format("peer {} said so", by)});
        }
    }
    const auto& goodbye = trust_[about - 1].goodbye;
    const bool left = goodbye && !peer.active() && trusted(by, now) && now - *goodbye < kGrace;
    if (left) {
        ++measures_.false_failures;
        if (!expect_.false_failures || measures_.false_failures <= *expect_.false_failures) return;
        add(now,
            fmt::format("peer {} was told to leave, and was called failed", about),
            {fmt::format("peer {} said so", by)});
        return;
    }
    if (!peer.active() || !trusted(about, now) || !trusted(by, now)) return;
    ++measures_.false_failures;
    if (!expect_.false_failures || measures_.false_failures <= *expect_.false_failures) return;
    add(now,
        fmt::format("peer {} was called failed, but it runs and nothing was done to it", about),
        {fmt::format("peer {} said so", by)});
}

void Judge::suspected(Instant now, std::size_t by, std::size_t about, const View& view) {
    if (about < 1 || about > view.peers.size()) return;
    const auto& peer = view.peers[about - 1];
    if (!peer.running || peer.leaving || peer.ended) return;
    ++measures_.suspicions;
    if (!expect_.suspicions || measures_.suspicions != *expect_.suspicions + 1) return;
    add(now,
        fmt::format("peers were suspected {} times while they ran", measures_.suspicions),
        {fmt::format("the last time peer {} by peer {}", about, by)});
}

void Judge::error_line(Instant now, std::size_t peer, const std::string& line) {
    if (!expect_.errors) return;
    const bool allowed =
        std::any_of(expect_.errors->begin(), expect_.errors->end(), [&](const auto& part) {
            return line.find(part) != std::string::npos;
        });
    if (!allowed)
        add(now, fmt::format("peer {} wrote to stderr what nobody expects", peer), {line});
}

void Judge::look_at_gap(
    Instant now,
    Gap& gap,
    std::uint64_t sum,
    bool counts,
    const char* name,
    const std::optional<Duration>& limit,
    double& longest
) {
    if (!counts || !gap.since || sum != gap.sum) {
        if (counts && gap.since) longest = std::max(longest, to_seconds(now - *gap.since));
        gap = {sum, counts ? std::optional(now) : std::nullopt, false};
        return;
    }
    longest = std::max(longest, to_seconds(now - *gap.since));
    if (limit && !gap.told && now - *gap.since > scaled(*limit)) {
        gap.told = true;
        add(now, fmt::format("nobody made {} for more than {}", name, to_text(*limit)));
    }
}

void Judge::look_at_whole(Instant now, const View& view, bool settled) {
    // Who else is in touch with the core while faults go on, nobody can say.
    if (!settled || !whole_since_ || !core_.empty()) return;
    const double waited = to_seconds(now - *whole_since_);
    if (view.whole()) {
        measures_.whole_max = std::max(measures_.whole_max, waited);
        ++measures_.times_whole;
        whole_since_.reset();
    } else if (expect_.whole_within && !late_ && now - *whole_since_ > scaled(*expect_.whole_within)) {
        late_ = true;
        add(now,
            fmt::format(
                "not all peers list all peers {} after the last fault",
                to_text(*expect_.whole_within)
            ),
            what_peers_see(view));
    }
}

void Judge::observe(Instant now, const View& view, bool settled) {
    if (measures_.faults == 0) calm_.before(now, view);
    std::uint64_t steps = 0;
    std::uint64_t exchanges = 0;
    for (const auto& peer : view.peers) {
        steps += peer.steps;
        exchanges += peer.exchanges;
    }
    const auto unfinished = static_cast<std::size_t>(std::count_if(
        view.peers.begin(),
        view.peers.end(),
        [](const PeerSeen& peer) { return peer.active() && (peer.trains || peer.state != "done"); }
    ));
    look_at_gap(
        now,
        exchanges_,
        exchanges,
        unfinished >= 2,
        "an exchange",
        expect_.no_exchange_for,
        measures_.exchange_gap
    );
    look_at_gap(
        now, steps_, steps, unfinished >= 1, "a step", expect_.training_gap, measures_.training_gap
    );
    look_at_whole(now, view, settled);
}

void Judge::calm_over(Instant now, const View& view, const History& history) {
    for (auto& [what, evidence] : calm_.judge()) add(now, std::move(what), std::move(evidence));
    if (expect_.memory_growth) {
        for (auto& what : grown(history, *expect_.memory_growth)) add(now, std::move(what));
    }
    const bool all_done = view.active() == 0;
    const bool must = expect_.whole_within && !late_ && core_.empty();
    if (must && !all_done && !view.whole()) {
        add(now, "not all peers list all peers at the end of the calm", what_peers_see(view));
    }
    if (!expect_.spread) return;
    for (std::size_t i = 0; i < view.peers.size(); ++i) {
        const auto& peer = view.peers[i];
        if (!peer.active() || peer.spread <= *expect_.spread) continue;
        add(now,
            fmt::format(
                "peer {} has a spread of {:.3g} at the end, and {} was expected",
                i + 1,
                peer.spread,
                *expect_.spread
            ));
    }
}

std::string Judge::check(const Claim& claim, const View& view) const {
    using Kind = Claim::Kind;
    const auto at_most = [&](double value, const char* what) {
        if (value <= claim.most) return std::string();
        return fmt::format("{} {:.3g}, more than {:.3g}", what, value, claim.most);
    };
    double spread = 0;
    for (const auto& peer : view.peers) {
        if (peer.active()) spread = std::max(spread, peer.spread);
    }
    switch (claim.kind) {
        case Kind::WholeWithin:
            return at_most(measures_.whole_max, "seconds until all listed all:");
        case Kind::NoExchangeFor:
            return at_most(measures_.exchange_gap, "seconds without an exchange:");
        case Kind::TrainingGap:
            return at_most(measures_.training_gap, "seconds without a step:");
        case Kind::FalseFailures:
            return at_most(static_cast<double>(measures_.false_failures), "false failures:");
        case Kind::Spread:
            return at_most(spread, "the largest spread is");
        case Kind::Members:
            break;
    }
    for (std::size_t i = 0; i < view.peers.size(); ++i) {
        const auto& peer = view.peers[i];
        if (!peer.active() || static_cast<double>(peer.members) == claim.most) continue;
        return fmt::format("peer {} lists {} alive, not {:.0f}", i + 1, peer.members, claim.most);
    }
    return {};
}

std::string verdict_line(const Judge& judge, std::size_t carried_out) {
    const auto& m = judge.measures();
    auto numbers = fmt::format(
        "{} faults carried out; whole again after {:.1f} s at most; longest time without an "
        "exchange "
        "{:.1f} s, without a step {:.1f} s",
        carried_out,
        m.whole_max,
        m.exchange_gap,
        m.training_gap
    );
    if (judge.count() == 0) return "clean: " + numbers;
    return fmt::format(
        "{} finding{}, the first: {} ({})",
        judge.count(),
        judge.count() == 1 ? "" : "s",
        judge.findings().front().what,
        numbers
    );
}

}  // namespace starling::scenario
