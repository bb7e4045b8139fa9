#include "peer/training/estimator.hpp"

#include "base/rng.hpp"

namespace starling::peer {

namespace {

constexpr std::uint64_t kEvaluationPurpose = 3;

}  // namespace

Estimator::Estimator(const data::ShardStore& shards, std::size_t batch, std::uint64_t seed)
    : all_(shards.manifest().samples(shards.manifest().target_split())),
      batch_(batch),
      evaluation_(shards, batch, shards.manifest().target_split()) {
    const auto batches = all_ / batch;
    if (batches > 1) next_ = batch * Rng(seed).fork(kEvaluationPurpose).below(batches);
}

bool Estimator::evaluate_next(compute::Engine& engine, const std::atomic<bool>& stop) {
    auto found = evaluate(engine, next_, batch_, stop);
    if (found.samples == 0 && next_ > 0) {
        next_ = 0;
        found = evaluate(engine, 0, batch_, stop);
    }
    next_ += found.samples;
    if (found.result.samples == 0) return false;
    // Single evaluations differ by chance. The target is compared with the running mean of the last
    // few.
    accuracy_.add(found.result.accuracy(), weight(found.samples));
    loss_.add(found.result.loss(), weight(found.samples));
    known_ = true;
    has_accuracy_ = found.result.has_accuracy;
    return true;
}

compute::EvalResult Estimator::evaluate_all(
    compute::Engine& engine, const std::atomic<bool>& stop
) {
    const auto found = evaluate(engine, 0, all_, stop);
    if (!stop && found.result.samples > 0) {
        // The estimate starts from this result. Otherwise, after a missed target, one small
        // evaluation that is good by chance would ask for the whole test set again.
        accuracy_.restart(found.result.accuracy(), weight(found.samples));
        loss_.restart(found.result.loss(), weight(found.samples));
        known_ = true;
        has_accuracy_ = found.result.has_accuracy;
    }
    return found.result;
}

std::optional<Estimate> Estimator::estimate() const {
    if (!known_) return std::nullopt;
    const auto accuracy = has_accuracy_ ? std::optional(accuracy_.mean()) : std::nullopt;
    return Estimate{accuracy, loss_.mean()};
}

void Estimator::forget() {
    known_ = false;
    accuracy_ = {};
    loss_ = {};
}

Evaluated Estimator::evaluate(
    compute::Engine& engine, std::size_t first, std::size_t count, const std::atomic<bool>& stop
) {
    auto found = evaluation_.run(engine, first, count, stop);
    if (found.fault && !fault_) fault_ = found.fault;
    return found;
}

double Estimator::weight(std::size_t samples) const {
    return static_cast<double>(samples) / static_cast<double>(batch_);
}

}  // namespace starling::peer
