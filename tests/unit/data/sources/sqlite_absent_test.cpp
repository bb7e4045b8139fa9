// Goal: a build without SQLite says so, and how to get it. Method: compiled only where it is absent.

#include <gtest/gtest.h>

#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

TEST(SqliteAbsent, OneLineNamesTheOption) {
    const auto refused = testing::refusal("sqlite:t.db?label=y");
    EXPECT_EQ(refused.code, FaultCode::Unsupported);
    EXPECT_NE(refused.message.find("-DSTARLING_SQLITE=ON"), std::string::npos) << refused.message;
    const auto odd = testing::refusal("sqlite:x?no-such-key=1");
    EXPECT_NE(odd.message.find("it takes label"), std::string::npos) << odd.message;
}

}  // namespace
}  // namespace starling::data
