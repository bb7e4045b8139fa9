// Milliseconds per training step, and where they go.
//
//   step_bench [model] [batch] [threads] [steps]     step_bench 'cnn' 64 2 100

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "compute/engine.hpp"

namespace {

using namespace starling;
using namespace starling::compute;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct Batch {
    std::vector<float> values;
    std::vector<std::int32_t> labels;
};

Batch random_batch(std::size_t count, std::size_t elements) {
    Rng rng(1);
    Batch batch{std::vector<float>(count * elements), std::vector<std::int32_t>(count)};
    for (auto& value : batch.values) value = static_cast<float>(rng.uniform());
    for (auto& label : batch.labels) label = static_cast<std::int32_t>(rng.below(10));
    return batch;
}

void print_profile(Engine& engine, const Batch& batch) {
    std::map<std::string, double> best;
    std::vector<std::string> order;
    for (int repetition = 0; repetition < 20; ++repetition) {
        for (const auto& [name, time] : engine.profile(batch.values, batch.labels, seconds)) {
            const auto [at, added] = best.emplace(name, time);
            if (added) order.push_back(name);
            at->second = std::min(at->second, time);
        }
    }
    double sum = 0.0;
    for (const auto& name : order) {
        std::printf("  %8.3f ms  %s\n", 1e3 * best[name], name.c_str());
        sum += best[name];
    }
    std::printf("  %8.3f ms  sum of the best\n", 1e3 * sum);
}

int measure(const EngineOptions& options, int steps) {
    const auto layout = model_layout(options.model, options.task);
    if (layout.has_error()) {
        std::fprintf(stderr, "%s\n", layout.error().message.c_str());
        return 2;
    }
    ParameterStore store(*layout);
    store.initialize(Rng(7));
    auto engine = Engine::create(options, store);
    if (engine.has_error()) {
        std::fprintf(stderr, "%s\n", engine.error().message.c_str());
        return 1;
    }
    const auto batch = random_batch(static_cast<std::size_t>(options.batch), 784);
    std::vector<double> times;
    float loss = 0.0F;
    for (int i = 0; i < steps; ++i) {
        const double start = seconds();
        loss = (*engine)->step(batch.values, batch.labels, 0.01).loss;
        times.push_back(seconds() - start);
    }
    std::sort(times.begin(), times.end());
    std::printf(
        "%s batch %d threads %d: %zu parameters, median %.2f ms, best %.2f ms, loss %.4f\n",
        options.model.c_str(),
        static_cast<int>(options.batch),
        options.threads,
        layout->elements(),
        1e3 * times[times.size() / 2],
        1e3 * times.front(),
        static_cast<double>(loss)
    );
    print_profile(**engine, batch);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    EngineOptions options;
    options.model = argc > 1 ? argv[1] : "cnn";
    options.batch = argc > 2 ? std::atoi(argv[2]) : 64;
    options.threads = argc > 3 ? std::atoi(argv[3]) : 1;
    options.task = {{1, 28, 28}, 10};
    std::printf("%s\n", runtime_description().c_str());
    return measure(options, argc > 4 ? std::max(1, std::atoi(argv[4])) : 50);
}
