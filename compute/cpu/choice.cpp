#include "compute/cpu/choice.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <vector>

namespace starling::compute::cpu {

namespace {

/// A later candidate must win by this much: two that are equal but for noise should give the same
/// plan each time.
constexpr double kMargin = 0.95;
/// Each candidate runs so often, and short ones more often: until all have run for so long
/// together.
constexpr int kRoundsMin = 4;
constexpr int kRoundsMax = 40;
constexpr double kSeconds = 0.02;

/// One candidate with operands of its own.
struct Trial {
    std::function<bool()> run;  ///< false when the library refuses
    double best = std::numeric_limits<double>::infinity();
};

Trial trial_of(const Compiled& compiled) {
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
    for (const auto& argument : compiled.arguments) {
        memories.emplace_back(argument.desc, cpu_engine());
        auto* bytes = static_cast<unsigned char*>(memories.back().get_data_handle());
        std::fill(bytes, bytes + byte_count(argument.desc), static_cast<unsigned char>(0));
        arguments.push_back({argument.argument, memories.back().get()});
    }
    return {[&compiled, memories, arguments, stream = dnnl::stream(cpu_engine())] {
        return dnnl_primitive_execute(
                   compiled.primitive.get(),
                   stream.get(),
                   static_cast<int>(arguments.size()),
                   arguments.data()
               ) == dnnl_success;
    }};
}

Trial trial_of(const BlasProduct& product) {
    const auto zeros = [](std::int64_t count) {
        return std::vector<float>(static_cast<std::size_t>(count), 0.0F);
    };
    return {[&product,
             a = zeros(product.rows * product.depth),
             b = zeros(product.depth * product.columns),
             bias = zeros(product.columns),
             y = zeros(product.rows * product.columns)]() mutable {
        multiply(product, a.data(), b.data(), bias.data(), y.data());
        return true;
    }};
}

/// Candidates take turns, so that a moment in which the machine is busy slows all of them.
void measure(std::vector<Trial>& trials, Stopwatch stopwatch) {
    const double begin = stopwatch();
    for (int round = 0; round < kRoundsMax; ++round) {
        if (round >= kRoundsMin && stopwatch() - begin > kSeconds) return;
        for (auto& trial : trials) {
            const double start = stopwatch();
            if (trial.run()) trial.best = std::min(trial.best, stopwatch() - start);
        }
    }
}

}  // namespace

std::size_t fastest(
    const std::string& key,
    std::span<const Compiled> candidates,
    const BlasProduct* blas,
    Stopwatch stopwatch
) {
    const auto count = candidates.size() + (blas == nullptr ? 0 : 1);
    if (stopwatch == nullptr || count == 1) return 0;
    static std::mutex lock;
    static std::map<std::string, std::size_t> known;
    // Held while measuring, so that two engines do not disturb each other's measurements.
    const std::scoped_lock guard(lock);
    const auto found = known.find(key);
    if (found != known.end()) return std::min(found->second, count - 1);
    std::vector<Trial> trials;
    for (const auto& candidate : candidates) trials.push_back(trial_of(candidate));
    if (blas != nullptr) trials.push_back(trial_of(*blas));
    measure(trials, stopwatch);
    std::size_t choice = 0;
    for (std::size_t i = 1; i < count; ++i) {
        if (trials[i].best < kMargin * trials[choice].best) choice = i;
    }
    known.emplace(key, choice);
    return choice;
}

}  // namespace starling::compute::cpu
