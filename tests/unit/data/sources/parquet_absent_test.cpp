// Goal: a build without Parquet says so, and how to get it. Method: compiled only where it is absent.

#include <gtest/gtest.h>

#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

TEST(ParquetAbsent, OneLineNamesTheOption) {
    const auto refused = testing::refusal("parquet:t.parquet?label=y");
    EXPECT_EQ(refused.code, FaultCode::Unsupported);
    EXPECT_NE(refused.message.find("-DSTARLING_PARQUET=ON"), std::string::npos) << refused.message;
    const auto odd = testing::refusal("parquet:x?no-such-key=1");
    EXPECT_NE(odd.message.find("it takes label"), std::string::npos) << odd.message;
}

}  // namespace
}  // namespace starling::data
