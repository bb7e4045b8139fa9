#pragma once

// What an engine computes and in which numbers, and what it reports of itself: plain values.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace starling::compute {

/// What the labels of samples are.
enum class LabelKind : std::uint8_t {
    Class,    ///< one class of several for each sample, or for each token of a sample
    Classes,  ///< for each of several labels whether it holds; any number may hold at once
    Numbers,  ///< one or more real numbers for each sample
    Boxes,    ///< boxes in a picture, each of one class of several
};

/// Where the weights of classes act, which is in training alone.
enum class Weighting : std::uint8_t {
    Loss,  ///< each sample's loss counts as much as its class
    /// The logarithm of its weight is taken from each score before the loss (logit adjustment). So the scores
    /// themselves are those of samples in which a class is the more frequent, the higher its weight is.
    Scores,
};

/// The numbers of a row of targets for Boxes.
inline constexpr std::int64_t kBoxNumbers = 5;
/// No picture has more boxes than this.
inline constexpr std::int64_t kBoxRowsMax = 4096;

/// The problem that a model is built for.
struct Task {
    std::vector<std::int64_t> sample_shape;  ///< C, H, W
    /// The number of scores of an answer: classes, labels that may hold at once, or numbers; for
    /// Boxes the classes.
    std::int64_t classes = 0;
    /// How many labels of kind Class the data have for each sample; 0 where no data are known yet,
    /// and a model may have as many as it likes.
    std::int64_t labels = 0;
    LabelKind kind = LabelKind::Class;
    /// For Class a weight of each class, for Classes a weight of each label where it holds
    /// (`pos_weight`). Empty: all are 1.
    std::vector<float> weights = {};
    /// For Numbers: 0 for the squared error, else where smooth L1 turns from a square into a line.
    double beta = 0.0;
    /// Of a table: its first columns are categories, each with so many codes from 0 on.
    std::vector<std::int64_t> categories = {};
    /// For Boxes how many rows of targets a picture has; see Batch.
    std::int64_t boxes = 0;
    Weighting weighting = Weighting::Loss;
};

/// Checks that a task is one that a model can be built for: samples that are not empty and not too
/// large, at least two classes or one label or number, weights and beta that are positive and
/// finite, and that belong to the kind of labels.
/// Errors    BadValue
/// Thread    any
[[nodiscard]] Result<void> check_task(const Task& task);

/// Describes the data of a task for people: `samples of shape [1, 28, 28] with one of 10 classes`.
/// Thread    any
[[nodiscard]] std::string describe_task(const Task& task);

/// In which type weights and activations flow. Masters, statistics, losses and the optimizer stay
/// f32 in any case, and products of bf16 are summed in f32.
enum class Precision : std::uint8_t { F32, Bf16, Auto };

/// Parses f32, bf16, auto.
/// Errors    Usage
[[nodiscard]] Result<Precision> parse_precision(std::string_view text);
[[nodiscard]] std::string_view to_string(Precision precision);

/// Reads seconds from some clock: compute owns none.
using Stopwatch = double (*)();

/// One kernel of a profiled step.
struct KernelTime {
    std::string name;
    std::string op;  ///< the operator, or Reorder, Pack, Update
    double seconds = 0.0;
    double flops = 0.0;  ///< of convolutions and matrix products; zero for others
    double bytes = 0.0;  ///< of all operands
};

/// Bytes that an engine holds for as long as it lives; the store's own are not part of it.
struct MemoryUse {
    std::size_t activations = 0;  ///< the planned arenas of temporaries
    std::size_t lasting = 0;      ///< packed weights, inputs and outputs
    std::size_t weights = 0;      ///< copies of the weights that all plans share
    std::size_t gradients = 0;
    std::size_t optimizer = 0;

    [[nodiscard]] std::size_t total() const {
        return activations + lasting + weights + gradients + optimizer;
    }
};

}  // namespace starling::compute
