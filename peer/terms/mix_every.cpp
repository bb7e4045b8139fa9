#include "peer/terms/mix_every.hpp"

#include <charconv>

#include "base/spec.hpp"
#include "peer/terms/units.hpp"

namespace starling::peer {

Result<MixEvery> MixEvery::parse(std::string_view text) {
    MixEvery every;
    if (text == "auto") {
        every.by = MixBy::Auto;
        return every;
    }
    std::uint32_t steps = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, steps);
    if (error == std::errc{} && rest == end && steps > 0) {
        every.steps = steps;
        return every;
    }
    const auto time = parse_duration(text);
    if (time.has_error()) {
        return fail(
            FaultCode::Usage,
            "'" + std::string(text) +
                "' does not say how often; give auto, at least 1 step such as 8, or a time such as "
                "500ms"
        );
    }
    every.by = MixBy::Time;
    every.time = *time;
    return every;
}

std::string MixEvery::to_string() const {
    switch (by) {
        case MixBy::Steps:
            return std::to_string(steps) + (steps == 1 ? " step" : " steps");
        case MixBy::Time:
            return shortest_text(to_seconds(time)) + " s";
        case MixBy::Auto:
            return "auto";
    }
    return "unknown";
}

}  // namespace starling::peer
