#include "gossip/part.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling::gossip {
namespace {

/// Equal on every peer, so that parts agree. Changing it changes what a part means.
constexpr std::uint64_t kPartSeed = 0x7061727473;

}  // namespace

std::size_t Part::place(std::size_t chunk, std::size_t group) const {
    const auto shift = mix64(kPartSeed ^ (std::uint64_t{chunk} << 32U) ^ group);
    return static_cast<std::size_t>((shift + index) % count);
}

template <class Move>
void Part::each(std::size_t chunk, std::size_t elements, Move move) const {
    std::size_t taken = 0;
    for (std::size_t first = 0, group = 0; first < elements; first += count, ++group) {
        const std::size_t at = first + place(chunk, group);
        if (at < elements) move(taken++, at);
    }
}

std::size_t Part::elements_of(std::size_t chunk, std::size_t elements) const {
    if (whole()) return elements;
    const std::size_t full = elements / count;
    const std::size_t rest = elements % count;
    return full + (place(chunk, full) < rest ? 1 : 0);
}

void Part::gather(std::size_t chunk, std::size_t size, ByteView from, std::span<std::byte> out)
    const {
    const std::size_t elements = from.size() / size;
    STARLING_CHECK(out.size() == elements_of(chunk, elements) * size);
    if (whole()) {
        std::copy(from.begin(), from.end(), out.begin());
        return;
    }
    each(chunk, elements, [&](std::size_t taken, std::size_t at) {
        std::memcpy(out.data() + taken * size, from.data() + at * size, size);
    });
}

void Part::scatter(std::size_t chunk, std::size_t size, ByteView from, std::span<std::byte> to)
    const {
    const std::size_t elements = to.size() / size;
    STARLING_CHECK(from.size() == elements_of(chunk, elements) * size);
    if (whole()) {
        std::copy(from.begin(), from.end(), to.begin());
        return;
    }
    each(chunk, elements, [&](std::size_t taken, std::size_t at) {
        std::memcpy(to.data() + at * size, from.data() + taken * size, size);
    });
}

}  // namespace starling::gossip
