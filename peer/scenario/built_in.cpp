#include "peer/scenario/built_in.hpp"

#include <fmt/format.h>
#include <string>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "peer/scenario/parse.hpp"

namespace starling::scenario {
namespace {

constexpr std::string_view kHead = R"(
name = "a swarm"
quiet = "0s"
calm = "0s"
start = "720h"
limit = "720h"
[swarm]
peers = {}
state = false
[expect]
whole_within = "no"
no_exchange_for = "no"
training_gap = "no"
false_failures = "no"
progress = "no"
shards = "no"
)";

constexpr std::string_view kStep = R"(
[[step]]
when = "{}"
do = "{}"
deadline = "720h"
)";

}  // namespace

Result<Scenario> built_in(std::string_view names, std::size_t peers) {
    const auto busy = fmt::format("all train and step > {}", kBusySteps - 1);
    auto text = fmt::format(kHead, peers);
    bool crashed = false;
    while (!names.empty()) {
        const auto comma = names.find(',');
        const auto name = names.substr(0, comma);
        if (name == "founder-crash" && peers < 2) {
            return fail(
                FaultCode::Usage,
                "--chaos founder-crash needs --peers 2 at least: somebody must survive"
            );
        }
        if (name == "founder-crash") {
            text += fmt::format(kStep, busy, "kill founder");
            crashed = true;
        } else if (name == "late-join") {
            // The newcomer comes when all survivors have noticed the crash, by the one that started last: any
            // peer can be the seed.
            text += fmt::format(kStep, crashed ? "whole" : busy, "add 1 by newest");
        } else {
            return fail(
                FaultCode::Usage,
                "--chaos: there is no '" + excerpt(name) +
                    "'; use founder-crash, late-join, or both with a comma"
            );
        }
        names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
    }
    auto scenario = parse(text, "--chaos", Mode::Loopback);
    STARLING_CHECK(scenario.has_value());
    return scenario;
}

}  // namespace starling::scenario
