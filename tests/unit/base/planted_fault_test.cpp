// Goal: each planted fault has a name of its own, and no process has one unasked.

#include "base/planted_fault.hpp"

#include <gtest/gtest.h>
#include <set>
#include <string_view>

namespace starling {
namespace {

TEST(PlantedFault, NamesAreReadAsTheyAreWrittenAndNoneIsThereUnasked) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < kPlantedFaults; ++i) {
        const auto fault = static_cast<PlantedFault>(i);
        names.insert(to_string(fault));
        EXPECT_EQ(parse_planted_fault(to_string(fault)), fault);
        EXPECT_FALSE(planted(fault));
    }
    EXPECT_EQ(names.size(), kPlantedFaults);
    EXPECT_FALSE(parse_planted_fault("rain").has_value());
}

}  // namespace
}  // namespace starling
