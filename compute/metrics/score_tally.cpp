#include "compute/metrics/score_tally.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/range.hpp"

namespace starling::compute {

namespace {

Fault too_many() {
    return fail(FaultCode::BadValue, "a tally counts no more than 2^48 samples");
}

Ranking::Bin bin_with(double odds, bool positive) {
    Ranking::Bin bin{bin_of(odds)};
    bin.counts[positive ? kPositives : kNegatives] = 1;
    return bin;
}

}  // namespace

Result<void> ScoreTally::add(
    std::span<const float> scores, std::span<const float> targets, ScoreKind kind
) {
    if (scores.size() != targets.size()) {
        return fail(
            FaultCode::BadValue,
            std::to_string(scores.size()) + " scores do not fit " + std::to_string(targets.size()) +
                " targets"
        );
    }
    if (auto checked = check_scores(scores, kind); checked.has_error()) return checked;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (within(targets[i], 0.0F, 1.0F)) continue;
        return fail(FaultCode::BadValue, "target " + std::to_string(i) + " is not in [0, 1]");
    }
    if (scores.size() > kCountMax - count()) return too_many();
    std::vector<Ranking::Bin> bins;
    bins.reserve(scores.size());
    for (std::size_t i = 0; i < scores.size(); ++i) {
        bins.push_back(bin_with(log_odds(scores[i], kind), targets[i] > 0.5F));
        loss_.add(binary_cross_entropy(scores[i], targets[i], kind));
    }
    ranking_.add(std::move(bins));
    return {};
}

Result<void> ScoreTally::add(const ClassRows& rows) {
    if (rows.classes != 2) {
        return fail(
            FaultCode::BadValue,
            "one score for each sample wants 2 classes, not " + std::to_string(rows.classes)
        );
    }
    if (auto checked = check_rows(rows); checked.has_error()) return checked;
    if (rows.labels.size() > kCountMax - count()) return too_many();
    std::vector<Ranking::Bin> bins;
    bins.reserve(rows.labels.size());
    std::array<double, 2> odds{};
    for (std::size_t n = 0; n < rows.labels.size(); ++n) {
        class_log_odds(rows.row(n), rows.kind, odds);
        bins.push_back(bin_with(odds[1], rows.label(n) == 1));
        loss_.add(cross_entropy(rows, n));
    }
    ranking_.add(std::move(bins));
    return {};
}

Result<void> ScoreTally::merge(const ScoreTally& other) {
    if (other.count() > kCountMax - count()) return too_many();
    ranking_.merge(other.ranking_);
    loss_ += other.loss_;
    return {};
}

std::uint64_t ScoreTally::count() const {
    return ranking_.totals()[kNegatives] + ranking_.totals()[kPositives];
}

std::optional<double> ScoreTally::loss() const {
    if (count() == 0) return std::nullopt;
    return loss_.value() / static_cast<double>(count());
}

std::optional<double> ScoreTally::accuracy() const {
    if (count() == 0) return std::nullopt;
    const auto right = right_at_half(ranking_);
    return static_cast<double>(right[0] + right[1]) / static_cast<double>(count());
}

std::optional<double> ScoreTally::balanced_accuracy() const {
    const auto right = right_at_half(ranking_);
    double sum = 0.0;
    double occurring = 0.0;
    for (const auto one_class : {kNegatives, kPositives}) {
        const auto total = ranking_.totals()[one_class];
        if (total == 0) continue;
        sum += static_cast<double>(right[one_class]) / static_cast<double>(total);
        occurring += 1.0;
    }
    if (occurring == 0.0) return std::nullopt;
    return sum / occurring;
}

void ScoreTally::encode(ByteWriter& out) const {
    loss_.encode(out);
    ranking_.encode(out);
}

Result<ScoreTally> ScoreTally::decode(ByteReader& in) {
    ScoreTally tally;
    tally.loss_ = ExactSum::decode(in);
    tally.ranking_ = Ranking::decode(in);
    const bool sound = tally.ranking_.bins_max() == kBinsMax && tally.count() <= kCountMax &&
                       is_loss_of(tally.loss_, static_cast<double>(tally.count()));
    if (in.ok() && sound) return tally;
    return fail(FaultCode::BadFormat, "a tally of scores is cut or contradicts itself");
}

}  // namespace starling::compute
