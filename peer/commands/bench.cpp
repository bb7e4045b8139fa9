#include <CLI/CLI.hpp>

#include "peer/commands/bench_exchange.hpp"
#include "peer/commands/bench_handshake.hpp"
#include "peer/commands/bench_step.hpp"
#include "peer/commands/commands.hpp"

namespace starling::peer {

void add_bench(CLI::App& app, Command& chosen) {
    auto* bench = app.add_subcommand("bench", "The standard measurements, one JSON object a line");
    bench->require_subcommand(1);
    add_bench_exchange(*bench, chosen);
    add_bench_handshake(*bench, chosen);
    add_bench_step(*bench, chosen);
}

}  // namespace starling::peer
