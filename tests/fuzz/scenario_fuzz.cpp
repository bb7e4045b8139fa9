// Goal: no scenario file crashes its reader, and what an accepted one expands to can be read again and
// means the same; nor does a line of a running one. Method: each input is read for each mode.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/bytes.hpp"
#include "peer/scenario/command.hpp"
#include "peer/scenario/parse.hpp"
#include "peer/scenario/schedule.hpp"

namespace {

using namespace starling;
using namespace starling::scenario;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = as_text(ByteView(reinterpret_cast<const std::byte*>(data), size));
    (void)parse_command(text, Mode::Spaces);
    for (const auto mode : {Mode::Simulate, Mode::Loopback, Mode::Spaces}) {
        const auto first = parse(text, "file", mode);
        if (!first) continue;
        const auto steps = expand(*first);
        if (!steps || steps->size() > kStepsMax) continue;
        const auto written = to_toml(*steps);
        const auto head = "[swarm]\npeers = " + std::to_string(first->peers) +
                          "\nstate = " + (first->state ? "true" : "false") + "\n";
        if (head.size() + written.size() > kFileMax) continue;
        const auto second = parse(head + written, "again", mode);
        require(second.has_value());
        const auto again = expand(*second);
        require(again.has_value() && to_toml(*again) == written);
    }
    return 0;
}
