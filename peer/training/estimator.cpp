#include "peer/training/estimator.hpp"

#include <algorithm>
#include <limits>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "compute/metrics/tally.hpp"
#include "data/batcher.hpp"
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

void Estimator::judge_by(std::shared_ptr<const std::vector<JudgedPortion>> share) {
    share_ = std::move(share);
    begin_at_share();
}

bool Estimator::divided(data::Split split) const {
    if (!share_) return false;
    return std::any_of(share_->begin(), share_->end(), [split](const JudgedPortion& portion) {
        return portion.split == split;
    });
}

bool Estimator::holds(const JudgedPortion& portion) const {
    return std::all_of(portion.shards.begin(), portion.shards.end(), [this](const ShardId& shard) {
        return shards_.has(shard);
    });
}

/// Lets single evaluations go round the share, or the whole split.
void Estimator::begin_at_share() {
    const auto& manifest = shards_.manifest();
    const auto split = manifest.target_split();
    auto judged = data::shards_of(manifest, split);
    if (divided(split)) {
        judged.clear();
        for (const auto& portion : *share_) {
            if (portion.split != split) continue;
            judged.insert(judged.end(), portion.shards.begin(), portion.shards.end());
        }
    }
    all_ = 0;
    for (const auto& shard : judged) all_ += shards_.info(shard)->samples;
    const auto batches = std::max<std::size_t>(1, all_ / batch_);
    next_ = batch_ * (next_ / batch_ % batches);
    evaluation_.judge_only(std::move(judged));
}

Estimator::Found Estimator::examine(
    Evaluation& evaluation,
    data::Split split,
    compute::Engine& engine,
    const std::atomic<bool>& stop
) {
    constexpr auto kAll = std::numeric_limits<std::size_t>::max();
    Found found{{}, 0, Judge(shards_.manifest())};
    if (!divided(split)) {
        evaluation.judge_by(&found.judge);
        const auto whole = evaluation.run(engine, 0, kAll, stop);
        if (whole.fault && !fault_) fault_ = whole.fault;
        found.examined.result = whole.result;
        found.samples = whole.samples;
    } else {
        Judge judge(shards_.manifest());
        evaluation.judge_by(&judge);
        for (const auto& portion : *share_) {
            if (stop || portion.split != split || !holds(portion)) continue;
            judge.clear();
            evaluation.judge_only(portion.shards);
            examine_portion(portion, evaluation.run(engine, 0, kAll, stop), judge, found);
        }
    }
    auto kinds = known_qualities(shards_.manifest());
    // The sums of the engine tell these two.
    std::erase(kinds, compute::QualityKind::Accuracy);
    std::erase(kinds, compute::QualityKind::Loss);
    found.examined.qualities = found.judge.known(kinds);
    return found;
}

/// Adds what was found in a portion to what was found in those before.
void Estimator::examine_portion(
    const JudgedPortion& portion, const Evaluated& part, const Judge& judge, Found& found
) {
    if (part.fault && !fault_) fault_ = part.fault;
    PortionWord word;
    word.portion = static_cast<std::uint16_t>(portion.portion);
    word.result = part.result;
    std::optional<std::size_t> first;
    for (const auto& tally : judge.tallies()) {
        if (!first && watched_ && compute::knows(tally, *watched_)) first = word.tallies.size();
        word.tallies.push_back(compute::encode(tally));
    }
    fit_tallies(word.tallies, first.value_or(0), kWordTalliesMax);
    words_.push_back(std::move(word));
    found.examined.result += part.result;
    found.samples += part.samples;
    STARLING_CHECK(found.judge.merge(judge).has_value());
}

std::optional<Examined> Estimator::evaluate_test(
    compute::Engine& engine, const std::atomic<bool>& stop
) {
    const auto& manifest = shards_.manifest();
    const bool other = manifest.target_split() != data::Split::Test;
    if (!other || manifest.samples(data::Split::Test) == 0) return std::nullopt;
    Evaluation test(shards_, batch_, data::Split::Test);
    return examine(test, data::Split::Test, engine, stop).examined;
}

Examined Estimator::evaluate_all(compute::Engine& engine, const std::atomic<bool>& stop) {
    words_.clear();
    auto all = examine(evaluation_, shards_.manifest().target_split(), engine, stop);
    evaluation_.judge_by(recent_ ? &*recent_ : nullptr);
    if (share_) begin_at_share();
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
