#include "compute/cpu/choice.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <vector>

namespace starling::compute::cpu {

namespace {

/// A later candidate must win by this much: two that are equal but for noise should give the same
/// plan each time.
constexpr double kMargin = 0.95;
constexpr int kRepetitions = 4;

double best_time(const Compiled& compiled, Stopwatch stopwatch) {
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
    for (const auto& argument : compiled.arguments) {
        memories.emplace_back(argument.desc, cpu_engine());
        auto* bytes = static_cast<unsigned char*>(memories.back().get_data_handle());
        std::fill(bytes, bytes + byte_count(argument.desc), static_cast<unsigned char>(0));
        arguments.push_back({argument.argument, memories.back().get()});
    }
    const dnnl::stream stream(cpu_engine());
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kRepetitions; ++i) {
        const double start = stopwatch();
        const auto status = dnnl_primitive_execute(
            compiled.primitive.get(),
            stream.get(),
            static_cast<int>(arguments.size()),
            arguments.data()
        );
        if (status != dnnl_success) return std::numeric_limits<double>::infinity();
        best = std::min(best, stopwatch() - start);
    }
    return best;
}

}  // namespace

std::size_t fastest(
    const std::string& key, std::span<const Compiled> candidates, Stopwatch stopwatch
) {
    if (stopwatch == nullptr || candidates.size() == 1) return 0;
    static std::mutex lock;
    static std::map<std::string, std::size_t> known;
    // Held while measuring, so that two engines do not disturb each other's measurements.
    const std::scoped_lock guard(lock);
    const auto found = known.find(key);
    if (found != known.end()) return std::min(found->second, candidates.size() - 1);
    std::size_t choice = 0;
    double best = best_time(candidates[0], stopwatch);
    for (std::size_t i = 1; i < candidates.size(); ++i) {
        const double time = best_time(candidates[i], stopwatch);
        if (time >= kMargin * best) continue;
        best = time;
        choice = i;
    }
    known.emplace(key, choice);
    return choice;
}

}  // namespace starling::compute::cpu
