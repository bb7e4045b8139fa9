#pragma once

// The end of a model file: which of its last nodes belong to the loss, and what remains.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "compute/graph/graph.hpp"

namespace starling::compute {

/// What the numbers are that a value holds.
enum class Meaning : std::uint8_t { Scores, Probabilities, LogProbabilities };

struct Tail {
    ValueId scores = ValueId::None;
    Meaning meaning = Meaning::Scores;
    std::string node;  ///< the node that makes probabilities, cut or not; empty if there is none
    std::string op;    ///< its operator
    bool cut = false;  ///< whether `scores` are the values before it
};

/// Cuts a softmax over the classes from the end of a graph: a graph that ends in probabilities is
/// trained on its scores, because the loss applies a softmax of its own, and two in a row would
/// flatten the gradient. Behind the softmax there may be reshapes, a Transpose, a Dropout, a Log, and
/// the small bounds that keep a logarithm from infinity. What is left is looked at: a graph may end
/// in probabilities that no cut can mend, as those of a sigmoid.
[[nodiscard]] Tail cut_softmax(Graph& graph, ValueId output, std::int64_t classes);

/// Cuts a sigmoid from the end of a graph, whose answers are one or several numbers for each row.
[[nodiscard]] Tail cut_sigmoid(Graph& graph, ValueId output);

}  // namespace starling::compute
