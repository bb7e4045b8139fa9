// Goal: how a table's options decide what a model is fed: logarithms, clipping, weights of classes.
// Method: tables that the test writes, read as a founder reads them.

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::open;
using testing::Prepared;
using testing::refusal;

class Tables : public testing::SourceFiles {};

TEST_F(Tables, NumbersThatSpreadFarAreFedAsLogarithmsUnlessAnOptionSaysOtherwise) {
    std::string text = "age,amount,town,y\n";
    for (int i = 0; i < 400; ++i) {
        const double amount = i % 20 == 0 ? -std::exp(i / 40.0) : std::exp(i / 40.0);
        text += std::to_string(20 + i % 60) + "," + std::to_string(amount) + "," +
                (i % 3 == 0 ? "Bern" : "Chur") + "," + std::to_string(i % 2) + "\n";
    }
    put("t.csv", text);
    const auto units = [&](const std::string& options) {
        const auto source = open("csv:" + path("t.csv") + "?test=0" + options);
        const auto& columns = std::get<TableRecipe>(source->recipe()).columns;
        return std::pair(columns[0].log_unit, columns[1].log_unit);
    };
    EXPECT_EQ(units("").first, 0.0F);
    EXPECT_GT(units("").second, 0.0F);
    EXPECT_EQ(units("&log=auto"), units(""));
    EXPECT_EQ(units("&log=none"), (std::pair(0.0F, 0.0F)));
    EXPECT_GT(units("&log=age").first, 0.0F);
    EXPECT_EQ(units("&log=age").second, 0.0F);
    EXPECT_EQ(units("&log=age,amount").second, units("").second);
    const auto spec = "csv:" + path("t.csv") + "?test=0&log=";
    EXPECT_NE(refusal(spec + "town").message.find("column of numbers"), std::string::npos);
    EXPECT_NE(refusal(spec + "y").message.find("column of numbers"), std::string::npos);
    EXPECT_NE(refusal(spec + "price").message.find("the columns are"), std::string::npos);
    const auto source = open("csv:" + path("t.csv") + "?test=0");
    const Prepared prepared(*source);
    double sum = 0.0;
    double squares = 0.0;
    for (const auto& row : prepared.values) {
        sum += row[2];
        squares += static_cast<double>(row[2]) * row[2];
    }
    const auto n = static_cast<double>(prepared.values.size());
    EXPECT_NEAR(sum / n, 0.0, 1e-4) << "what a model is fed is standardised";
    EXPECT_NEAR(squares / n, 1.0, 1e-4);
}

TEST_F(Tables, NumbersAreClippedAtEightDeviations) {
    std::string text = "a,b,y\n";
    for (int i = 0; i < 1000; ++i) {
        text += std::to_string(i % 7) + "," + (i == 500 ? "-1e30" : std::to_string(i % 5)) + "," +
                std::to_string(i % 2) + "\n";
    }
    put("t.csv", text);
    const Prepared prepared(*open("csv:" + path("t.csv") + "?test=0&log=none"));
    float least = 0.0F;
    for (const auto& row : prepared.values) least = std::min(least, row[1]);
    EXPECT_EQ(least, -8.0F);
}

TEST_F(Tables, ThePositiveClassMayCountMore) {
    put("t.csv", "a,y\n1,no\n2,yes\n3,no\n4,yes\n");
    const auto source = open("csv:" + path("t.csv") + "?test=0&pos_weight=3.5");
    EXPECT_EQ(source->schema().label.weights, (std::vector<float>{1.0F, 3.5F}));
    EXPECT_NE(
        refusal("csv:" + path("t.csv") + "?pos_weight=2&balance=1").message.find("not both"),
        std::string::npos
    );
    put("three.csv", "a,y\n1,no\n2,yes\n3,never\n4,yes\n");
    EXPECT_NE(
        refusal("csv:" + path("three.csv") + "?pos_weight=2&test=0").message.find("two classes"),
        std::string::npos
    );
}

}  // namespace
}  // namespace starling::data
