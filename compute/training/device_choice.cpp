#include "compute/training/device_choice.hpp"

#include <cstdio>
#include <string_view>

namespace starling::compute {

namespace {

constexpr std::string_view kOpenCl = "opencl";

/// `31 ms`, `0.42 ms`, `2.5 s`.
std::string time_text(double seconds) {
    char text[32];
    const bool slow = seconds >= 1.0;
    const double number = slow ? seconds : 1e3 * seconds;
    std::snprintf(text, sizeof(text), "%.*f %s", number < 10.0 ? 2 : 0, number, slow ? "s" : "ms");
    return text;
}

std::string full_name(const DeviceInfo& info) {
    return info.name + " (" + info.model + ")";
}

std::string host_text(const HostFacts& host) {
    if (host.step_seconds) return "the cpu in " + time_text(*host.step_seconds);
    return "the cpu cannot" + (host.fault.empty() ? std::string() : ": " + host.fault);
}

}  // namespace

std::string objection(const Candidate& candidate, const HostFacts& host) {
    const auto& info = candidate.info;
    const auto name = full_name(info);
    if (info.kind != DeviceKind::Gpu) return name + " is no graphics card";
    if (!info.ready) return name + ": " + info.state;
    if (!candidate.fault.empty()) return name + " cannot: " + candidate.fault;
    if (candidate.fit && !candidate.fit->fits()) return name + " " + describe_lack(*candidate.fit);
    if (!candidate.taken_by.empty()) return name + " is taken by " + candidate.taken_by;
    const bool slower = candidate.step_seconds && host.step_seconds &&
                        *candidate.step_seconds >= *host.step_seconds;
    if (!slower) return {};
    return name + " made a step in " + time_text(*candidate.step_seconds) + ", " + host_text(host);
}

DeviceChoice choose_device(
    std::span<const Candidate> candidates, const HostFacts& host, const MissingDevice& missing
) {
    std::string against;
    for (const auto& candidate : candidates) {
        const auto why_not = objection(candidate, host);
        if (why_not.empty() && candidate.step_seconds) {
            const auto made = full_name(candidate.info) + " made a step in " +
                              time_text(*candidate.step_seconds) + ", " + host_text(host);
            return {candidate.info.name, against + made, true};
        }
        if (!why_not.empty()) against += why_not + "; ";
    }
    if (against.empty()) return {"cpu", missing.why, missing.name == kOpenCl};
    against.resize(against.size() - 2);
    return {"cpu", against, true};
}

}  // namespace starling::compute
