#pragma once

// A model: its graph, and which values of it go in and come out.

#include <cstdint>
#include <string>
#include <vector>

#include "compute/graph/graph.hpp"

namespace starling::compute {

/// What the graph is for. Batch norm and dropout have one form for each.
enum class Purpose : std::uint8_t { Training, Inference };

/// Why a training graph is refused whose batch has one value for each channel of a batch norm: such a
/// value minus the mean is zero, and the channel learns nothing.
inline constexpr const char* kLoneBatchValue =
    "a batch of 1 has one value for each of its channels, and batch statistics want at least 2; "
    "give a larger --batch";

/// A statistic of the batch that moves an averaged buffer: buffer += momentum * (factor * batch -
/// buffer), after each training step.
struct RunningStatistic {
    std::string buffer;
    ValueId batch = ValueId::None;
    double momentum = 0.1;
    double factor = 1.0;  ///< n / (n - 1) for a variance, as in PyTorch
};

/// A forward graph: values [N, sample shape] and labels in; scores, answers and loss out. Labels
/// that are classes are [rows] int32, where a row is a sample or a token; others are [N, classes]
/// f32.
struct Model {
    Graph graph;
    ValueId values = ValueId::None;
    ValueId labels = ValueId::None;
    ValueId loss = ValueId::None;
    /// [rows, classes]: what the net gives, and an export too. Of a detector [N, classes + 4, H, W],
    /// see CentrePointLoss.
    ValueId scores = ValueId::None;
    /// What an evaluation reads: log-probabilities of classes, else the scores. Scores of labels
    /// that may hold at once come before the sigmoid.
    ValueId answers = ValueId::None;
    std::vector<RunningStatistic> statistics;  ///< empty for inference
    std::vector<std::string> notes;            ///< lines for people about a model file
};

}  // namespace starling::compute
