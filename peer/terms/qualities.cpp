#include "peer/terms/qualities.hpp"

#include <algorithm>
#include <string>

#include "compute/metrics/tally.hpp"

namespace starling::peer {

namespace {

using compute::QualityKind;

std::vector<QualityKind> of_class(std::uint32_t classes) {
    using enum QualityKind;
    if (classes == 2) return {Auc, Ap, F1, Balanced, Accuracy, Loss};
    if (classes <= compute::LabelsTally::kRankingsMax) return {Accuracy, Balanced, F1, Auc, Loss};
    return {Accuracy, Balanced, F1, Loss};
}

/// Nobody knows how many bytes of text a bare number stands for.
std::vector<QualityKind> of_tokens(const data::Manifest& manifest) {
    const auto* tokens = std::get_if<data::TokenRecipe>(&manifest.recipe);
    const bool bytes = tokens != nullptr && tokens->tokenizer != data::Tokenizer::Numbers;
    if (bytes) return {QualityKind::Bpb, QualityKind::Loss, QualityKind::Accuracy};
    return {QualityKind::Loss, QualityKind::Accuracy};
}

}  // namespace

std::vector<QualityKind> known_qualities(const data::Manifest& manifest) {
    using enum QualityKind;
    const auto& label = manifest.schema.label;
    switch (label.kind) {
        case data::LabelKind::Class:
            return of_class(label.count);
        case data::LabelKind::Classes:
            if (label.count > compute::LabelsTally::kRankingsMax) return {Accuracy, Loss};
            return {Ap, Auc, F1, Accuracy, Loss};
        case data::LabelKind::Numbers:
            return {Mae, Loss};
        case data::LabelKind::Tokens:
            return of_tokens(manifest);
        case data::LabelKind::Boxes:
            return {Map50, Map, Loss};
        case data::LabelKind::None:
            break;
    }
    return {Loss};
}

QualityKind watched_quality(const data::Manifest& manifest, const Until& until) {
    const auto wanted = until.quality();
    const bool special = wanted && *wanted != QualityKind::Accuracy && *wanted != QualityKind::Loss;
    return special ? *wanted : known_qualities(manifest).front();
}

Result<void> check_quality(const data::Manifest& manifest, const Until& until) {
    const auto wanted = until.quality();
    if (!wanted) return {};
    const auto known = known_qualities(manifest);
    if (std::find(known.begin(), known.end(), *wanted) != known.end()) return {};
    std::string names;
    for (const auto kind : known) {
        names += (names.empty() ? "" : ", ") + std::string(compute::to_string(kind));
    }
    return fail(
        FaultCode::Usage,
        "--until " + until.to_string() + ": " + manifest.name + " has labels of kind " +
            std::string(data::to_string(manifest.schema.label.kind)) +
            ", of which an evaluation knows: " + names
    );
}

std::vector<compute::Tally> empty_tallies(const data::Label& label) {
    const auto count = label.count;
    switch (label.kind) {
        case data::LabelKind::Class: {
            // The first one that knows a quality tells it.
            if (count == 2) return {compute::ScoreTally(), compute::ClassTally(count)};
            std::vector<compute::Tally> tallies{compute::ClassTally(count)};
            if (count > 2 && count <= compute::LabelsTally::kRankingsMax) {
                tallies.emplace_back(compute::LabelsTally(compute::Rankings::OneVsRest, count));
            }
            return tallies;
        }
        case data::LabelKind::Classes:
            if (count > compute::LabelsTally::kRankingsMax) return {};
            return {compute::LabelsTally(compute::Rankings::Labels, count)};
        case data::LabelKind::Numbers:
            return {compute::NumberTally(count)};
        case data::LabelKind::Tokens:
            return {compute::TokenTally()};
        case data::LabelKind::Boxes:
            return {compute::BoxTally(count)};
        default:
            return {};  // there is nothing to learn
    }
}

}  // namespace starling::peer
