#include "peer/terms/training.hpp"

namespace starling::peer {

std::optional<double> Examined::value(compute::QualityKind kind) const {
    if (result.samples == 0) return std::nullopt;
    if (kind == compute::QualityKind::Loss) return result.loss();
    if (kind == compute::QualityKind::Accuracy) {
        return result.has_accuracy ? std::optional(result.accuracy()) : std::nullopt;
    }
    for (const auto& quality : qualities) {
        if (quality.kind == kind) return quality.value;
    }
    return std::nullopt;
}

}  // namespace starling::peer
