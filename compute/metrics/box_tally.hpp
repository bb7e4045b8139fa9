#pragma once

// What an evaluation of a detector adds up.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/metrics/boxes.hpp"
#include "compute/metrics/score_bins.hpp"

namespace starling::compute {

/// For each class the number of true boxes, and hits and misses by score at each threshold of
/// overlap. Images merge exactly, in any order.
///
/// Average precision is exact where a class has at most bins_for(classes) different scores: 4,096 up
/// to 16 classes, 819 of 80. With more, scores in one bin enter the curve together, which changes the
/// precision of 20,000 random detections by less than 0.002. So do equal scores, which VOC's and
/// COCO's tools take in the order of the images.
/// Thread    any, one at a time
class BoxTally {
public:
    static constexpr std::size_t kClassesMax = std::size_t{1} << 16U;

    /// Requires  classes in [1, kClassesMax]
    explicit BoxTally(std::size_t classes);

    /// Adds one image, whole or not at all. Takes time for each pair of a detection and a true box
    /// of one class.
    /// Errors    BadValue: as check_boxes, or too many boxes in all
    [[nodiscard]] Result<void> add(
        std::span<const Detection> detections, std::span<const TrueBox> truths
    );

    /// Errors    BadValue: another number of classes, or too many boxes in all; nothing was merged
    [[nodiscard]] Result<void> merge(const BoxTally& other);

    [[nodiscard]] std::size_t classes() const { return classes_; }

    /// Returns the number of images.
    [[nodiscard]] std::uint64_t count() const { return images_; }

    /// Returns the number of true boxes of a class that are to be found.
    [[nodiscard]] std::uint64_t truths(std::size_t one_class) const;

    /// Returns the area under precision over recall, where the precision at a recall is the highest
    /// at that recall or a higher one. Empty for a class without true boxes.
    ///
    /// Requires  one_class < classes(), threshold < kThresholds
    /// Source    VOC2012's devkit, VOCap.m (all points, not the 11 of VOC2007 or the 101 of COCO)
    [[nodiscard]] std::optional<double> average_precision(
        std::size_t one_class, std::size_t threshold
    ) const;

    /// Return the mean over the classes that have true boxes, at an overlap of 0.5 and over all
    /// thresholds; empty where no class has any.
    [[nodiscard]] std::optional<double> map50() const;
    [[nodiscard]] std::optional<double> map() const;

    void encode(ByteWriter& out) const;

    /// Reads what encode() writes, and takes no more memory than a constant times the bytes.
    /// Errors    BadFormat: cut, out of range, or more hits than true boxes
    [[nodiscard]] static Result<BoxTally> decode(ByteReader& in);

    [[nodiscard]] bool operator==(const BoxTally& other) const = default;

private:
    /// Hits at each threshold, and then misses.
    using Found = ScoreBins<2 * kThresholds>;

    struct OneClass {
        std::uint64_t truths = 0;
        Found found;

        [[nodiscard]] std::optional<double> average_precision(std::size_t threshold) const;
        [[nodiscard]] bool operator==(const OneClass& other) const = default;
    };

    [[nodiscard]] OneClass& of(std::uint32_t one_class);
    [[nodiscard]] bool take_class(ByteReader& in, std::size_t& next);
    [[nodiscard]] std::optional<double> mean(std::size_t thresholds) const;

    std::size_t classes_;
    std::uint64_t images_ = 0;
    std::uint64_t detections_ = 0;  ///< the ignored ones too
    std::uint64_t truths_ = 0;
    /// The classes that occur or were found.
    std::map<std::uint32_t, OneClass> each_;
};

}  // namespace starling::compute
