#include "peer/terms/until.hpp"

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
};

}  // namespace

Result<Until> Until::parse(std::string_view text) {
    if (text.empty()) return Until{};
    const auto bad = fail(
        FaultCode::Usage,
        "--until " + std::string(text) +
            ": give samples=N, steps=N, epochs=N, accuracy=X (0 to 1) or loss=X"
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

}  // namespace starling::peer
