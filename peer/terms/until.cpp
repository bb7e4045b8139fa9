#include "peer/terms/until.hpp"

#include <algorithm>
#include <cmath>

#include "base/spec.hpp"

namespace starling::peer {

namespace {

struct UntilName {
    UntilKind kind;
    const char* name;
    double low;
    double high;
};

constexpr UntilName kUntilNames[] = {
    {UntilKind::Samples, "samples", 1, 1e18},
    {UntilKind::Steps, "steps", 1, 1e18},
    {UntilKind::Epochs, "epochs", 1e-3, 1e9},
    {UntilKind::Accuracy, "accuracy", 0, 1},
    {UntilKind::Loss, "loss", 0, 1e9},
    {UntilKind::Auc, "auc", 0, 1},
    {UntilKind::Ap, "ap", 0, 1},
    {UntilKind::F1, "f1", 0, 1},
    {UntilKind::Map50, "map50", 0, 1},
    {UntilKind::Map, "map", 0, 1},
    {UntilKind::Bpb, "bpb", 0, 1e9},
    {UntilKind::Balanced, "balanced", 0, 1},
    {UntilKind::Mae, "mae", 0, 1e18},
};

}  // namespace

Result<Until> Until::parse(std::string_view text) {
    if (text.empty()) return Until{};
    const auto bad = fail(
        FaultCode::Usage,
        "--until " + std::string(text) +
            ": give samples=N, steps=N, epochs=N, or a quality: accuracy, balanced, auc, ap, f1, "
            "map50 or map "
            "(=X from 0 to 1), loss, bpb or mae (=X from 0 on)"
    );
    // The spec parser reads `until?accuracy=0.9`, so numbers are checked as everywhere else.
    const auto spec = Spec::parse("until?" + std::string(text));
    if (spec.has_error() || spec->options.size() != 1) return bad;
    for (const auto& entry : kUntilNames) {
        if (spec->options.begin()->first != entry.name) continue;
        const auto value = spec->real(entry.name, 0, entry.low, entry.high);
        if (value.has_error()) return bad;
        return Until{entry.kind, *value};
    }
    return bad;
}

std::string Until::to_string() const {
    for (const auto& entry : kUntilNames) {
        if (kind != entry.kind) continue;
        std::string number = value == std::floor(value)
                                 ? std::to_string(static_cast<std::int64_t>(value))
                                 : std::to_string(value);
        if (number.find('.') != std::string::npos) {
            number.erase(number.find_last_not_of('0') + 1);
        }
        return std::string(entry.name) + "=" + number;
    }
    return "";
}

Until own_until(const Until& until, const data::Manifest& manifest, std::uint32_t batch) {
    const bool own = manifest.mode == data::DataMode::Private;
    if (!own || until.kind != UntilKind::Epochs) return until;
    const auto samples = static_cast<double>(manifest.samples(data::Split::Train));
    const double steps = until.value * samples / batch;
    return {UntilKind::Steps, std::max(1.0, std::ceil(steps))};
}

std::optional<compute::QualityKind> Until::quality() const {
    switch (kind) {
        case UntilKind::Forever:
        case UntilKind::Samples:
        case UntilKind::Steps:
        case UntilKind::Epochs:
            return std::nullopt;
        case UntilKind::Accuracy:
            return compute::QualityKind::Accuracy;
        case UntilKind::Loss:
            return compute::QualityKind::Loss;
        case UntilKind::Auc:
            return compute::QualityKind::Auc;
        case UntilKind::Ap:
            return compute::QualityKind::Ap;
        case UntilKind::F1:
            return compute::QualityKind::F1;
        case UntilKind::Map50:
            return compute::QualityKind::Map50;
        case UntilKind::Map:
            return compute::QualityKind::Map;
        case UntilKind::Bpb:
            return compute::QualityKind::Bpb;
        case UntilKind::Balanced:
            return compute::QualityKind::Balanced;
        case UntilKind::Mae:
            return compute::QualityKind::Mae;
    }
    return std::nullopt;
}

}  // namespace starling::peer
