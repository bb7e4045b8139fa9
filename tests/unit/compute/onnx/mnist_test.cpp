// Goal: a real model from outside gives the answers that another runtime gives.
// Method: opt-mnist.onnx of the ONNX model zoo on ten handwritten digits, one of each class, as one
// batch, although the file is for one sample. The digits are 8 x 8 images of the UCI optical
// recognition set (CC BY 4.0), drawn three times as large on 28 x 28; the scores beside them are
// those of onnxruntime 1.30. The test runs if the folder of real models is available.

#include <algorithm>
#include <array>

#include "tests/unit/compute/support/onnx_fixture.hpp"

namespace starling::compute::onnx {
namespace {

struct Digit {
    const char* pixels;  ///< 0 to g for 0 to 16, row by row
    std::array<double, 10> scores;
};

constexpr std::array<Digit, 10> kDigits{{
    {"005d910000dfaf5003f20b8004c008800580098004b01c7002e5ac00006da000",
     {2966.4995,
      -1210.6563,
      984.4714,
      -2811.1013,
      -493.9561,
      331.5362,
      117.0552,
      623.5581,
      -919.8458,
      -513.0558}},
    {"0002gg200004gg20014cgc0007gggc00003age000008gc000006gg200002cf40",
     {-2342.4238,
      1617.4968,
      148.7343,
      -65.3899,
      1255.0126,
      -9.1883,
      -2521.9604,
      -573.1462,
      792.3434,
      339.2491}},
    {"0004fc00003gfe00008d8g000016fb00018df10009gg500003dggb500003bg90",
     {-899.7213,
      866.1976,
      2145.0886,
      1031.4552,
      -1182.1971,
      -301.4348,
      -183.4642,
      -1929.5273,
      444.3630,
      -1248.2753}},
    {"007fd10008d6f400021dd000002fb1000001cc1000001a8000845e90007dd900",
     {-1450.5397,
      240.4095,
      253.3210,
      1991.2485,
      -210.3813,
      793.6771,
      -1834.3330,
      -700.1783,
      43.9995,
      -525.6865}},
    {"0001b00000078000001d6220007f098005ga0g6004fgdg100003fa000002g400",
     {-1829.7524,
      -300.6499,
      70.0947,
      -1636.5775,
      3389.3315,
      -522.0090,
      776.7070,
      3.0456,
      -870.0861,
      761.6944}},
    {"00ca000000egge0000dgfa1000bgg70000047g7000004g900054cg40009gga00",
     {-1498.0906,
      -492.2185,
      -747.7517,
      1265.3036,
      500.3719,
      1901.6150,
      -2551.5935,
      21.3345,
      356.3781,
      1257.6145}},
    {"000cd000005g800000dg300000ed000000fc720000dgdg30007gbf800019fb30",
     {-626.6370,
      -675.7634,
      -430.5185,
      -1468.0885,
      144.2706,
      550.6611,
      3153.2637,
      -2038.9769,
      1246.0236,
      -1768.8715}},
    {"0078dgf100774bc000008d100488ff6002bff400000g5000009f100000d50000",
     {-2489.9519,
      1285.3589,
      -172.5272,
      -491.7232,
      1156.6147,
      -273.1214,
      -2371.4548,
      1543.3486,
      91.7849,
      505.0157}},
    {"009e810000ceec00009a0f40003gce20004gg20003g8ad2001f13g8000bgfb10",
     {-1444.4197,
      -977.1208,
      909.7231,
      -154.9345,
      -74.6941,
      -275.8614,
      299.1980,
      -2460.8162,
      3933.8472,
      -387.7314}},
    {"00bc000002gggd0003gcae0001g1cf0000dg9f20000309b000009f40009cd300",
     {-784.3564,
      -1924.0159,
      -1544.5884,
      1187.9456,
      584.9454,
      1710.9733,
      -1746.0787,
      -1358.8286,
      525.6235,
      1987.5585}},
}};

std::vector<double> drawn(const char* pixels) {
    std::vector<double> image(28 * 28, 0.0);
    for (std::size_t i = 0; i < 24 * 24; ++i) {
        const auto y = i / 24;
        const auto x = i % 24;
        const char c = pixels[y / 3 * 8 + x / 3];
        const double value = c >= 'a' ? c - 'a' + 10 : c - '0';
        image[(y + 2) * 28 + x + 2] = std::min(255.0, 16.0 * value);
    }
    return image;
}

TEST(OnnxMnist, TenDigitsAreReadAsAnotherRuntimeReadsThem) {
    const auto path = shared_data("interop-models/opt-mnist.onnx");
    if (!std::filesystem::exists(path)) {
        GTEST_SKIP() << "no " << path << "; STARLING_SHARED_DATA names another folder";
    }
    ImportOptions options;
    options.batch = 10;
    auto model = import_onnx(read_file(path), options);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    std::vector<double> batch;
    for (const auto& digit : kDigits) {
        const auto image = drawn(digit.pixels);
        batch.insert(batch.end(), image.begin(), image.end());
    }
    const auto store = store_of(model->graph);
    const auto results = Runnable(std::move(*model)).run_plan({batch}, *store);
    ASSERT_TRUE(results.has_value()) << results.error().message;
    const auto& scores = (*results)[0];
    ASSERT_EQ(scores.size(), 100U);
    for (std::size_t label = 0; label < 10; ++label) {
        const auto row = scores.begin() + static_cast<std::ptrdiff_t>(10 * label);
        EXPECT_EQ(std::max_element(row, row + 10) - row, static_cast<std::ptrdiff_t>(label));
        for (std::size_t k = 0; k < 10; ++k) {
            EXPECT_NEAR(scores[10 * label + k], kDigits[label].scores[k], 0.02)
                << label << " " << k;
        }
    }
}

}  // namespace
}  // namespace starling::compute::onnx
