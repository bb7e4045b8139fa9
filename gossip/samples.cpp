#include "gossip/samples.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/rng.hpp"

namespace starling::gossip {
namespace {

/// A chunk is read as a whole, so samples are of few.
constexpr std::size_t kChunks = 8;
constexpr std::size_t kSamplesMin = 8;

constexpr float kUnreadable = std::numeric_limits<float>::quiet_NaN();

struct Place {
    std::uint32_t chunk = 0;
    std::size_t at = 0;  ///< among the elements of the chunk's part
};

/// Returns the places of an exchange, a chunk's next to each other. Empty if no chunk has an element that
/// is no buffer.
std::vector<Place> places_of(const Workbench& bench, ExchangeId id, const Part& part) {
    Rng rng(id.value);
    std::vector<Place> places;
    const std::uint32_t count = bench.chunk_count();
    for (std::size_t i = 0; i < kChunks; ++i) {
        auto chunk = static_cast<std::uint32_t>(rng.below(count));
        const auto fits = [&] {
            return !bench.parameters.is_buffer(chunk) && bench.elements(chunk, part) > 0;
        };
        for (std::uint32_t tried = 0; tried < count && !fits(); ++tried) {
            chunk = (chunk + 1) % count;
        }
        if (!fits()) return {};
        for (std::size_t k = 0; k < kSamples / kChunks; ++k) {
            const auto at = static_cast<std::size_t>(rng.below(bench.elements(chunk, part)));
            places.push_back({chunk, at});
        }
    }
    std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
        return a.chunk < b.chunk;
    });
    return places;
}

Samples read(Workbench& bench, const std::vector<Place>& places, const Part& part) {
    Samples samples;
    samples.fill(kUnreadable);
    Bytes raw;
    bool readable = false;
    for (std::size_t i = 0; i < places.size(); ++i) {
        const auto& place = places[i];
        if (i == 0 || place.chunk != places[i - 1].chunk) {
            raw.resize(bench.raw_bytes(place.chunk, part));
            readable = bench.try_read(place.chunk, part, raw);
        }
        if (!readable) continue;
        std::memcpy(&samples[i], raw.data() + place.at * sizeof(float), sizeof(float));
    }
    return samples;
}

}  // namespace

Samples take_samples(Workbench& bench, ExchangeId id, const Part& part) {
    return read(bench, places_of(bench, id, part), part);
}

double measure_apart(
    Workbench& bench,
    const GapMemory& memory,
    ExchangeId id,
    const Part& part,
    const Samples& theirs
) {
    const auto places = places_of(bench, id, part);
    const auto mine = read(bench, places, part);
    double sum = 0.0;
    std::size_t known = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
        const double difference = double{theirs[i]} - double{mine[i]};
        const double deviation = bench.known_deviation(memory, places[i].chunk, part, places[i].at);
        if (!std::isfinite(difference) || !std::isnormal(deviation)) continue;
        sum += std::pow(difference / deviation, 2);
        ++known;
    }
    if (known < kSamplesMin) return 1.0;
    return std::clamp(std::sqrt(sum / static_cast<double>(known)), kApartMin, kApartMax);
}

}  // namespace starling::gossip
