#pragma once

// What an evaluation says beyond loss and accuracy: which tallies suit the labels of a data set, and what
// they know at the end.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "compute/metrics/tally.hpp"
#include "compute/values/batch.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

/// Thread    compute
class Judge {
public:
    explicit Judge(const data::Manifest& manifest);

    /// Adds what a model has answered for a batch, all of it or nothing.
    ///
    /// Shapes    answers as Engine::answers()
    /// Errors    BadValue, with the place: an answer that is not finite, a label that is none
    [[nodiscard]] Result<void> add(std::span<const float> answers, const compute::Batch& batch);

    [[nodiscard]] const std::vector<compute::Tally>& tallies() const { return tallies_; }

    /// Returns the qualities that are known, by the names that programs of this field use. Of one class:
    /// balanced_accuracy, macro_f1, top5_accuracy (of more than five); auc, with two classes also
    /// average_precision, best_f1 and its threshold. Of several labels auc, average_precision, best_f1.
    /// Of numbers rmse and r2. Of tokens perplexity and bits_per_byte.
    [[nodiscard]] nlohmann::json qualities() const;

    /// Returns for each class its name, samples, precision, recall and F1; nothing for other labels.
    [[nodiscard]] nlohmann::json classes() const;

private:
    [[nodiscard]] Result<void> add_to(
        compute::Tally& tally, std::span<const float> answers, const compute::Batch& batch
    ) const;

    data::Label label_;
    std::vector<compute::Tally> tallies_;
    std::vector<std::uint32_t>
        token_bytes_;  ///< of each token, the bytes of text that it stands for
};

}  // namespace starling::peer
