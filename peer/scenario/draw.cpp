#include "peer/scenario/draw.hpp"

#include <array>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/check.hpp"
#include "base/json_text.hpp"
#include "base/rng.hpp"
#include "peer/scenario/parse.hpp"
#include "peer/scenario/schedule.hpp"

namespace starling::scenario {
namespace {

constexpr std::uint64_t kPurpose = 0x64726177;
constexpr std::size_t kPeersLeast = 3;
constexpr std::size_t kPeersSpread = 5;
constexpr std::size_t kStepsLeast = 2;
constexpr std::size_t kStepsSpread = 5;

/// What a step may do. `{}` is a whole number of peers, a value, or nothing.
struct Kind {
    Verb verb;
    std::string_view action;
    double least;  ///< of the value
    double most;
    bool lasts;
};

constexpr std::array<Kind, 31> kKinds = {{
    {Verb::Kill, "kill random", 0, 0, true},
    {Verb::Kill, "kill founder", 0, 0, true},
    {Verb::Kill, "kill minority", 0, 0, true},
    {Verb::Kill, "kill all", 0, 0, true},
    {Verb::PowerOff, "power-off random", 0, 0, true},
    {Verb::PowerOff, "power-off half", 0, 0, true},
    {Verb::Pause, "pause random", 0, 0, true},
    {Verb::Pause, "pause half", 0, 0, true},
    {Verb::Slow, "slow random {:.0f}x", 2, 20, true},
    {Verb::Cut, "cut half", 0, 0, true},
    {Verb::Cut, "cut minority", 0, 0, true},
    {Verb::Isolate, "isolate random", 0, 0, true},
    {Verb::OneWay, "one-way half", 0, 0, true},
    {Verb::OneWay, "one-way random", 0, 0, true},
    {Verb::Loss, "loss {:.1f}%", 1, 20, true},
    {Verb::Delay, "delay {:.0f}ms", 1, 100, true},
    {Verb::Jitter, "jitter {:.0f}ms", 1, 50, true},
    {Verb::Duplicate, "duplicate {:.0f}%", 1, 20, true},
    {Verb::Rate, "rate {:.0f}Mbit", 10, 100, true},
    {Verb::BlockUdp, "block-udp random", 0, 0, true},
    {Verb::BlockTcp, "block-tcp random", 0, 0, true},
    {Verb::Reset, "reset random", 0, 0, false},
    {Verb::Reset, "reset all", 0, 0, false},
    {Verb::HalfOpen, "half-open random", 0, 0, false},
    {Verb::AddressChange, "address-change random", 0, 0, false},
    {Verb::Add, "add 1", 0, 0, false},
    {Verb::Clock, "clock random +{:.0f}s", 1, 7200, false},
    {Verb::Liar, "liar random frames", 0, 0, true},
    {Verb::Liar, "liar random members", 0, 0, true},
    {Verb::Liar, "liar random records", 0, 0, true},
    {Verb::Liar, "liar random parameters", 0, 0, true},
}};

/// Uniform in the exponent.
double spread(Rng& rng, double least, double most) {
    return least * std::pow(most / least, rng.uniform());
}

std::string draw_when(Rng& rng, std::size_t index) {
    if (index == 0) return rng.chance(0.5) ? "all train" : "all train and whole";
    const double luck = rng.uniform();
    if (luck < 0.4) return fmt::format("+{:.0f}ms", spread(rng, 50, 4000));
    return luck < 0.7 ? "all train and whole" : "all train";
}

std::string draw_step(Rng& rng, std::size_t index, Mode mode) {
    const Kind* kind = nullptr;
    do {
        kind = &kKinds.at(rng.below(kKinds.size()));
    } while (!can(mode, kind->verb));
    const double value = kind->most > 0 ? spread(rng, kind->least, kind->most) : 0;
    auto text = fmt::format("[[step]]\nname = \"step{}\"\n", index + 1);
    text += fmt::format("when = \"{}\"\n", draw_when(rng, index));
    text += fmt::format("do = \"{}\"\n", fmt::format(fmt::runtime(kind->action), value));
    if (kind->lasts) text += fmt::format("for = \"{:.0f}ms\"\n", spread(rng, 200, 15'000));
    // A condition may have to wait for the end of what came before.
    return text + "deadline = \"2m\"\n\n";
}

std::string draw_text(Rng& rng, std::uint64_t seed, const DrawOptions& options) {
    auto text = fmt::format("name = \"drawn {0}\"\nseed = {0}\ncalm = \"5s\"\n\n[swarm]\n", seed);
    text += fmt::format("peers = {}\n", kPeersLeast + rng.below(kPeersSpread + 1));
    text += rng.chance(0.5) ? "profile = \"lan\"\n" : "profile = \"local\"\n";
    text += "\n[train]\n";
    for (const auto& setting : options.train) {
        text += setting.key + " = " + json_text(nlohmann::json(setting.value)) + "\n";
    }
    text += "\n";
    const std::size_t steps = kStepsLeast + rng.below(kStepsSpread + 1);
    for (std::size_t i = 0; i < steps; ++i) text += draw_step(rng, i, options.mode);
    return text +
           "[expect]\nwhole_within = \"60s\"\nno_exchange_for = \"60s\"\n"
           "training_gap = \"60s\"\n";
}

}  // namespace

std::string draw_scenario(std::uint64_t seed, const DrawOptions& options) {
    auto rng = Rng(seed).fork(kPurpose);
    // A few draws hit nobody, such as the minority of two.
    for (int attempt = 0; attempt < 100; ++attempt) {
        auto text = draw_text(rng, seed, options);
        const auto scenario = parse(text, "drawn", options.mode);
        STARLING_CHECK(scenario.has_value());
        if (expand(*scenario)) return text;
    }
    STARLING_UNREACHABLE("most draws hit somebody");
}

}  // namespace starling::scenario
