// The part of Session that knows how good the model is, by whose word.

#include <algorithm>
#include <chrono>
#include <string>

#include "peer/session/session.hpp"

namespace starling::peer {

namespace {

/// Estimates of private samples are told so often, in a swarm of n the longer of these.
constexpr Duration kEstimateEvery = std::chrono::seconds(1);
constexpr Duration kEstimateEveryPerMember = std::chrono::milliseconds(50);

/// Returns what a peer says of its model; nothing where it says nothing.
std::optional<double> value_in(const Record& record, compute::QualityKind kind) {
    if (kind == compute::QualityKind::Accuracy) {
        return record.accuracy >= 0 ? std::optional<double>(record.accuracy) : std::nullopt;
    }
    if (kind == compute::QualityKind::Loss) {
        return record.test_loss >= 0 ? std::optional<double>(record.test_loss) : std::nullopt;
    }
    const auto& quality = record.quality;
    return quality && quality->kind == kind ? std::optional(quality->value) : std::nullopt;
}

}  // namespace

bool Session::is_private() const {
    return parts_.shards.manifest().mode == data::DataMode::Private;
}

/// Returns our running estimate of the quality that is the target.
std::optional<double> Session::own_estimate(compute::QualityKind goal) const {
    if (goal == compute::QualityKind::Accuracy) return report_.accuracy;
    if (goal == compute::QualityKind::Loss) return report_.test_loss;
    const auto& quality = report_.quality;
    return quality && quality->kind == goal ? std::optional(quality->value) : std::nullopt;
}

/// Where samples are private, each peer has others to judge by. The quality of the swarm is then the mean
/// of what all say, weighted by the number of these samples.
std::optional<double> Session::mean_over_swarm(
    std::optional<double> own, compute::QualityKind goal, std::span<const Record> others
) const {
    if (!is_private()) return own;
    double sum = 0.0;
    double samples = 0.0;
    const auto add = [&](std::optional<double> value, double count) {
        if (!value || count <= 0) return;
        sum += *value * count;
        samples += count;
    };
    add(own, static_cast<double>(judged_samples()));
    for (const auto& other : others) add(value_in(other, goal), other.own_judged);
    return samples > 0 ? std::optional(sum / samples) : std::nullopt;
}

std::uint64_t Session::judged_samples() const {
    const auto& manifest = parts_.shards.manifest();
    return manifest.samples(manifest.target_split());
}

/// Such a swarm would go on training for ever and miss its target each time.
void Session::note_unknown_quality(bool evaluated) {
    const auto goal = descriptor_.until.quality();
    if (!evaluated || !goal || evaluated_.value(*goal)) return;
    notes_.push_back(
        "the evaluation of " + std::to_string(evaluated_.result.samples) +
        " samples cannot tell the target " + descriptor_.until.to_string() +
        ": they lack a class, or nothing is held of them"
    );
}

/// What ends a swarm of private samples is the mean of all estimates, so a new one goes to all at once. It
/// waits a little in a large swarm, whose mean moves little by it.
bool Session::estimate_is_news(Instant now) {
    const auto goal = descriptor_.until.quality();
    if (!is_private() || !goal) return false;
    const auto estimate = own_estimate(*goal);
    const auto members = static_cast<std::int64_t>(live_);
    const auto every = std::max(kEstimateEvery, kEstimateEveryPerMember * members);
    if (estimate == told_estimate_ || now - estimate_told_at_ < every) return false;
    told_estimate_ = estimate;
    estimate_told_at_ = now;
    return true;
}

/// What a record says of private samples is how many there are.
void Session::tell_of_own(Record& record) const {
    if (!is_private()) return;
    const auto bounded = [](std::uint64_t count) {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, 0xffffffffU));
    };
    record.own_train = bounded(parts_.shards.manifest().samples(data::Split::Train));
    record.own_judged = bounded(judged_samples());
}

/// Takes out of a record what its owner does not want to tell of its private samples.
void Session::silence(Record& record) const {
    if (!is_private() || !parts_.silent_quality) return;
    record.loss = 0;
    record.accuracy = -1;
    record.test_loss = -1;
    record.quality.reset();
}

}  // namespace starling::peer
