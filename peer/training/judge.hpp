#pragma once

// What an evaluation says beyond loss and accuracy: which tallies suit the labels of a data set, and what
// they know at the end.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
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

    /// Keeps only the tally that knows this quality, or none where no tally is needed for it.
    Judge(const data::Manifest& manifest, compute::QualityKind only);

    /// Returns the part of it that knows this quality, with what it has seen.
    [[nodiscard]] Judge only(compute::QualityKind kind) const;

    /// Adds what a model has answered for a batch, all of it or nothing.
    ///
    /// Shapes    answers as Engine::answers()
    /// Errors    BadValue, with the place: an answer that is not finite, a label that is none
    [[nodiscard]] Result<void> add(std::span<const float> answers, const compute::Batch& batch);

    /// Adds what another judge of the same labels and qualities has seen.
    /// Errors    BadValue: others, or counts beyond 2^48; nothing was merged
    [[nodiscard]] Result<void> merge(const Judge& other);

    /// Forgets all answers.
    void clear();

    /// Returns how many samples, tokens, numbers or images were added.
    [[nodiscard]] std::uint64_t count() const;

    /// Returns a quality by the name of --until; nothing where it is unknown or would be 0 / 0. The F1 of two
    /// classes is the best over all thresholds, and that of more the mean over classes.
    [[nodiscard]] std::optional<double> quality(compute::QualityKind kind) const;

    /// Returns all that are known of `kinds`, in their order.
    [[nodiscard]] std::vector<compute::Quality> known(std::span<const compute::QualityKind> kinds
    ) const;

    [[nodiscard]] const std::vector<compute::Tally>& tallies() const { return tallies_; }

    /// Returns the qualities that are known, by the names that programs of this field use. Of one class:
    /// balanced_accuracy, macro_f1, top5_accuracy (of more than five); auc, with two classes also
    /// average_precision, best_f1 and its threshold. Of several labels auc, average_precision, best_f1.
    /// Of numbers rmse and r2. Of tokens perplexity and bits_per_byte. Of boxes map50 and map.
    [[nodiscard]] nlohmann::json qualities() const;

    /// Returns for each class its name, samples, precision, recall and F1; of boxes their number and
    /// average precision; nothing for other labels.
    [[nodiscard]] nlohmann::json classes() const;

private:
    [[nodiscard]] Result<void> add_to(
        compute::Tally& tally, std::span<const float> answers, const compute::Batch& batch
    ) const;

    [[nodiscard]] Result<void> add_boxes(
        compute::BoxTally& tally, std::span<const float> answers, std::span<const float> targets
    ) const;
    [[nodiscard]] std::string name_of(std::size_t one_class) const;

    data::Label label_;
    std::vector<compute::Tally> empty_;  ///< the tallies before the first answer
    data::Size picture_;                 ///< as the model is fed it; known for boxes
    std::vector<compute::Tally> tallies_;
    std::vector<std::uint32_t>
        token_bytes_;  ///< of each token, the bytes of text that it stands for
};

}  // namespace starling::peer
