#include "compute/metrics/box_tally.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "compute/metrics/scores.hpp"

namespace starling::compute {

namespace {

constexpr std::size_t kMisses = kThresholds;

struct Group {
    std::vector<Detection> detections;
    std::vector<TrueBox> truths;
};

std::map<std::uint32_t, Group> by_class(
    std::span<const Detection> detections, std::span<const TrueBox> truths
) {
    std::map<std::uint32_t, Group> groups;
    for (const auto& detection : detections) {
        groups[static_cast<std::uint32_t>(detection.one_class)].detections.push_back(detection);
    }
    for (const auto& truth : truths) {
        groups[static_cast<std::uint32_t>(truth.one_class)].truths.push_back(truth);
    }
    return groups;
}

ScoreBins<2 * kThresholds>::Bin bin_with(float score, const Verdicts& verdicts) {
    ScoreBins<2 * kThresholds>::Bin bin{bin_of(log_odds(score, ScoreKind::Probability))};
    for (std::size_t t = 0; t < kThresholds; ++t) {
        if (verdicts[t] == Verdict::Hit) bin.counts[t] = 1;
        if (verdicts[t] == Verdict::Miss) bin.counts[kMisses + t] = 1;
    }
    return bin;
}

}  // namespace

BoxTally::BoxTally(std::size_t classes) : classes_(classes) {
    STARLING_CHECK(classes >= 1 && classes <= kClassesMax);
}

BoxTally::OneClass& BoxTally::of(std::uint32_t one_class) {
    return each_.try_emplace(one_class, OneClass{0, Found(bins_for(classes_))}).first->second;
}

Result<void> BoxTally::add(std::span<const Detection> detections, std::span<const TrueBox> truths) {
    if (auto checked = check_boxes(detections, truths, classes_); checked.has_error()) {
        return checked;
    }
    const bool fits = images_ < kCountMax && detections.size() <= kCountMax - detections_ &&
                      truths.size() <= kCountMax - truths_;
    if (!fits) return fail(FaultCode::BadValue, "a tally counts no more than 2^48 boxes");
    for (const auto& [one_class, group] : by_class(detections, truths)) {
        std::vector<Found::Bin> bins;
        const auto verdicts = judge(group.detections, group.truths);
        for (std::size_t i = 0; i < verdicts.size(); ++i) {
            const auto bin = bin_with(group.detections[i].score, verdicts[i]);
            if (bin.counts != Found::Counts{}) bins.push_back(bin);
        }
        const auto counted = static_cast<std::uint64_t>(std::count_if(
            group.truths.begin(),
            group.truths.end(),
            [](const TrueBox& truth) { return truth.regard == Regard::Counted; }
        ));
        if (bins.empty() && counted == 0) continue;
        auto& mine = of(one_class);
        mine.truths += counted;
        mine.found.add(std::move(bins));
        truths_ += counted;
    }
    ++images_;
    detections_ += detections.size();
    return {};
}

Result<void> BoxTally::merge(const BoxTally& other) {
    const bool fits = other.classes_ == classes_ && other.images_ <= kCountMax - images_ &&
                      other.detections_ <= kCountMax - detections_ &&
                      other.truths_ <= kCountMax - truths_;
    if (!fits) {
        return fail(
            FaultCode::BadValue,
            "tallies of " + std::to_string(classes_) + " and " + std::to_string(other.classes_) +
                " classes do not merge, nor do more than 2^48 boxes"
        );
    }
    images_ += other.images_;
    detections_ += other.detections_;
    truths_ += other.truths_;
    for (const auto& [one_class, theirs] : other.each_) {
        auto& mine = of(one_class);
        mine.truths += theirs.truths;
        mine.found.merge(theirs.found);
    }
    return {};
}

std::uint64_t BoxTally::truths(std::size_t one_class) const {
    STARLING_CHECK(one_class < classes_);
    const auto found = each_.find(static_cast<std::uint32_t>(one_class));
    return found == each_.end() ? 0 : found->second.truths;
}

std::optional<double> BoxTally::average_precision(std::size_t one_class, std::size_t threshold)
    const {
    STARLING_CHECK(one_class < classes_ && threshold < kThresholds);
    const auto found = each_.find(static_cast<std::uint32_t>(one_class));
    if (found == each_.end()) return std::nullopt;
    return found->second.average_precision(threshold);
}

/// Goes from the lowest scores up, so that the highest precision behind a point is known.
std::optional<double> BoxTally::OneClass::average_precision(std::size_t threshold) const {
    if (truths == 0) return std::nullopt;
    auto hits = static_cast<double>(found.totals()[threshold]);
    auto misses = static_cast<double>(found.totals()[kMisses + threshold]);
    double best = 0.0;
    double area = 0.0;
    for (const auto& bin : found.bins()) {
        if (hits == 0.0) break;
        best = std::max(best, hits / (hits + misses));
        const auto step = static_cast<double>(bin.counts[threshold]);
        area += step * best;
        hits -= step;
        misses -= static_cast<double>(bin.counts[kMisses + threshold]);
    }
    return area / static_cast<double>(truths);
}

std::optional<double> BoxTally::mean(std::size_t thresholds) const {
    double sum = 0.0;
    double counted = 0.0;
    for (const auto& [one_class, tallied] : each_) {
        for (std::size_t t = 0; t < thresholds; ++t) {
            const auto precision = tallied.average_precision(t);
            if (!precision) continue;
            sum += *precision;
            counted += 1.0;
        }
    }
    if (counted == 0.0) return std::nullopt;
    return sum / counted;
}

std::optional<double> BoxTally::map50() const {
    return mean(1);
}

std::optional<double> BoxTally::map() const {
    return mean(kThresholds);
}

void BoxTally::encode(ByteWriter& out) const {
    put_packed(out, classes_);
    put_packed(out, images_);
    put_packed(out, detections_);
    put_packed(out, each_.size());
    std::uint32_t next = 0;
    for (const auto& [one_class, tallied] : each_) {
        put_packed(out, one_class - next);
        put_packed(out, tallied.truths);
        tallied.found.encode(out);
        next = one_class + 1;
    }
}

/// Takes one class from `next` on, and moves `next` behind it.
bool BoxTally::take_class(ByteReader& in, std::size_t& next) {
    const auto one_class = next + take_packed(in, classes_);
    const auto truths = take_packed(in, kCountMax - truths_);
    auto found = Found::decode(in);
    if (!in.ok() || one_class >= classes_ || found.bins_max() != bins_for(classes_)) return false;
    if (truths == 0 && found.bins().empty()) return false;
    for (std::size_t t = 0; t < kThresholds; ++t) {
        const auto hits = found.totals()[t];
        if (hits > truths || hits + found.totals()[kMisses + t] > detections_) return false;
    }
    truths_ += truths;
    each_.emplace(static_cast<std::uint32_t>(one_class), OneClass{truths, std::move(found)});
    next = one_class + 1;
    return true;
}

Result<BoxTally> BoxTally::decode(ByteReader& in) {
    const auto classes = static_cast<std::size_t>(take_packed(in, kClassesMax));
    BoxTally tally(std::max<std::size_t>(classes, 1));
    tally.images_ = take_packed(in, kCountMax);
    tally.detections_ = take_packed(in, kCountMax);
    const auto entries = take_packed(in, classes);
    bool sound = classes > 0 && (tally.images_ > 0 || (tally.detections_ == 0 && entries == 0));
    std::size_t next = 0;
    for (std::uint64_t i = 0; i < entries && sound; ++i) sound = tally.take_class(in, next);
    if (in.ok() && sound) return tally;
    return fail(FaultCode::BadFormat, "a tally of boxes is cut or contradicts itself");
}

}  // namespace starling::compute
