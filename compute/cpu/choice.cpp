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

template <class Run>
double best_time(Stopwatch stopwatch, const Run& run) {
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kRepetitions; ++i) {
        const double start = stopwatch();
        run();
        best = std::min(best, stopwatch() - start);
    }
    return best;
}

double time_of(const Compiled& compiled, Stopwatch stopwatch) {
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
    for (const auto& argument : compiled.arguments) {
        memories.emplace_back(argument.desc, cpu_engine());
        auto* bytes = static_cast<unsigned char*>(memories.back().get_data_handle());
        std::fill(bytes, bytes + byte_count(argument.desc), static_cast<unsigned char>(0));
        arguments.push_back({argument.argument, memories.back().get()});
    }
    const dnnl::stream stream(cpu_engine());
    auto status = dnnl_success;
    const double best = best_time(stopwatch, [&] {
        const auto done = dnnl_primitive_execute(
            compiled.primitive.get(),
            stream.get(),
            static_cast<int>(arguments.size()),
            arguments.data()
        );
        if (done != dnnl_success) status = done;
    });
    return status == dnnl_success ? best : std::numeric_limits<double>::infinity();
}

double time_of(const BlasProduct& product, Stopwatch stopwatch) {
    const auto zeros = [](std::int64_t count) {
        return std::vector<float>(static_cast<std::size_t>(count), 0.0F);
    };
    const auto a = zeros(product.rows * product.depth);
    const auto b = zeros(product.depth * product.columns);
    const auto bias = zeros(product.columns);
    auto y = zeros(product.rows * product.columns);
    return best_time(stopwatch, [&] {
        multiply(product, a.data(), b.data(), bias.data(), y.data());
    });
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
    std::size_t choice = 0;
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < count; ++i) {
        const double time =
            i < candidates.size() ? time_of(candidates[i], stopwatch) : time_of(*blas, stopwatch);
        if (i > 0 && time >= kMargin * best) continue;
        best = time;
        choice = i;
    }
    known.emplace(key, choice);
    return choice;
}

}  // namespace starling::compute::cpu
