#include "compute/metrics/labels_tally.hpp"

#include <string>
#include <utility>

#include "base/check.hpp"
#include "base/range.hpp"

namespace starling::compute {

namespace {

using Fresh = std::vector<std::vector<Ranking::Bin>>;

void put(std::vector<Ranking::Bin>& bins, double odds, bool positive) {
    Ranking::Bin bin{bin_of(odds)};
    bin.counts[positive ? kPositives : kNegatives] = 1;
    bins.push_back(bin);
}

std::uint64_t total(const Ranking& ranking) {
    return ranking.totals()[kNegatives] + ranking.totals()[kPositives];
}

Fault unfit(std::size_t rankings) {
    return fail(
        FaultCode::BadValue,
        "samples or a tally do not fit a tally of " + std::to_string(rankings) +
            " labels or classes, or are more than 2^48 in all"
    );
}

template <class Value>
std::optional<double> mean_of(const std::vector<Ranking>& rankings, Value value_of) {
    double sum = 0.0;
    double counted = 0.0;
    for (const auto& ranking : rankings) {
        const std::optional<double> value = value_of(ranking);
        if (!value) continue;
        sum += *value;
        counted += 1.0;
    }
    if (counted == 0.0) return std::nullopt;
    return sum / counted;
}

}  // namespace

LabelsTally::LabelsTally(Rankings rankings, std::size_t count)
    : kind_(rankings),
      rankings_(count, Ranking(bins_for(count))) {
    STARLING_CHECK(count <= kRankingsMax && count >= (rankings == Rankings::Labels ? 1U : 2U));
}

Result<void> LabelsTally::add(
    std::span<const float> scores, std::span<const float> targets, ScoreKind kind
) {
    const auto labels = rankings_.size();
    const auto samples = scores.size() / labels;
    const bool fits = kind_ == Rankings::Labels && scores.size() == targets.size() &&
                      samples * labels == scores.size() && samples <= kCountMax - count();
    if (!fits) return unfit(labels);
    if (auto checked = check_scores(scores, kind); checked.has_error()) return checked;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (within(targets[i], 0.0F, 1.0F)) continue;
        return fail(FaultCode::BadValue, "target " + std::to_string(i) + " is not in [0, 1]");
    }
    Fresh fresh(labels);
    for (std::size_t i = 0; i < scores.size(); ++i) {
        put(fresh[i % labels], log_odds(scores[i], kind), targets[i] > 0.5F);
        loss_.add(binary_cross_entropy(scores[i], targets[i], kind));
    }
    for (std::size_t c = 0; c < labels; ++c) rankings_[c].add(std::move(fresh[c]));
    return {};
}

Result<void> LabelsTally::add(const ClassRows& rows) {
    const auto classes = rankings_.size();
    const bool fits = kind_ == Rankings::OneVsRest && rows.classes == classes &&
                      rows.labels.size() <= kCountMax - count();
    if (!fits) return unfit(classes);
    if (auto checked = check_rows(rows); checked.has_error()) return checked;
    Fresh fresh(classes);
    std::vector<double> odds(classes);
    for (std::size_t n = 0; n < rows.labels.size(); ++n) {
        class_log_odds(rows.row(n), rows.kind, odds);
        for (std::size_t c = 0; c < classes; ++c) put(fresh[c], odds[c], rows.label(n) == c);
        loss_.add(cross_entropy(rows, n));
    }
    for (std::size_t c = 0; c < classes; ++c) rankings_[c].add(std::move(fresh[c]));
    return {};
}

Result<void> LabelsTally::merge(const LabelsTally& other) {
    const bool fits = other.kind_ == kind_ && other.rankings_.size() == rankings_.size() &&
                      other.count() <= kCountMax - count();
    if (!fits) return unfit(rankings_.size());
    for (std::size_t c = 0; c < rankings_.size(); ++c) rankings_[c].merge(other.rankings_[c]);
    loss_ += other.loss_;
    return {};
}

std::uint64_t LabelsTally::count() const {
    return total(rankings_.front());
}

std::optional<double> LabelsTally::loss() const {
    if (count() == 0) return std::nullopt;
    return loss_.value() / losses();
}

double LabelsTally::losses() const {
    const auto each = kind_ == Rankings::Labels ? rankings_.size() : 1U;
    return static_cast<double>(count()) * static_cast<double>(each);
}

std::optional<double> LabelsTally::accuracy() const {
    if (kind_ != Rankings::Labels) return std::nullopt;
    return mean_of(rankings_, [](const Ranking& ranking) -> std::optional<double> {
        if (total(ranking) == 0) return std::nullopt;
        const auto right = right_at_half(ranking);
        return static_cast<double>(right[0] + right[1]) / static_cast<double>(total(ranking));
    });
}

std::optional<double> LabelsTally::macro_auc() const {
    return mean_of(rankings_, roc_auc);
}

std::optional<double> LabelsTally::macro_average_precision() const {
    return mean_of(rankings_, average_precision);
}

std::optional<double> LabelsTally::macro_best_f1() const {
    return mean_of(rankings_, [](const Ranking& ranking) -> std::optional<double> {
        const auto best = best_f1(ranking);
        if (!best) return std::nullopt;
        return best->f1;
    });
}

void LabelsTally::encode(ByteWriter& out) const {
    out.put(kind_);
    put_packed(out, rankings_.size());
    loss_.encode(out);
    for (const auto& ranking : rankings_) ranking.encode(out);
}

/// Every ranking has all samples, and each sample has one class.
bool LabelsTally::is_sound() const {
    std::uint64_t positives = 0;
    for (const auto& ranking : rankings_) {
        if (total(ranking) != count() || ranking.bins_max() != bins_for(rankings_.size())) {
            return false;
        }
        positives += ranking.totals()[kPositives];
    }
    return count() <= kCountMax && (kind_ == Rankings::Labels || positives == count()) &&
           is_loss_of(loss_, losses());
}

Result<LabelsTally> LabelsTally::decode(ByteReader& in) {
    const auto kind = in.take<std::uint8_t>();
    const auto count = static_cast<std::size_t>(take_packed(in, kRankingsMax));
    if (!in.ok() || kind > 1 || count < kind + 1U) {
        return fail(FaultCode::BadFormat, "a tally of labels does not begin as one");
    }
    LabelsTally tally(static_cast<Rankings>(kind), count);
    tally.loss_ = ExactSum::decode(in);
    for (auto& ranking : tally.rankings_) {
        ranking = Ranking::decode(in);
        if (!in.ok()) break;
    }
    if (in.ok() && tally.is_sound()) return tally;
    return fail(FaultCode::BadFormat, "a tally of labels is cut or contradicts itself");
}

}  // namespace starling::compute
