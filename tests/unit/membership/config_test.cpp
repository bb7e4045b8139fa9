// Goal: every parameter out of range is refused by name, and the defaults and edges are taken.
// Method: a table of single changes to the defaults.

#include "membership/config.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <string>

namespace starling::membership {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

struct Case {
    std::string parameter;  ///< named in the message; empty when the value is fine
    std::function<void(SwimConfig&)> change;
};

TEST(SwimConfig, RangesAndRelationsAreChecked) {
    const Case cases[] = {
        {"", [](SwimConfig&) {}},
        {"", [](SwimConfig& c) { c.push_pull_interval = Duration::zero(); }},
        {"", [](SwimConfig& c) { c.indirect_probes = 0; }},
        {"", [](SwimConfig& c) { c.probe_interval = minutes(1); }},
        {"", [](SwimConfig& c) { c.probe_timeout_min = c.probe_timeout; }},
        {"probe_interval", [](SwimConfig& c) { c.probe_interval = milliseconds(9); }},
        {"probe_interval", [](SwimConfig& c) { c.probe_interval = minutes(2); }},
        {"probe_timeout", [](SwimConfig& c) { c.probe_timeout = Duration::zero(); }},
        {"probe_timeout", [](SwimConfig& c) { c.probe_timeout = milliseconds(501); }},
        {"probe_timeout_min", [](SwimConfig& c) { c.probe_timeout_min = Duration::zero(); }},
        {"probe_timeout_min", [](SwimConfig& c) { c.probe_timeout_min = milliseconds(501); }},
        {"indirect_probes", [](SwimConfig& c) { c.indirect_probes = 17; }},
        {"suspicion_mult", [](SwimConfig& c) { c.suspicion_mult = 0.5; }},
        {"suspicion_mult", [](SwimConfig& c) { c.suspicion_mult = 21; }},
        {"suspicion_mult",
         [](SwimConfig& c) { c.suspicion_mult = std::numeric_limits<double>::quiet_NaN(); }},
        {"suspicion_max_mult", [](SwimConfig& c) { c.suspicion_max_mult = 0.9; }},
        {"awareness_levels", [](SwimConfig& c) { c.awareness_levels = 0; }},
        {"awareness_levels", [](SwimConfig& c) { c.awareness_levels = 17; }},
        {"gossip_interval", [](SwimConfig& c) { c.gossip_interval = Duration::zero(); }},
        {"gossip_fanout", [](SwimConfig& c) { c.gossip_fanout = 0; }},
        {"gossip_fanout", [](SwimConfig& c) { c.gossip_fanout = 17; }},
        {"tombstone_life", [](SwimConfig& c) { c.tombstone_life = Duration::zero(); }},
        {"tombstone_life", [](SwimConfig& c) { c.tombstone_life = hours(25); }},
        {"push_pull_interval", [](SwimConfig& c) { c.push_pull_interval = milliseconds(1); }},
    };
    for (std::size_t i = 0; i < std::size(cases); ++i) {
        SCOPED_TRACE("case " + std::to_string(i));
        SwimConfig config;
        cases[i].change(config);
        const auto result = config.validate();
        ASSERT_EQ(result.has_value(), cases[i].parameter.empty());
        if (result) continue;
        EXPECT_EQ(result.error().code, FaultCode::Usage);
        EXPECT_EQ(result.error().message.rfind(cases[i].parameter, 0), 0U)
            << result.error().message;
    }
}

TEST(SwimConfig, EveryProfileIsValidAndOthersAreRefusedByName) {
    for (const auto* name : {"lan", "wan", "local"}) {
        const auto config = SwimConfig::profile(name);
        ASSERT_TRUE(config.has_value()) << name;
        EXPECT_TRUE(config->validate().has_value()) << name;
    }
    const auto wrong = SwimConfig::profile("moon");
    ASSERT_FALSE(wrong.has_value());
    EXPECT_EQ(wrong.error().code, FaultCode::Usage);
    EXPECT_NE(wrong.error().message.find("lan, wan or local"), std::string::npos);
}

}  // namespace
}  // namespace starling::membership
