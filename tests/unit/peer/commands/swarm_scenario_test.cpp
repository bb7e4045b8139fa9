// Goal: `starling swarm --can` says of each verb who can do it, and of what is left out by design, why.
// Method: the table that it prints.

#include "peer/commands/swarm_scenario.hpp"

#include <gtest/gtest.h>
#include <string>

#include "peer/scenario/scenario.hpp"

namespace starling::peer {
namespace {

std::string line_of(const std::string& table, const std::string& verb) {
    const auto at = ("\n" + table).find("\n" + verb + " ");
    EXPECT_NE(at, std::string::npos) << verb;
    return table.substr(at, table.find('\n', at) - at);
}

TEST(VerbsTable, SaysWhoCanDoWhatAndWhyNot) {
    const auto table = verbs_table("");
    EXPECT_EQ(line_of(table, "kill"), "kill             yes");
    EXPECT_EQ(line_of(table, "cut"), "cut              yes, with networks of their own");
    EXPECT_NE(
        line_of(table, "reorder")
            .find("yes, with networks of their own; not with starling simulate: its datagrams"),
        std::string::npos
    ) << line_of(table, "reorder");
    EXPECT_NE(
        line_of(table, "block-tcp")
            .find("not with starling simulate: it has no packets of streams"),
        std::string::npos
    ) << line_of(table, "block-tcp");
    EXPECT_NE(
        line_of(table, "clock").find("starling simulate alone: a kernel lets"), std::string::npos
    );
    EXPECT_NE(
        line_of(table, "liar").find("starling simulate alone: this program"), std::string::npos
    );
    EXPECT_NE(line_of(verbs_table("no /dev/net/tun"), "cut").find("not here"), std::string::npos);
    // Whatever somebody cannot do has its reason.
    for (std::size_t i = 0; i < scenario::kVerbs; ++i) {
        const auto verb = static_cast<scenario::Verb>(i);
        if (can(scenario::Mode::Simulate, verb)) continue;
        EXPECT_FALSE(why_not(scenario::Mode::Simulate, verb).empty()) << to_string(verb);
    }
}

}  // namespace
}  // namespace starling::peer
