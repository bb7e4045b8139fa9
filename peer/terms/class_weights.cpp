#include "peer/terms/class_weights.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "data/shard_view.hpp"
#include "peer/terms/data_set.hpp"

namespace starling::peer {

namespace {

constexpr std::array<std::pair<std::string_view, ClassWeighting>, 3> kNames{{
    {"none", ClassWeighting::None},
    {"balanced", ClassWeighting::Balanced},
    {"logits", ClassWeighting::Logits},
}};

/// A shift of scores by the logarithm of this is small beside what a net can say, and whose patients are all ill but
/// one in 500 should not lean to them. In the loss one sample of that weight would be most of its batch.
constexpr double kLogitRatioMax = 1000.0;

/// Classes that a line for people names.
constexpr std::size_t kNamedMax = 10;

/// Each label counts as a choice between two classes.
float positive_weight(std::uint64_t holds, std::uint64_t samples, double most) {
    const double ratio =
        (static_cast<double>(samples - holds) + 1.0) / (static_cast<double>(holds) + 1.0);
    const double bounded = std::clamp(ratio, 1.0 / most, most);
    return static_cast<float>(bounded);
}

/// `normal 2.1 (of 86 samples), pneumonia 0.7 (of 420)`
std::string told(
    const data::Label& label, const ClassCounts& counts, const std::vector<float>& weights
) {
    std::string text;
    for (std::size_t i = 0; i < std::min(weights.size(), kNamedMax); ++i) {
        std::array<char, 32> number{};
        (void)std::snprintf(number.data(), number.size(), "%.3g", static_cast<double>(weights[i]));
        text += (i > 0 ? ", " : "") +
                (label.names.empty() ? std::to_string(i) : printable(label.names[i])) + " " +
                number.data() + " (of " + std::to_string(counts.of_class[i]) +
                (i == 0 ? " samples)" : ")");
    }
    return text + (weights.size() > kNamedMax ? ", ..." : "");
}

/// As balanced_weights(), with this bound on ratios.
std::vector<float> bounded_weights(
    data::LabelKind kind, const ClassCounts& counts, double ratio_max
) {
    if (counts.samples == 0) return {};
    std::vector<float> weights;
    if (kind == data::LabelKind::Classes) {
        for (const auto holds : counts.of_class) {
            weights.push_back(positive_weight(holds, counts.samples, ratio_max));
        }
        return weights;
    }
    const auto most = *std::max_element(counts.of_class.begin(), counts.of_class.end());
    std::vector<double> raw;
    double sum = 0.0;
    for (const auto count : counts.of_class) {
        const double ratio = (static_cast<double>(most) + 1.0) / (static_cast<double>(count) + 1.0);
        raw.push_back(std::min(ratio, ratio_max));
        sum += static_cast<double>(count) * raw.back();
    }
    const double scale = static_cast<double>(counts.samples) / sum;
    for (const double weight : raw) weights.push_back(static_cast<float>(scale * weight));
    return weights;
}

}  // namespace

Result<ClassWeighting> parse_class_weighting(std::string_view text) {
    for (const auto& [name, weighting] : kNames) {
        if (name == text) return weighting;
    }
    return fail(
        FaultCode::Usage,
        "'" + std::string(text) +
            "' does not say how classes are weighted; give none, balanced or logits"
    );
}

ClassCounts count_classes(const CutShards& data) {
    const auto& manifest = data.manifest;
    const auto& label = manifest.schema.label;
    STARLING_CHECK(data.shards.size() == manifest.shards.size());
    ClassCounts counts;
    counts.of_class.resize(label.count);
    for (std::size_t i = 0; i < data.shards.size(); ++i) {
        if (manifest.shards[i].split != data::Split::Train) continue;
        // A folder of shards may hold anything. What is wrong with it, whoever holds its shards says.
        const auto shard = data::open_shard(data.shards[i], manifest.shards[i], manifest);
        if (!shard) continue;
        for (std::uint32_t sample = 0; sample < shard->samples; ++sample) {
            const auto value = data::read_label(label, shard->label_of(sample));
            for (const auto one : value->classes) ++counts.of_class[one];
        }
        counts.samples += shard->samples;
    }
    return counts;
}

std::vector<float> balanced_weights(data::LabelKind kind, const ClassCounts& counts) {
    return bounded_weights(kind, counts, kClassWeightRatioMax);
}

Result<std::vector<float>> weigh_classes(
    ClassWeighting weighting, const CutShards& data, std::vector<std::string>& notes
) {
    if (weighting == ClassWeighting::None) return std::vector<float>{};
    const auto& label = data.manifest.schema.label;
    if (label.kind != data::LabelKind::Class && label.kind != data::LabelKind::Classes) {
        return fail(
            FaultCode::Usage,
            "--class-weights: the labels are " + std::string(data::to_string(label.kind)) +
                ", not classes; leave it out"
        );
    }
    if (!label.weights.empty()) {
        return fail(
            FaultCode::Usage,
            "--class-weights: the data bring weights of classes (balance or pos_weight); give one "
            "of both"
        );
    }
    const auto counts = count_classes(data);
    const bool shifts = weighting == ClassWeighting::Logits;
    auto weights =
        bounded_weights(label.kind, counts, shifts ? kLogitRatioMax : kClassWeightRatioMax);
    if (!weights.empty()) notes.push_back("class weights: " + told(label, counts, weights));
    return weights;
}

}  // namespace starling::peer
