#include "gossip/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "base/range.hpp"
#include "base/spec.hpp"

namespace starling::gossip {
namespace {

/// As base/range.hpp has it, and in the words of averaging.
Fault out_of_range(std::string_view name, const std::string& value, const std::string& range) {
    return starling::out_of_range("averaging: " + std::string(name), value, "use " + range);
}

std::string text(Duration value) {
    return std::to_string(to_seconds(value)) + " s";
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

std::string_view to_string(Rule rule) {
    switch (rule) {
        case Rule::Pairwise:
            return "pairwise";
        case Rule::PushSum:
            return "push-sum";
        case Rule::Noloco:
            return "noloco";
        case Rule::None:
            return "none";
        case Rule::Pull:
            return "pull";
    }
    return "unknown";
}

namespace {

/// Above, the distance between slow weights grows from outer step to outer step (Eq. 74, n = 2).
double gamma_bound(double alpha) {
    return std::sqrt(2.0 + alpha * alpha);
}

Result<Mix> parse_noloco(const Spec& spec) {
    if (const auto ok = spec.only("h,alpha,beta,gamma"); ok.has_error()) return ok.error();
    Mix mix;
    mix.rule = Rule::Noloco;
    const auto steps = spec.integer("h", 0, 0, 1'000'000);
    const auto alpha = spec.real("alpha", mix.alpha, 0.0, 0.99);
    const auto beta = spec.real("beta", mix.beta, 1e-3, 2.0);
    const auto gamma = spec.real("gamma", mix.gamma, 0.0, 2.0);
    if (steps.has_error()) return steps.error();
    if (alpha.has_error()) return alpha.error();
    if (beta.has_error()) return beta.error();
    if (gamma.has_error()) return gamma.error();
    mix.steps = static_cast<std::uint32_t>(*steps);
    mix.alpha = *alpha;
    mix.beta = *beta;
    mix.gamma = *gamma;
    if (mix.gamma >= gamma_bound(mix.alpha)) {
        return out_of_range(
            "noloco's gamma", std::to_string(mix.gamma), "less than sqrt(2 + alpha^2)"
        );
    }
    return mix;
}

}  // namespace

Result<Mix> Mix::parse(std::string_view text) {
    const auto spec = Spec::parse(text);
    if (spec.has_error()) return spec.error();
    if (spec->name == "noloco" && spec->path.empty()) return parse_noloco(*spec);
    for (const auto rule : {Rule::Pairwise, Rule::PushSum, Rule::None}) {
        if (spec->name != gossip::to_string(rule) || !spec->path.empty()) continue;
        if (const auto ok = spec->only(""); ok.has_error()) return ok.error();
        Mix mix;
        mix.rule = rule;
        return mix;
    }
    return fail(
        FaultCode::Usage,
        "averaging rule '" + std::string(text) +
            "' is unknown; use pairwise, push-sum, none or "
            "noloco?h=50&alpha=0.5&beta=0.7&gamma=0.7"
    );
}

std::string Mix::to_string() const {
    std::string text(gossip::to_string(rule));
    if (rule != Rule::Noloco) return text;
    text += "?alpha=" + shortest_text(alpha) + "&beta=" + shortest_text(beta) +
            "&gamma=" + shortest_text(gamma);
    if (steps > 0) text += "&h=" + std::to_string(steps);
    return text;
}

Result<std::uint32_t> parse_share(std::string_view text) {
    double value = 0.0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    if (unit == "%") value /= 100.0;
    const bool sound = error == std::errc{} && (unit.empty() || unit == "%");
    if (!sound || !within(value, 1.0 / kPartsMax, 1.0)) {
        return fail(
            FaultCode::Usage,
            "share '" + std::string(text) + "' is not one; use 0.1% to 100%, such as 5% or 0.05"
        );
    }
    return static_cast<std::uint32_t>(std::lround(1.0 / value));
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
    if (weight_max > 16) return out_of_range("weight_max", std::to_string(weight_max), "0 to 16");
    if (mix.rule == Rule::Pull) return out_of_range("mix", "pull", "a rule for a whole swarm");
    if (mix.rule == Rule::PushSum && encoding != Encoding::F32 && encoding != Encoding::Bf16) {
        // A one-way message meets no value that it could be decoded beside.
        return out_of_range(
            "encoding", std::string(to_string(encoding)), "f32 or bf16 with push-sum"
        );
    }
    if (mix.rule == Rule::Noloco) {
        if (encoding == Encoding::Exact64) {
            return out_of_range("encoding", "exact64", "floats with noloco");
        }
        if (!within(mix.alpha, 0.0, 0.99) || !within(mix.beta, 1e-3, 2.0) ||
            !(mix.gamma >= 0.0 && mix.gamma < gamma_bound(mix.alpha))) {
            return out_of_range("mix", mix.to_string(), "alpha and gamma within NoLoCo's bounds");
        }
    }
    if (!within(parts, 1, kPartsMax)) {
        return out_of_range("parts", std::to_string(parts), "1 to 1000");
    }
    if (!within(sync_wait, milliseconds(1), minutes(10))) {
        return out_of_range("sync_wait", text(sync_wait), "1 ms to 10 min");
    }
    if (!within(window_bytes, 1, kWindowMax)) {
        return out_of_range("window_bytes", std::to_string(window_bytes), "1 B to 16 MiB");
    }
    if (!within(deadline_base, milliseconds(1), minutes(10))) {
        return out_of_range("deadline_base", text(deadline_base), "1 ms to 10 min");
    }
    if (!within(deadline_slack, 1.0, 100.0)) {
        return out_of_range("deadline_slack", std::to_string(deadline_slack), "1 to 100");
    }
    if (!within(initial_rate, 1e3, 1e12)) {
        return out_of_range("initial_rate", std::to_string(initial_rate), "1e3 to 1e12 B/s");
    }
    if (strikes > 1000) return out_of_range("strikes", std::to_string(strikes), "0 to 1000");
    if (clip != 0.0 && !within(clip, 1.0, 1e6)) {
        return out_of_range("clip", std::to_string(clip), "0 or 1 to 1e6");
    }
    if (!within(retry_locked, microseconds(1), seconds(1))) {
        return out_of_range("retry_locked", text(retry_locked), "1 us to 1 s");
    }
    return {};
}

}  // namespace starling::gossip
