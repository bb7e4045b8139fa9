#pragma once

// The loss that belongs to a task's kind of labels.

#include "base/result.hpp"
#include "compute/graph/graph.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

/// The type of a model's labels for `rows` answers.
[[nodiscard]] TensorType label_type(const Task& task, Shape rows);

struct TrainingLoss {
    ValueId loss = ValueId::None;     ///< a scalar: the mean over the batch
    ValueId answers = ValueId::None;  ///< as Model::answers
};

/// Adds the loss to a graph: the softmax cross entropy of Class, the binary cross entropy of
/// Classes, the squared error or smooth L1 of Numbers, with the task's weights and beta; of Boxes a focal loss
/// of centres and L1 of sizes and offsets.
///
/// Shapes    scores [rows, classes] f32, for Boxes [N, classes + 4, H, W]; labels of label_type
/// Errors    BadValue (shapes that do not fit)
/// Thread    any
[[nodiscard]] Result<TrainingLoss> add_training_loss(
    Graph& graph, ValueId scores, ValueId labels, const Task& task
);

/// Returns the scores that the loss is to see while training: with Weighting::Scores the logarithms of the task's
/// weights are taken from them, in a softmax and in sigmoids alike; else they are as they were.
///
/// Shapes    as add_training_loss
/// Errors    none
/// Thread    any
/// Source    Menon et al., "Long-tail learning via logit adjustment" (arXiv 2007.07314), section 5.1, with tau = 1:
///           the prior is proportional to 1 / weight
[[nodiscard]] ValueId scores_to_train(Graph& graph, ValueId scores, const Task& task);

}  // namespace starling::compute
