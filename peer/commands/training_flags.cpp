#include "peer/commands/training_flags.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>
#include <string>

#include "peer/commands/commands.hpp"
#include "peer/commands/founder_flags.hpp"

namespace starling::peer {

namespace {

/// Adds a flag of the founder's table, which sets `variable`.
template <class T>
CLI::Option* add_founder_flag(CLI::App& command, const char* name, T& variable) {
    const auto& flag = founder_flag(name);
    if constexpr (std::is_same_v<T, bool>) {
        return command.add_flag(flag.name, variable, flag.help);
    } else {
        return command.add_option(flag.name, variable, flag.help)->type_name(flag.value);
    }
}

/// Says what is wrong with a seed, or nothing. CLI11 by itself takes -1 and 2^64 for the largest
/// number.
std::string not_a_seed(const std::string& text) {
    std::uint64_t seed = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, seed);
    if (error == std::errc{} && rest == end) return {};
    return text + " is not a whole number from 0 to 18446744073709551615";
}

/// What the machine computes with. None of it is the swarm's affair.
void add_hardware_flags(CLI::App& command, PeerConfig& config) {
    command
        .add_option(
            "--precision", config.precision, "f32, bf16, or auto, which takes what is faster here"
        )
        ->capture_default_str();
    command
        .add_option(
            "--kernels",
            config.kernels,
            "measured: the fastest here; fixed: always the same, so that one peer with one --seed "
            "and one --threads repeats its run bit for bit"
        )
        ->transform(CLI::CheckedTransformer(std::map<std::string, Kernels>{
            {"measured", Kernels::Measured}, {"fixed", Kernels::Fixed}}))
        ->default_str("measured");
    command
        .add_option(
            "--device",
            config.device,
            "cpu, opencl:N, or auto: the first graphics card that is free, has the memory, and is "
            "measured to be faster than the CPU; `starling devices` lists them"
        )
        ->capture_default_str();
    command.add_option("--threads", config.threads, "Compute threads (0: all cores)")
        ->capture_default_str()
        ->envname("STARLING_THREADS");
}

}  // namespace

void add_training_flags(CLI::App& command, PeerConfig& config) {
    command
        .add_option(
            "--dataset",
            config.dataset,
            "Data: idx:DIR[?train=N&test=N] or text:FILE[?context=64&split=0.9]. A joiner reads "
            "its "
            "shards from there instead of fetching them. See starling help dataset"
        )
        ->transform(&expand_home);
    add_founder_flag(command, "--partition", config.partition)->capture_default_str();
    add_founder_flag(command, "--private", config.private_data);
    add_founder_flag(command, "--schema", config.schema)->transform(&expand_home);
    command.add_flag(
        "--silent-quality",
        config.silent_quality,
        "In a private swarm: tell the others neither loss nor quality on this peer's samples"
    );
    add_founder_flag(command, "--augment", config.augment);
    add_founder_flag(command, "--class-weights", config.class_weights)->capture_default_str();
    add_founder_flag(command, "--wait-for", config.wait_for)->capture_default_str();
    add_founder_flag(command, "--model", config.model)
        ->capture_default_str()
        ->transform(&expand_home);
    add_founder_flag(command, "--optimizer", config.optimizer)->capture_default_str();
    add_founder_flag(command, "--batch", config.batch)->capture_default_str();
    add_founder_flag(command, "--mix", config.mix)->capture_default_str();
    add_founder_flag(command, "--mix-every", config.mix_every)->capture_default_str();
    add_founder_flag(command, "--encoding", config.encoding)->capture_default_str();
    add_founder_flag(command, "--share", config.share)->capture_default_str();
    add_founder_flag(command, "--sync", config.sync);
    command.add_option(
        "--upload-limit",
        config.upload_limit,
        "What this peer may send of exchanges, and of parameters and shards to newcomers: 10Mbit "
        "or "
        "1.5MB a second"
    );
    command
        .add_option(
            "--weight-max",
            config.weight_max,
            "A peer counts in averaging by its measured speed, where all train on the same data, "
            "but at most so many times as much as its partner: a power of two; 1: all count alike"
        )
        ->capture_default_str();
    add_founder_flag(command, "--until", config.until);
    add_founder_flag(command, "--settle", config.settle)->capture_default_str();
    add_hardware_flags(command, config);
    command.add_option("--seed", config.seed, "Seed of initial parameters and shuffles")
        ->check(&not_a_seed);
}

}  // namespace starling::peer
