#include "peer/training/estimator.hpp"

#include <limits>

#include "base/rng.hpp"
#include "peer/terms/qualities.hpp"

namespace starling::peer {

namespace {

constexpr std::uint64_t kEvaluationPurpose = 3;

}  // namespace

Estimator::Estimator(const data::ShardStore& shards, std::size_t batch, std::uint64_t seed)
    : shards_(shards),
      all_(shards.manifest().samples(shards.manifest().target_split())),
      batch_(batch),
      evaluation_(shards, batch, shards.manifest().target_split()) {
    const auto batches = all_ / batch;
    if (batches > 1) next_ = batch * Rng(seed).fork(kEvaluationPurpose).below(batches);
}

void Estimator::watch(compute::QualityKind kind) {
    watched_ = kind;
    recent_.emplace(shards_.manifest(), kind);
    before_.emplace(shards_.manifest(), kind);
    evaluation_.judge_by(&*recent_);
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
    count_part();
    return true;
}

/// A tally never forgets, so two of them take turns: when the present one is full, or has seen the whole
/// split, it replaces the one before.
void Estimator::count_part() {
    if (!recent_) return;
    ++parts_;
    if (parts_ < kTallyBatches && parts_ * batch_ < all_) return;
    std::swap(*recent_, *before_);
    recent_->clear();
    parts_ = 0;
}

std::optional<compute::Quality> Estimator::quality() const {
    if (!recent_) return std::nullopt;
    auto both = *before_;
    if (!both.merge(*recent_)) return std::nullopt;
    const auto value = both.quality(*watched_);
    if (!value) return std::nullopt;
    return compute::Quality{*watched_, *value};
}

Estimator::Found Estimator::examine(
    Evaluation& evaluation, compute::Engine& engine, const std::atomic<bool>& stop
) {
    Judge judge(shards_.manifest());
    evaluation.judge_by(&judge);
    auto found = evaluation.run(engine, 0, std::numeric_limits<std::size_t>::max(), stop);
    evaluation.judge_by(recent_ ? &*recent_ : nullptr);
    if (found.fault && !fault_) fault_ = found.fault;
    auto kinds = known_qualities(shards_.manifest());
    // The sums of the engine tell these two.
    std::erase(kinds, compute::QualityKind::Accuracy);
    std::erase(kinds, compute::QualityKind::Loss);
    Examined examined{found.result, judge.known(kinds)};
    return {std::move(examined), found.samples, std::move(judge)};
}

std::optional<Examined> Estimator::evaluate_test(
    compute::Engine& engine, const std::atomic<bool>& stop
) {
    const auto& manifest = shards_.manifest();
    const bool other = manifest.target_split() != data::Split::Test;
    if (!other || manifest.samples(data::Split::Test) == 0) return std::nullopt;
    Evaluation test(shards_, batch_, data::Split::Test);
    return examine(test, engine, stop).examined;
}

Examined Estimator::evaluate_all(compute::Engine& engine, const std::atomic<bool>& stop) {
    auto all = examine(evaluation_, engine, stop);
    const auto& found = all.examined.result;
    if (!stop && found.samples > 0) {
        // The estimate starts from this result. Otherwise, after a missed target, one small
        // evaluation that is good by chance would ask for the whole test set again.
        accuracy_.restart(found.accuracy(), weight(all.samples));
        loss_.restart(found.loss(), weight(all.samples));
        known_ = true;
        has_accuracy_ = found.has_accuracy;
        if (recent_) {
            before_ = all.judge.only(*watched_);
            recent_->clear();
            parts_ = 0;
        }
    }
    return std::move(all.examined);
}

std::optional<Estimate> Estimator::estimate() const {
    if (!known_) return std::nullopt;
    const auto accuracy = has_accuracy_ ? std::optional(accuracy_.mean()) : std::nullopt;
    return Estimate{accuracy, loss_.mean(), quality()};
}

void Estimator::forget() {
    known_ = false;
    accuracy_ = {};
    loss_ = {};
    if (recent_) watch(*watched_);
    parts_ = 0;
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
