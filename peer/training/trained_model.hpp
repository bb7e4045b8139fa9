#pragma once

// The model of a checkpoint, ready to answer.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/training/engine.hpp"
#include "data/preparation.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/model_file.hpp"

namespace starling::peer {

struct TrainedModel {
    Descriptor descriptor;
    std::unique_ptr<compute::ParameterStore> parameters;
};

/// Reads the newest sound checkpoint of a state directory. `other` replaces the descriptor's model by another one that the
/// parameters fit.
/// Errors    Usage (there is none), those of read_checkpoint; LayoutMismatch (another release's layers)
[[nodiscard]] Result<TrainedModel> load_trained(
    const std::filesystem::path& state, const ModelChoice* other = nullptr
);

/// Returns the mean of the models of several state directories of one swarm; of one, that model. Each weighs the
/// same.
/// Requires  at least one
/// Errors    as load_trained; Usage (of different swarms)
[[nodiscard]] Result<TrainedModel> load_mean(
    const std::vector<std::filesystem::path>& states, const ModelChoice* other = nullptr
);

/// Answers for samples that nobody has labelled.
/// Thread    one at a time
class Predictor {
public:
    /// Compiles the model for up to `batch` samples at a time.
    /// Requires  `model` outlives it
    /// Errors    those of Engine::create
    [[nodiscard]] static Result<Predictor> make(
        const TrainedModel& model, std::size_t batch, int threads
    );

    [[nodiscard]] std::size_t batch() const { return batch_; }

    /// Returns how many numbers one answer has; of tokens so many for each token.
    [[nodiscard]] std::size_t scores() const { return scores_; }

    /// Prepares records of samples as the swarm does, and lets the model answer.
    ///
    /// Requires  one to batch() records, no tokens
    /// Shapes    result [records, scores()]: probabilities of classes or labels, or numbers. Valid until the
    ///           next call
    /// Errors    those of the decoders, with the place of the record among these
    [[nodiscard]] Result<std::span<const float>> answer(std::span<const Bytes> records);

    /// A thing that a detector has found in a picture.
    struct Found {
        std::size_t label = 0;
        double score = 0.0;   ///< 0 to 1
        data::Region region;  ///< in pixels of the picture as it is stored
    };

    /// Lets a detector look at one picture. The surest come first.
    /// Errors    as answer()
    [[nodiscard]] Result<std::vector<Found>> find(const Bytes& record);

    /// Lets a model of tokens say how likely each token is to come next.
    ///
    /// Requires  one to the context's number of tokens, each below the number of tokens
    /// Shapes    result [scores()] log probabilities behind the last one. Valid until the next call
    [[nodiscard]] Result<std::span<const float>> next_token(std::span<const std::uint16_t> tokens);

private:
    Predictor(const TrainedModel& model, std::size_t batch);

    Result<void> prepare(std::span<const Bytes> records);
    Result<void> run(std::size_t samples);

    const TrainedModel* model_;
    std::size_t batch_;
    std::size_t scores_ = 0;
    data::Preparation preparation_;
    std::unique_ptr<compute::Engine> engine_;
    std::vector<float> values_;
    std::vector<std::int32_t> labels_;
    std::vector<float> targets_;
    std::vector<float> answers_;
};

/// How a continuation of a text is drawn.
struct TextDraw {
    std::size_t tokens = 200;
    double temperature = 0.8;  ///< 0 takes the likeliest token
    std::uint64_t seed = 1;
};

/// Continues a text token by token. An empty prompt begins behind a mark between documents, or with
/// the first token where there is none.
/// Errors    Usage (a character that the swarm's texts do not have; tokens that are bare numbers), those
///           of the model
[[nodiscard]] Result<std::string> continue_text(
    Predictor& predictor,
    const data::TokenRecipe& recipe,
    const std::string& prompt,
    const TextDraw& draw
);

}  // namespace starling::peer
