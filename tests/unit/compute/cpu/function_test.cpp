// Goal: functions keep their relative accuracy where their results are small, a common offset of the
// scores costs a softmax nothing, and slopes at kinks are PyTorch's.
// Method: the loops against the standard library's functions of doubles, over sixty powers of two.

#include "compute/cpu/loops/function.hpp"

#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <span>
#include <vector>

#include "compute/cpu/loops/loops.hpp"
#include "compute/cpu/loops/norm.hpp"

namespace starling::compute::cpu {
namespace {

/// Numbers of both signs from 2^-60 to 8, denser where functions bend.
std::vector<float> arguments() {
    std::vector<float> x;
    for (int power = -60; power < 3; ++power) {
        for (int i = 0; i < 64; ++i) {
            const float value = std::ldexp(1.0F + static_cast<float>(i) / 64.0F, power);
            x.push_back(value);
            x.push_back(-value);
        }
    }
    return x;
}

Source from(const std::vector<float>& x) {
    return {std::as_bytes(std::span(x)).data(), false};
}

Sink into(std::vector<float>& y) {
    return {std::as_writable_bytes(std::span(y)).data(), false};
}

std::vector<float> forward(std::string_view name, const std::vector<float>& x) {
    std::vector<float> y(x.size());
    const auto settings = function_settings(name, {});
    find_function_loop(name)->forward(1, settings, x.size(), from(x), into(y));
    return y;
}

float slope(std::string_view name, float known, const Attributes& attributes = {}) {
    const std::vector<float> dy{1.0F};
    const std::vector<float> at{known};
    std::vector<float> dx(1);
    const auto settings = function_settings(name, attributes);
    find_function_loop(name)->backward(1, settings, 1, from(dy), from(at), into(dx));
    return dx[0];
}

struct Exact {
    const char* name;
    std::function<double(double)> value;
    double tolerance;
};

TEST(FunctionAccuracy, IsRelativeAlsoNearZero) {
    const double root = std::sqrt(0.5);
    const std::vector<Exact> functions{
        {"Tanh", [](double x) { return std::tanh(x); }, 1e-6},
        {"Elu", [](double x) { return x < 0.0 ? std::expm1(x) : x; }, 1e-6},
        {"Erf", [](double x) { return std::erf(x); }, 1e-6},
        {"Sigmoid", [](double x) { return 1.0 / (1.0 + std::exp(-x)); }, 1e-6},
        {"Softplus",
         [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); },
         2e-6},
        {"Exp", [](double x) { return std::exp(x); }, 1e-6},
        // Beyond -1 the bell's tail is the small rest of a difference.
        {"Gelu",
         [=](double x) { return x < -1.0 ? 0.0 : 0.5 * x * (1.0 + std::erf(x * root)); },
         2e-6}};
    const auto x = arguments();
    for (const auto& function : functions) {
        SCOPED_TRACE(function.name);
        const auto y = forward(function.name, x);
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double exact = function.value(static_cast<double>(x[i]));
            if (exact == 0.0) continue;
            const double error = std::abs(static_cast<double>(y[i]) - exact) / std::abs(exact);
            ASSERT_LE(error, function.tolerance) << "at " << x[i];
        }
    }
}

TEST(FunctionAccuracy, TanhStaysInItsRange) {
    for (const float x : {7.9F, 7.91F, 9.0F, 20.0F, 1e30F, INFINITY}) {
        const auto y = forward("Tanh", {x, -x});
        EXPECT_LE(y[0], 1.0F);
        EXPECT_NEAR(y[0], 1.0F, 1e-6F);
        EXPECT_EQ(y[1], -y[0]);
    }
}

TEST(FunctionSlope, AtKinksIsPyTorchs) {
    EXPECT_EQ(slope("LeakyRelu", 0.0F, {{"alpha", 0.25}}), 0.25F);
    EXPECT_EQ(slope("LeakyRelu", -0.0F, {{"alpha", 0.25}}), 0.25F);
    EXPECT_EQ(slope("LeakyRelu", 1e-30F, {{"alpha", 0.25}}), 1.0F);
    EXPECT_EQ(slope("Elu", 0.0F, {{"alpha", 0.25}}), 0.25F);
    EXPECT_EQ(slope("Abs", 0.0F), 0.0F);
    const Attributes bounds{{"min", -1.0}, {"max", 2.0}};
    for (const float bound : {-1.0F, 2.0F}) EXPECT_EQ(slope("Clip", bound, bounds), 1.0F);
    for (const float edge : {-2.5F, 2.5F}) EXPECT_EQ(slope("HardSigmoid", edge), 0.0F);
}

TEST(LogSoftmaxAccuracy, CommonOffsetCostsNothing) {
    // Steps of one half are exact floats at this height, so that both rows mean the same.
    const std::vector<float> plain{0.0F, 0.5F, -1.0F, 2.0F, 1.5F};
    for (const float offset : {1e6F, -1e6F, 4e6F}) {
        for (const std::int64_t inner : {1, 3}) {
            const auto count = static_cast<std::int64_t>(plain.size());
            const Cut cut{1, count, inner};
            std::vector<float> x(plain.size() * static_cast<std::size_t>(inner));
            auto low = x;
            for (std::size_t i = 0; i < x.size(); ++i) {
                low[i] = plain[i / static_cast<std::size_t>(inner)];
                x[i] = low[i] + offset;
            }
            for (const bool logarithm : {true, false}) {
                std::vector<float> y(x.size());
                std::vector<float> expected(x.size());
                softmax(1, logarithm, cut, x.data(), y.data());
                softmax(1, logarithm, cut, low.data(), expected.data());
                for (std::size_t i = 0; i < x.size(); ++i) {
                    EXPECT_NEAR(y[i], expected[i], 1e-6F) << offset << " " << inner;
                }
            }
        }
    }
}

}  // namespace
}  // namespace starling::compute::cpu
