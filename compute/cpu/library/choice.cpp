#include "compute/cpu/library/choice.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "compute/values/block.hpp"

namespace starling::compute::cpu {

namespace {

/// A later candidate must win by this factor: two that differ only by noise should give the same
/// plan each time.
constexpr double kMargin = 0.95;
/// Each candidate runs at least kRoundsMin times. Short ones run more often: until all candidates
/// together have taken kSeconds, or kRoundsMax times.
constexpr int kRoundsMin = 4;
constexpr int kRoundsMax = 40;
constexpr double kSeconds = 0.02;

struct Measured {
    Trial run;
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
    return [&compiled, memories, arguments, stream = dnnl::stream(cpu_engine())] {
        return dnnl_primitive_execute(
                   compiled.primitive.get(),
                   stream.get(),
                   static_cast<int>(arguments.size()),
                   arguments.data()
               ) == dnnl_success;
    };
}

Trial trial_of(const BlasProduct& product) {
    const auto zeros = [](std::int64_t count) {
        return std::vector<float>(static_cast<std::size_t>(count), 0.0F);
    };
    return [&product,
            a = zeros(product.rows * product.depth),
            b = zeros(product.depth * product.columns),
            bias = zeros(product.columns),
            y = zeros(product.rows * product.columns)]() mutable {
        multiply(product, a.data(), b.data(), bias.data(), y.data());
        return true;
    };
}

Trial trial_of(const SlicedGradient& gradient) {
    const auto& slice = gradient.slice;
    const bool bias = slice.has(DNNL_ARG_DIFF_BIAS);
    // Blocks are zero at first. Their order is that of the BufferIds below: x, dy, dw, db,
    // workspace.
    const auto blocks = std::make_shared<std::vector<Block>>();
    std::vector<std::byte*> addresses;
    for (const std::size_t bytes :
         {byte_count(gradient.x),
          byte_count(gradient.dy),
          byte_count(slice.desc(DNNL_ARG_DIFF_WEIGHTS)),
          bias ? byte_count(slice.desc(DNNL_ARG_DIFF_BIAS)) : 0,
          gradient.workspace_bytes()}) {
        blocks->push_back(allocate_block(bytes));
        addresses.push_back(blocks->back().get());
    }
    const auto id = [](int index) { return static_cast<BufferId>(index); };
    const auto kernel = std::make_shared<SlicedGradientKernel>(
        "", gradient, SlicedGradientKernel::Operands{id(0), id(1), id(2), id(3), id(4)}
    );
    kernel->bind(addresses);
    return [blocks, kernel] {
        kernel->run();
        return true;
    };
}

/// Candidates take turns, so that a moment in which the machine is busy slows down all of them.
void measure(std::vector<Measured>& trials, Stopwatch stopwatch) {
    const double begin = stopwatch();
    for (int round = 0; round < kRoundsMax; ++round) {
        if (round >= kRoundsMin && stopwatch() - begin > kSeconds) return;
        for (auto& trial : trials) {
            const double start = stopwatch();
            if (trial.run()) trial.best = std::min(trial.best, stopwatch() - start);
        }
    }
}

template <class Way>
Candidate way(const Way& described) {
    return [&described] { return trial_of(described); };
}

}  // namespace

Candidate candidate_of(const Compiled& compiled) {
    return way(compiled);
}

Candidate candidate_of(const BlasProduct& product) {
    return way(product);
}

Candidate candidate_of(const SlicedGradient& gradient) {
    return way(gradient);
}

std::size_t fastest(
    const std::string& key, std::span<const Candidate> candidates, Stopwatch stopwatch
) {
    if (stopwatch == nullptr || candidates.size() == 1) return 0;
    static std::mutex lock;
    static std::map<std::string, std::size_t> known;
    // Held while measuring, so that two engines do not disturb each other's measurements.
    const std::scoped_lock guard(lock);
    const auto found = known.find(key);
    if (found != known.end()) return std::min(found->second, candidates.size() - 1);
    std::vector<Measured> trials;
    for (const auto& candidate : candidates) trials.push_back({candidate()});
    measure(trials, stopwatch);
    std::size_t choice = 0;
    for (std::size_t i = 1; i < trials.size(); ++i) {
        if (trials[i].best < kMargin * trials[choice].best) choice = i;
    }
    known.emplace(key, choice);
    return choice;
}

}  // namespace starling::compute::cpu
