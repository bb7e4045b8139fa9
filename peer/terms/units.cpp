#include "peer/terms/units.hpp"

#include <charconv>
#include <string>

namespace starling::peer {

Result<double> parse_rate(std::string_view text) {
    struct Unit {
        std::string_view name;
        double bytes;
    };

    constexpr Unit kUnits[] = {
        {"kbit", 125.0},
        {"Mbit", 125e3},
        {"Gbit", 125e6},
        {"B", 1.0},
        {"kB", 1e3},
        {"MB", 1e6},
        {"GB", 1e9},
    };
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    for (const auto& known : kUnits) {
        const double rate = number * known.bytes;
        if (error == std::errc{} && unit == known.name && rate >= 1e3 && rate <= 1e12) return rate;
    }
    return fail(
        FaultCode::Usage,
        "'" + std::string(text) + "' is not a rate; write 10Mbit, 1Gbit, 500kB or 1.5MB (a second)"
    );
}

Result<std::uint64_t> parse_size(std::string_view text) {
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    double bytes = -1;
    if (unit == "kB") bytes = number * 1e3;
    if (unit == "MB") bytes = number * 1e6;
    if (unit == "GB") bytes = number * 1e9;
    if (unit == "TB") bytes = number * 1e12;
    // Not a number is in no range.
    const bool in_range = bytes >= 1e3 && bytes <= 1e15;
    if (error == std::errc{} && in_range) return static_cast<std::uint64_t>(bytes);
    return fail(
        FaultCode::Usage, "'" + std::string(text) + "' is not a size; write 500MB, 10GB or 1.5TB"
    );
}

Result<Duration> parse_duration(std::string_view text) {
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    double seconds = -1;
    if (unit == "ms") seconds = number / 1000;
    if (unit == "s") seconds = number;
    if (unit == "m") seconds = number * 60;
    if (unit == "h") seconds = number * 3600;
    // Not a number is in no range. What rounds to zero would read as no limit.
    const bool in_range = seconds > 0 && seconds <= 1e8;
    if (error != std::errc{} || !in_range || from_seconds(seconds) == Duration::zero()) {
        return fail(
            FaultCode::Usage,
            "'" + std::string(text) + "' is not a duration; write 500ms, 90s, 5m or 2h"
        );
    }
    return from_seconds(seconds);
}

}  // namespace starling::peer
