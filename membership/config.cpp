#include "membership/config.hpp"

#include <chrono>
#include <string>
#include <string_view>

#include "base/range.hpp"

namespace starling::membership {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::string text(Duration value) {
    return std::to_string(std::chrono::duration_cast<milliseconds>(value).count()) + " ms";
}

std::string text(std::uint32_t value) {
    return std::to_string(value);
}

std::string text(double value) {
    return std::to_string(value);
}

/// Bounds of one parameter, both inclusive.
template <class T>
struct Range {
    T low;
    T high;
};

template <class T>
Result<void> check(std::string_view name, T value, const Range<T>& range) {
    if (within(value, range.low, range.high)) return {};
    return out_of_range(name, text(value), "give " + text(range.low) + " to " + text(range.high));
}

Result<void> check_relations(const SwimConfig& config) {
    if (config.probe_interval < 2 * config.probe_timeout) {
        return out_of_range(
            "probe_timeout",
            text(config.probe_timeout),
            "give at most half of probe_interval (" + text(config.probe_interval) +
                "), so that helpers have as long as the direct probe"
        );
    }
    if (config.probe_timeout_min > config.probe_timeout) {
        return out_of_range(
            "probe_timeout_min",
            text(config.probe_timeout_min),
            "give at most probe_timeout (" + text(config.probe_timeout) + ")"
        );
    }
    return {};
}

}  // namespace

Result<SwimConfig> SwimConfig::profile(std::string_view name) {
    SwimConfig config;
    if (name == "lan") return config;
    if (name == "wan") {
        config.probe_interval = seconds(5);
        config.probe_timeout = seconds(2);
        config.probe_timeout_min = milliseconds(500);
        config.suspicion_mult = 6.0;
        config.gossip_interval = milliseconds(500);
        config.gossip_fanout = 4;
        config.tombstone_life = seconds(60);
        config.push_pull_interval = seconds(60);
        return config;
    }
    if (name == "local") {
        config.probe_timeout = milliseconds(200);
        config.probe_timeout_min = milliseconds(100);
        config.indirect_probes = 1;
        config.suspicion_mult = 3.0;
        config.gossip_interval = milliseconds(100);
        config.tombstone_life = seconds(15);
        config.push_pull_interval = seconds(15);
        return config;
    }
    return fail(
        FaultCode::Usage, "there is no profile '" + std::string(name) + "'; give lan, wan or local"
    );
}

Result<void> SwimConfig::validate() const {
    const Result<void> checks[] = {
        check("probe_interval", probe_interval, {milliseconds(10), minutes(1)}),
        check("probe_timeout", probe_timeout, {milliseconds(1), minutes(1)}),
        check("probe_timeout_min", probe_timeout_min, {milliseconds(1), minutes(1)}),
        check("indirect_probes", indirect_probes, {0U, 16U}),
        check("suspicion_mult", suspicion_mult, {1.0, 20.0}),
        check("suspicion_max_mult", suspicion_max_mult, {1.0, 20.0}),
        check("awareness_levels", awareness_levels, {1U, 16U}),
        check("gossip_interval", gossip_interval, {milliseconds(1), minutes(1)}),
        check("gossip_fanout", gossip_fanout, {1U, 16U}),
        check("tombstone_life", tombstone_life, {milliseconds(10), hours(24)}),
        push_pull_interval == Duration::zero()
            ? Result<void>{}
            : check("push_pull_interval", push_pull_interval, {milliseconds(10), hours(24)}),
        check_relations(*this),
    };
    for (const auto& result : checks) {
        if (!result) return result;
    }
    return {};
}

}  // namespace starling::membership
