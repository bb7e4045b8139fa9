#include "gossip/config.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace starling::gossip {
namespace {

Fault out_of_range(const char* name, const std::string& value, const char* range) {
    return fail(
        FaultCode::Usage, std::string("averaging: ") + name + " is " + value + "; use " + range
    );
}

std::string text(Duration value) {
    return std::to_string(to_seconds(value)) + " s";
}

/// Written so that a NaN is outside every range.
bool within(double value, double low, double high) {
    return value >= low && value <= high;
}

struct Known {
    Encoding encoding;
    std::string_view name;
};

/// From the finest to the coarsest.
constexpr std::array<Known, 4> kOfFloats{{
    {Encoding::F32, "f32"},
    {Encoding::Bf16, "bf16"},
    {Encoding::Lattice8, "lattice8"},
    {Encoding::Lattice4, "lattice4"},
}};

/// Position among the encodings of floats; their number for all others.
std::size_t coarseness(Encoding encoding) {
    std::size_t at = 0;
    while (at < kOfFloats.size() && kOfFloats[at].encoding != encoding) ++at;
    return at;
}

}  // namespace

std::string_view to_string(Encoding encoding) {
    if (encoding == Encoding::Exact64) return "exact64";
    const std::size_t at = coarseness(encoding);
    return at < kOfFloats.size() ? kOfFloats[at].name : "unknown";
}

Result<Encoding> parse_encoding(std::string_view text) {
    for (const auto& known : kOfFloats) {
        if (known.name == text) return known.encoding;
    }
    return fail(
        FaultCode::Usage,
        "encoding '" + std::string(text) + "' is unknown; use f32, bf16, lattice8 or lattice4"
    );
}

std::optional<Encoding> agree(Encoding one, Encoding other) {
    if (one == Encoding::Exact64 && other == Encoding::Exact64) return one;
    const std::size_t at = coarseness(one);
    const std::size_t with = coarseness(other);
    if (at == kOfFloats.size() || with == kOfFloats.size()) return std::nullopt;
    return kOfFloats[std::min(at, with)].encoding;
}

Result<void> AveragerConfig::validate() const {
    using std::chrono::microseconds;
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    using std::chrono::seconds;
    if (!agree(encoding, encoding)) {
        const auto value = std::to_string(static_cast<unsigned>(encoding));
        return out_of_range("encoding", value, "f32, bf16, lattice8, lattice4 or exact64");
    }
    if (!(coefficient > 0.0 && coefficient <= 0.5)) {
        return out_of_range("coefficient", std::to_string(coefficient), "more than 0, at most 0.5");
    }
    if (encoding == Encoding::Exact64 && coefficient != 0.5) {
        return out_of_range("coefficient", std::to_string(coefficient), "0.5 with exact64");
    }
    if (window_bytes < 1 || window_bytes > kWindowMax) {
        return out_of_range("window_bytes", std::to_string(window_bytes), "1 B to 16 MiB");
    }
    if (deadline_base < milliseconds(1) || deadline_base > minutes(10)) {
        return out_of_range("deadline_base", text(deadline_base), "1 ms to 10 min");
    }
    if (!within(deadline_slack, 1.0, 100.0)) {
        return out_of_range("deadline_slack", std::to_string(deadline_slack), "1 to 100");
    }
    if (!within(initial_rate, 1e3, 1e12)) {
        return out_of_range("initial_rate", std::to_string(initial_rate), "1e3 to 1e12 B/s");
    }
    if (retry_locked < microseconds(1) || retry_locked > seconds(1)) {
        return out_of_range("retry_locked", text(retry_locked), "1 us to 1 s");
    }
    return {};
}

}  // namespace starling::gossip
