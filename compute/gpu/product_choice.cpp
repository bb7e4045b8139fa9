#include "compute/gpu/product_choice.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.hpp"

namespace starling::compute::gpu {

namespace {

LibraryProduct::Place place_of(const Argument& argument) {
    std::int64_t offset = 0;
    STARLING_CHECK(argument.memory() != nullptr && argument.bytes().size() == sizeof(offset));
    std::memcpy(&offset, argument.bytes().data(), sizeof(offset));
    return {argument.memory(), offset};
}

/// The second pass after a library's product.
Launch bias_launch(const Step& step) {
    const auto& shape = *step.library;
    const auto count = shape.rows * shape.columns * shape.batches;
    const auto flag = [](bool value) { return Argument(std::int32_t{value ? 1 : 0}); };
    const auto groups = (static_cast<std::size_t>(count) + kFlatLanes - 1) / kFlatLanes;
    return {
        "add_bias",
        {{groups, 1, 1}, {kFlatLanes, 1, 1}},
        {step.launch.arguments[2],
         step.launch.arguments[3],
         Argument(count),
         Argument(static_cast<std::int32_t>(shape.columns)),
         flag(shape.biased),
         flag(shape.cut)}};
}

/// Returns the seconds of one run, the best of three after one that may compile.
Result<double> step_time(Backend& backend, Stopwatch stopwatch, const Step& step) {
    constexpr int kRepetitions = 3;
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i <= kRepetitions; ++i) {
        const double start = stopwatch();
        if (auto ok = launch_step(backend, step); !ok) return ok.error();
        if (auto ok = backend.finish(); !ok) return ok.error();
        if (i > 0) best = std::min(best, stopwatch() - start);
    }
    return best;
}

/// A library that cannot multiply this shape loses.
Result<bool> library_wins(Backend& backend, Stopwatch stopwatch, Step step) {
    step.by_library = false;
    const auto own = step_time(backend, stopwatch, step);
    if (!own) return own.error();
    step.by_library = true;
    const auto other = step_time(backend, stopwatch, step);
    if (!other && other.error().code == FaultCode::Device) return other.error();
    return other && *other < *own;
}

}  // namespace

Result<void> launch_step(Backend& backend, const Step& step) {
    if (!step.by_library) return backend.launch(step.launch);
    const auto& arguments = step.launch.arguments;
    const auto product = LibraryProduct{
        *step.library, place_of(arguments[0]), place_of(arguments[1]), place_of(arguments[3])};
    if (auto ok = backend.multiply(product); !ok) return ok;
    if (!step.library->biased && !step.library->cut) return {};
    return backend.launch(bias_launch(step));
}

Result<void> choose_products(Backend& backend, Stopwatch stopwatch, std::vector<Step>& steps) {
    if (stopwatch == nullptr || !backend.has_library()) return {};
    constexpr double kSecondsMax = 10.0;
    const double start = stopwatch();
    auto& known = backend.choices();
    for (auto& step : steps) {
        if (!step.library) continue;
        auto found = known.find(*step.library);
        if (found == known.end()) {
            if (stopwatch() - start > kSecondsMax) continue;
            const auto wins = library_wins(backend, stopwatch, step);
            if (!wins) return wins.error();
            found = known.emplace(*step.library, *wins).first;
        }
        step.by_library = found->second;
    }
    return {};
}

}  // namespace starling::compute::gpu
