#include "compute/metrics/class_tally.hpp"

#include <algorithm>
#include <string>

#include "base/check.hpp"
#include "compute/metrics/packing.hpp"

namespace starling::compute {

namespace {

constexpr std::size_t kTop = 5;

std::optional<double> ratio(std::uint64_t part, std::uint64_t whole) {
    if (whole == 0) return std::nullopt;
    return static_cast<double>(part) / static_cast<double>(whole);
}

/// Returns how many classes come before the label: those with a higher score, or with the same and
/// a smaller number.
std::size_t rank_of(std::span<const float> row, std::size_t label) {
    std::size_t before = 0;
    for (std::size_t c = 0; c < row.size(); ++c) {
        before += row[c] > row[label] || (row[c] == row[label] && c < label) ? 1U : 0U;
    }
    return before;
}

}  // namespace

ClassTally::ClassTally(std::size_t classes) : classes_(classes) {
    STARLING_CHECK(classes >= 1 && classes <= kClassesMax);
}

Result<void> ClassTally::add(const ClassRows& rows) {
    if (rows.classes != classes_) {
        return fail(
            FaultCode::BadValue,
            "scores of " + std::to_string(rows.classes) + " classes do not fit a tally of " +
                std::to_string(classes_)
        );
    }
    if (auto checked = check_rows(rows); checked.has_error()) return checked;
    if (rows.labels.size() > kCountMax - count_) {
        return fail(FaultCode::BadValue, "a tally counts no more than 2^48 rows");
    }
    for (std::size_t n = 0; n < rows.labels.size(); ++n) {
        const auto row = rows.row(n);
        const auto label = rows.label(n);
        const auto best = std::max_element(row.begin(), row.end()) - row.begin();
        loss_.add(cross_entropy(rows, n));
        top5_ += rank_of(row, label) < kTop ? 1U : 0U;
        enter(label, static_cast<std::size_t>(best), 1);
    }
    return {};
}

void ClassTally::enter(std::size_t truth, std::size_t prediction, std::uint64_t times) {
    if (has_confusion()) {
        cells_[static_cast<std::uint32_t>(truth * classes_ + prediction)] += times;
    }
    count_ += times;
    tallied_[static_cast<std::uint32_t>(truth)].truths += times;
    tallied_[static_cast<std::uint32_t>(prediction)].predictions += times;
    if (truth != prediction) return;
    correct_ += times;
    tallied_[static_cast<std::uint32_t>(truth)].hits += times;
}

Result<void> ClassTally::merge(const ClassTally& other) {
    if (other.classes_ != classes_ || other.count_ > kCountMax - count_) {
        return fail(
            FaultCode::BadValue,
            "tallies of " + std::to_string(classes_) + " and " + std::to_string(other.classes_) +
                " classes do not merge, nor do more than 2^48 rows"
        );
    }
    count_ += other.count_;
    correct_ += other.correct_;
    top5_ += other.top5_;
    loss_ += other.loss_;
    for (const auto& [cell, times] : other.cells_) cells_[cell] += times;
    for (const auto& [one_class, tallied] : other.tallied_) {
        auto& mine = tallied_[one_class];
        mine.truths += tallied.truths;
        mine.predictions += tallied.predictions;
        mine.hits += tallied.hits;
    }
    return {};
}

std::uint64_t ClassTally::confusion(std::size_t truth, std::size_t prediction) const {
    STARLING_CHECK(has_confusion() && truth < classes_ && prediction < classes_);
    const auto found = cells_.find(static_cast<std::uint32_t>(truth * classes_ + prediction));
    return found == cells_.end() ? 0 : found->second;
}

std::optional<double> ClassTally::loss() const {
    if (count_ == 0) return std::nullopt;
    return loss_.value() / static_cast<double>(count_);
}

std::optional<double> ClassTally::accuracy() const {
    return ratio(correct_, count_);
}

std::optional<double> ClassTally::top5_accuracy() const {
    return ratio(top5_, count_);
}

ClassQuality ClassTally::quality_of(std::size_t one_class) const {
    STARLING_CHECK(one_class < classes_);
    ClassQuality quality;
    const auto found = tallied_.find(static_cast<std::uint32_t>(one_class));
    if (found == tallied_.end()) return quality;
    const auto [truths, predictions, hits] = found->second;
    quality.truths = truths;
    quality.predictions = predictions;
    quality.hits = hits;
    quality.precision = ratio(hits, predictions);
    quality.recall = ratio(hits, truths);
    quality.f1 = ratio(2 * hits, truths + predictions);
    return quality;
}

std::optional<double> ClassTally::balanced_accuracy() const {
    double sum = 0.0;
    std::size_t occurring = 0;
    for (const auto& [one_class, tallied] : tallied_) {
        const auto recall = ratio(tallied.hits, tallied.truths);
        if (!recall) continue;
        sum += *recall;
        ++occurring;
    }
    if (occurring == 0) return std::nullopt;
    return sum / static_cast<double>(occurring);
}

std::optional<double> ClassTally::macro_f1() const {
    if (tallied_.empty()) return std::nullopt;
    double sum = 0.0;
    for (const auto& [one_class, tallied] : tallied_) {
        sum += ratio(2 * tallied.hits, tallied.truths + tallied.predictions).value_or(0.0);
    }
    return sum / static_cast<double>(tallied_.size());
}

void ClassTally::encode(ByteWriter& out) const {
    put_packed(out, classes_);
    put_packed(out, top5_);
    loss_.encode(out);
    put_packed(out, has_confusion() ? cells_.size() : tallied_.size());
    std::uint32_t next = 0;
    if (has_confusion()) {
        for (const auto& [cell, times] : cells_) {
            put_packed(out, cell - next);
            put_packed(out, times);
            next = cell + 1;
        }
        return;
    }
    for (const auto& [one_class, tallied] : tallied_) {
        put_packed(out, one_class - next);
        put_packed(out, tallied.truths);
        put_packed(out, tallied.predictions);
        put_packed(out, tallied.hits);
        next = one_class + 1;
    }
}

/// Counts and hits follow from the cells, so that they cannot contradict them.
void ClassTally::take_cells(ByteReader& in) {
    const auto end = classes_ * classes_;
    const auto entries = take_packed(in, end);
    std::size_t next = 0;
    for (std::uint64_t i = 0; i < entries && in.ok(); ++i) {
        const auto cell = next + take_packed(in, end);
        const auto times = take_packed(in, kCountMax - count_);
        if (cell >= end || times == 0) return in.spoil();
        enter(cell / classes_, cell % classes_, times);
        next = cell + 1;
    }
}

void ClassTally::take_classes(ByteReader& in) {
    const auto entries = take_packed(in, classes_);
    std::uint64_t predictions = 0;
    std::size_t next = 0;
    for (std::uint64_t i = 0; i < entries && in.ok(); ++i) {
        const auto one_class = next + take_packed(in, classes_);
        Tallied tallied;
        tallied.truths = take_packed(in, kCountMax - count_);
        tallied.predictions = take_packed(in, kCountMax - predictions);
        tallied.hits = take_packed(in, std::min(tallied.truths, tallied.predictions));
        if (one_class >= classes_ || tallied == Tallied{}) return in.spoil();
        count_ += tallied.truths;
        predictions += tallied.predictions;
        correct_ += tallied.hits;
        tallied_[static_cast<std::uint32_t>(one_class)] = tallied;
        next = one_class + 1;
    }
    if (predictions != count_) in.spoil();
}

Result<ClassTally> ClassTally::decode(ByteReader& in) {
    const auto classes = static_cast<std::size_t>(take_packed(in, kClassesMax));
    ClassTally tally(std::max<std::size_t>(classes, 1));
    tally.top5_ = take_packed(in, kCountMax);
    tally.loss_ = ExactSum::decode(in);
    if (tally.has_confusion()) {
        tally.take_cells(in);
    } else {
        tally.take_classes(in);
    }
    const bool sound = tally.top5_ >= tally.correct_ && tally.top5_ <= tally.count_ &&
                       (classes > kTop || tally.top5_ == tally.count_) &&
                       is_loss_of(tally.loss_, static_cast<double>(tally.count_));
    if (in.ok() && classes > 0 && sound) return tally;
    return fail(FaultCode::BadFormat, "a tally of classes is cut or contradicts itself");
}

}  // namespace starling::compute
