#include "peer/scenario/calm.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/check.hpp"

namespace starling::scenario {
namespace {

/// Others must have made so many before it is strange that somebody made none.
constexpr std::uint64_t kStepsOfOthers = 20;
constexpr std::uint64_t kExchangesOfOthers = 12;
/// Speeds change whose duty a shard is, and peers tell at different times; a death takes more than this.
constexpr double kShardsShare = 0.9;
/// Where each addition to one peer is a subtraction from another, the sum is nearly nothing whatever the squares
/// are: what is left are exchanges that began before the window or end after it. Where they are not, the square of
/// the sum is about the sum of the squares, as in a random walk.
constexpr double kDrift = 0.25;
constexpr Duration kWindow = std::chrono::seconds(2);
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

void Calm::before(const View& view) {
    const bool all = view.all_active([](const PeerSeen& peer) { return peer.trains; });
    if (all && view.whole()) duties_before_ = duties(view);
}

void Calm::observe(const View& view) {
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
    began_ = true;
}

double Calm::Window::drift() const {
    double way = 0;
    for (const double moved_by : moved) way += moved_by * moved_by;
    return way / squares;
}

void Calm::averaged(Instant now, std::span<const double> moved, double squares) {
    if (!window_) window_ = Window{now, std::vector<double>(moved.size()), 0};
    STARLING_CHECK(moved.size() == window_->moved.size());
    for (std::size_t i = 0; i < moved.size(); ++i) window_->moved[i] += moved[i];
    window_->squares += squares;
    if (now - window_->began < kWindow) return;
    if (window_->squares > 0) {
        const auto drift = window_->drift();
        least_drift_ = std::min(least_drift_.value_or(drift), drift);
    }
    window_.reset();
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
        const bool alone = witness.exchanges == witness.exchanges_first && mixes_;
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
    if (!least_drift_ || *least_drift_ <= kDrift) return;
    findings.push_back(
        {"averaging moves the mean of all peers in the calm",
         {fmt::format(
             "the square of the way is {:.2f} of the sum of the squares of all single ways",
             *least_drift_
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
