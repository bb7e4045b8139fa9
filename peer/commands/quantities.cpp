#include "peer/commands/quantities.hpp"

#include <CLI/CLI.hpp>

namespace starling::peer {

bool split(const std::string& text, Quantity& out) {
    std::size_t used = 0;
    try {
        out.value = std::stod(text, &used);
    } catch (const std::exception&) {
        return false;
    }
    out.unit = text.substr(used);
    return out.value >= 0.0 && out.value < 1e12;
}

void wrong(const std::string& flag, const std::string& text, const std::string& allowed) {
    throw CLI::ValidationError(flag, "'" + text + "' is not " + allowed);
}

Duration parse_duration(const std::string& flag, const std::string& text) {
    Quantity q;
    if (split(text, q)) {
        if (q.unit == "us") return from_seconds(q.value * 1e-6);
        if (q.unit == "ms") return from_seconds(q.value * 1e-3);
        if (q.unit == "s" || (q.unit.empty() && q.value == 0.0)) return from_seconds(q.value);
        if (q.unit == "m" || q.unit == "min") return from_seconds(q.value * 60.0);
        if (q.unit == "h" && q.value < 1e5) return from_seconds(q.value * 3600.0);
    }
    wrong(flag, text, "a duration such as 500ms, 60s, 10m or 2h");
}

double parse_share(const std::string& flag, const std::string& text) {
    Quantity q;
    if (split(text, q)) {
        if (q.unit == "%" && q.value <= 100.0) return q.value / 100.0;
        if (q.unit.empty() && q.value <= 1.0) return q.value;
    }
    wrong(flag, text, "a share such as 1% or 0.01");
}

double parse_per_minute(const std::string& flag, const std::string& text) {
    Quantity q;
    if (split(text, q)) {
        if (q.unit == "/min" || q.unit == "/m") return q.value;
        if (q.unit == "/s") return q.value * 60.0;
        if (q.unit == "/h") return q.value / 60.0;
        if (q.unit.empty() && q.value == 0.0) return 0.0;
    }
    wrong(flag, text, "a rate such as 10/min, 1/s or 30/h");
}

double parse_bandwidth(const std::string& flag, const std::string& text) {
    Quantity q;
    if (split(text, q)) {
        double rate = 0.0;
        if (q.unit == "kbit") rate = q.value * 125.0;
        if (q.unit == "Mbit") rate = q.value * 125e3;
        if (q.unit == "Gbit") rate = q.value * 125e6;
        if (rate > 0.0) return rate;
    }
    wrong(flag, text, "a rate above 0 such as 100Mbit or 1Gbit");
}

}  // namespace starling::peer
