// Goal: the parts of a chunk are disjoint, cover it, and look drawn. Method: gather and scatter
// index numbers, over many sizes.

#include "gossip/part.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace starling::gossip {
namespace {

std::vector<std::uint32_t> members(const Part& part, std::size_t chunk, std::size_t elements) {
    std::vector<std::uint32_t> all(elements);
    for (std::size_t i = 0; i < elements; ++i) all[i] = static_cast<std::uint32_t>(i);
    std::vector<std::uint32_t> mine(part.elements_of(chunk, elements));
    part.gather(chunk, 4, std::as_bytes(std::span(all)), std::as_writable_bytes(std::span(mine)));
    return mine;
}

TEST(Part, AllPartsTogetherAreEachElementOnce) {
    for (const std::uint32_t count : {1U, 2U, 3U, 20U, 1000U}) {
        for (const std::size_t elements : {1U, 2U, 19U, 20U, 21U, 4096U, 65536U}) {
            SCOPED_TRACE(testing::Message() << count << " parts of " << elements);
            std::vector<int> seen(elements, 0);
            for (std::uint32_t index = 0; index < count; ++index) {
                for (const auto at : members({index, count}, 5, elements)) ++seen[at];
            }
            EXPECT_EQ(seen, std::vector<int>(elements, 1));
        }
    }
}

TEST(Part, ScatterPutsBackWhatGatherTook) {
    const Part part{3, 7};
    std::vector<std::uint64_t> from(100);
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = i * i;
    std::vector<std::uint64_t> piece(part.elements_of(2, from.size()));
    part.gather(2, 8, std::as_bytes(std::span(from)), std::as_writable_bytes(std::span(piece)));
    constexpr std::uint64_t kUntouched = 12345;
    std::vector<std::uint64_t> to(100, kUntouched);
    part.scatter(2, 8, std::as_bytes(std::span(piece)), std::as_writable_bytes(std::span(to)));
    std::size_t written = 0;
    for (std::size_t i = 0; i < to.size(); ++i) {
        if (to[i] == kUntouched) continue;
        EXPECT_EQ(to[i], from[i]);
        ++written;
    }
    EXPECT_EQ(written, piece.size());
}

TEST(Part, PlacesWithinGroupsAreSpread) {
    std::vector<int> places(20, 0);
    for (const auto at : members({4, 20}, 0, 40000)) ++places[at % 20];
    for (const int count : places) EXPECT_NEAR(count, 100, 45);
}

}  // namespace
}  // namespace starling::gossip
