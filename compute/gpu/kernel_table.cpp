#include "compute/gpu/kernel_table.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "compute/gpu/kernels.hpp"

namespace starling::compute::gpu {

namespace {

constexpr std::array<std::size_t, 3> kFlat{kFlatLanes, 1, 1};
constexpr std::array<std::size_t, 3> kRows{kRowLanes, 1, 1};
constexpr std::array<std::size_t, 3> kTiles{kTileSide, kTileSide, 1};

// In the order of the files in kernels/.
constexpr KernelFacts kTable[] = {
    {"attention", "FFFA", kRows},
    {"attention_gradient_query", "FFFFFA", kRows},
    {"attention_gradient_key", "FFFFFA", kRows},
    {"function", "FFliff", kFlat},
    {"function_gradient", "FFFliff", kFlat},
    {"relu_gradient", "FFFFli", kFlat},
    {"pair", "FFFVVlii", kFlat},
    {"where", "FFFFVVVl", kFlat},
    {"float_of_word", "WFl", kFlat},
    {"word_of_float", "FWl", kFlat},
    {"dropout", "FFFlLfu", kFlat},
    {"cross_entropy_rows", "FWFFFS", kRows},
    {"label_total", "WFFiS", kRows},
    {"loss_of_rows", "FFFi", kRows},
    {"cross_entropy_gradient", "FWFFFS", kRows},
    {"class_hits", "FWWli", kFlat},
    {"label_hits", "FFWl", kFlat},
    {"sum_words", "WWi", kRows},
    {"fill", "Wli", kFlat},
    {"move_view", "WWVVl", kFlat},
    {"gather", "WWWliil", kFlat},
    {"sort_picks", "WWWii", kRows},
    {"gather_gradient", "FWWFliil", kFlat},
    {"channel_moments", "FFFH", kRows},
    {"batch_norm", "FFFFFFHlfi", kFlat},
    {"batch_norm_sums", "FFFFFFHf", kRows},
    {"batch_norm_gradient", "FFFFFFFFHlf", kFlat},
    {"layer_norm", "FFFFFFifii", kRows},
    {"layer_norm_gradient", "FFFFFFii", kRows},
    {"layer_norm_sums", "FFFFFFii", kRows},
    {"max_pool", "FFWOl", kFlat},
    {"max_pool_gradient", "FWFOl", kFlat},
    {"average_pool", "FFOl", kFlat},
    {"average_pool_gradient", "FFOl", kFlat},
    {"product", "FFFFVVP", kTiles},
    {"product_bf16", "FFFFVVP", kTiles},
    {"convolution", "FFFFC", kTiles},
    {"convolution_bf16", "FFFFC", kTiles},
    {"convolution_gradient_input", "FFFC", kTiles},
    {"convolution_gradient_input_bf16", "FFFC", kTiles},
    {"convolution_gradient_weight", "FFFCi", kTiles},
    {"convolution_gradient_weight_bf16", "FFFCi", kTiles},
    {"add_bias", "FFliii", kFlat},
    {"reduce_each", "FFVVlli", kFlat},
    {"reduce_group", "FFVVli", kRows},
    {"softmax", "FFili", kRows},
    {"softmax_gradient", "FFFili", kRows},
    {"sgd", "FFFlffffi", kFlat},
    {"adamw", "FFFFlffffffff", kFlat},
    {"scale", "Flf", kFlat},
    {"accumulate", "FFlfi", kFlat},
    {"squares", "FFli", kRows},
};

}  // namespace

std::span<const KernelFacts> kernel_table() {
    return kTable;
}

std::size_t argument_bytes(char letter) {
    switch (letter) {
        case 'i':
        case 'u':
        case 'f':
            return 4;
        case 'l':
        case 'L':
            return 8;
        case 'V':
            return sizeof(KernelView);
        case 'P':
            return sizeof(ProductShape);
        case 'C':
            return sizeof(ConvolutionShape);
        case 'S':
            return sizeof(LossShape);
        case 'O':
            return sizeof(PoolShape);
        case 'H':
            return sizeof(ChannelShape);
        case 'A':
            return sizeof(AttentionShape);
        default:
            break;
    }
    STARLING_UNREACHABLE("a letter of no table");
}

std::string mismatch(const Launch& launch) {
    const auto* const facts =
        std::find_if(std::begin(kTable), std::end(kTable), [&](const KernelFacts& one) {
            return one.name == launch.kernel;
        });
    const std::string name = launch.kernel;
    if (facts == std::end(kTable)) return name + " is no kernel";
    if (launch.grid.threads != facts->threads) return name + " has groups of another size";
    if (launch.arguments.size() != facts->arguments.size()) {
        return name + " has " + std::to_string(facts->arguments.size()) + " arguments, not " +
               std::to_string(launch.arguments.size());
    }
    for (std::size_t i = 0; i < launch.arguments.size(); ++i) {
        const char letter = facts->arguments[i];
        const bool place = letter == 'F' || letter == 'W';
        const auto& argument = launch.arguments[i];
        const auto bytes = place ? sizeof(std::int64_t) : argument_bytes(letter);
        if ((argument.memory() != nullptr) == place && argument.bytes().size() == bytes) continue;
        return name + " wants another argument " + std::to_string(i);
    }
    return {};
}

}  // namespace starling::compute::gpu
