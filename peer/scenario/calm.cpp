#include "peer/scenario/calm.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace starling::scenario {
namespace {

/// Others must have made so many before it is strange that somebody made none.
constexpr std::uint64_t kStepsOfOthers = 20;
constexpr std::uint64_t kExchangesOfOthers = 12;
/// Speeds change whose duty a shard is, and peers tell at different times; a death takes more than this.
constexpr double kShardsShare = 0.9;
/// Where each addition to one peer is a subtraction from another, the sum is nothing but for rounding. Where they are
/// not, its square is about the sum of the squares, as in a random walk.
constexpr double kDrift = 0.1;
constexpr std::size_t kDriftsMin = 5;
constexpr std::size_t kDriftsMax = 10'000;
/// TCP finds out so slowly that a way is open again, so exchanges with some may begin late in the calm.
constexpr Duration kStreamsReturn = std::chrono::seconds(12);
/// Peers tell once a second what their duties are.
constexpr Duration kSettled = std::chrono::milliseconds(1500);
constexpr std::size_t kSamplesMin = 20;
constexpr double kMiB = 1024.0 * 1024.0;

std::uint64_t median(std::vector<std::uint64_t> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

std::uint64_t duties(const View& view) {
    std::uint64_t sum = 0;
    for (const auto& peer : view.peers) sum += peer.active() ? peer.shards : 0;
    return sum;
}

}  // namespace

Calm::Calm(const Scenario& scenario)
    : expect_(scenario.expect),
      core_(scenario.core),
      mixes_(scenario.setting("mix") != "none"),
      shares_data_(scenario.setting("partition").empty() && scenario.setting("private").empty()) {}

void Calm::before(Instant now, const View& view) {
    const bool all = view.all_active([](const PeerSeen& peer) { return peer.trains; });
    if (!all || !view.whole()) {
        settled_since_.reset();
        return;
    }
    // While a duty goes from one to another, both may say that they have it.
    const auto sum = std::min(duties(view), shards_.value_or(~std::uint64_t{0}));
    duties_before_ = settled_since_ ? std::min(duties_before_, sum) : sum;
    if (!settled_since_) settled_since_ = now;
    settled_until_ = now;
}

void Calm::observe(Instant now, const View& view) {
    duties_ = std::max(duties_, duties(view));
    witnesses_.resize(std::max(witnesses_.size(), view.peers.size()));
    for (std::size_t i = 0; i < view.peers.size(); ++i) {
        const auto& peer = view.peers[i];
        auto& witness = witnesses_[i];
        const bool judged =
            core_.empty() || std::find(core_.begin(), core_.end(), i + 1) != core_.end();
        const bool trains = peer.active() && peer.trains && judged;
        if (!began_) {
            witness = {
                trains, peer.steps, peer.steps, peer.exchanges, peer.exchanges, false, false};
        } else if (!trains || peer.steps < witness.steps) {
            witness.trains = false;
        }
        witness.steps = peer.steps;
        witness.exchanges = peer.exchanges;
        witness.ghost = peer.ghost;
        witness.idle = witness.idle || peer.shards == 0;
    }
    if (!began_) began_ = now;
    last_ = now;
}

void Calm::averaged(std::span<const double> moved, double squares) {
    if (squares <= 0 || drifts_.size() >= kDriftsMax) return;
    double way = 0;
    for (const double moved_by : moved) way += moved_by * moved_by;
    drifts_.push_back(way / squares);
}

void Calm::judge_progress(Findings& findings) const {
    std::vector<std::uint64_t> steps;
    std::vector<std::uint64_t> exchanges;
    for (const auto& witness : witnesses_) {
        if (!witness.trains) continue;
        steps.push_back(witness.steps - witness.steps_first);
        exchanges.push_back(witness.exchanges - witness.exchanges_first);
    }
    if (steps.size() < 2) return;
    const auto usual_steps = median(steps);
    const auto usual_exchanges = median(exchanges);
    for (std::size_t i = 0; i < witnesses_.size(); ++i) {
        const auto& witness = witnesses_[i];
        if (!witness.trains) continue;
        const bool stands = witness.steps == witness.steps_first && !witness.idle;
        if (stands && usual_steps >= kStepsOfOthers) {
            findings.push_back(
                {fmt::format(
                     "peer {} made no step in the calm, and the others made {}", i + 1, usual_steps
                 ),
                 {}}
            );
        }
        const auto made = witness.exchanges - witness.exchanges_first;
        if (witness.ghost && made >= kExchangesOfOthers) {
            findings.push_back(
                {fmt::format("peer {} stands outside the sum after {} exchanges", i + 1, made), {}}
            );
        }
        const bool in_time = began_ && last_ - *began_ >= kStreamsReturn;
        const bool alone = witness.exchanges == witness.exchanges_first && mixes_ && in_time;
        if (alone && usual_exchanges >= kExchangesOfOthers) {
            findings.push_back(
                {fmt::format(
                     "peer {} made no exchange in the calm, and the others made {}",
                     i + 1,
                     usual_exchanges
                 ),
                 {}}
            );
        }
    }
}

void Calm::judge_shards(Findings& findings) const {
    if (!settled_since_ || settled_until_ - *settled_since_ < kSettled) return;
    if (!shares_data_ || !core_.empty() || duties_before_ == 0 || !began_) return;
    const double least = kShardsShare * static_cast<double>(duties_before_);
    if (static_cast<double>(duties_) >= least) return;
    findings.push_back(
        {fmt::format(
             "of {} training shards {} were nobody's duty in the calm",
             duties_before_,
             duties_before_ - duties_
         ),
         {}}
    );
}

void Calm::judge_mean(Findings& findings) const {
    if (drifts_.size() < kDriftsMin) return;
    // An exchange that breaks off in its middle moves the mean, and rightly so. It is one part of many.
    auto drifts = drifts_;
    const auto middle = drifts.begin() + static_cast<std::ptrdiff_t>(drifts.size() / 2);
    std::nth_element(drifts.begin(), middle, drifts.end());
    if (*middle <= kDrift) return;
    findings.push_back(
        {"averaging moves the mean of all peers in the calm",
         {fmt::format(
             "the square of the way is {:.2f} of the sum of the squares of all single ways", *middle
         )}}
    );
}

Calm::Findings Calm::judge() const {
    Findings findings;
    if (expect_.progress) judge_progress(findings);
    if (expect_.shards) judge_shards(findings);
    if (expect_.mean_kept) judge_mean(findings);
    return findings;
}

std::vector<std::string> grown(const History& history, double bytes) {
    std::vector<std::string> findings;
    std::size_t number = 0;
    for (const auto& samples : history.peers()) {
        ++number;
        auto first = samples.end();
        while (first != samples.begin() && std::prev(first)->memory > 0) --first;
        const auto life = static_cast<std::size_t>(samples.end() - first);
        if (life < kSamplesMin) continue;
        const auto middle = first + static_cast<std::ptrdiff_t>(life / 2);
        const auto more =
            static_cast<double>(samples.back().memory) - static_cast<double>(middle->memory);
        if (more <= bytes) continue;
        findings.push_back(fmt::format(
            "the memory of peer {} grew from {:.1f} to {:.1f} MiB over the second half of its life",
            number,
            static_cast<double>(middle->memory) / kMiB,
            static_cast<double>(samples.back().memory) / kMiB
        ));
    }
    return findings;
}

}  // namespace starling::scenario
