#include "compute/graph/operator.hpp"

#include <algorithm>
#include <array>

namespace starling::compute {

namespace {

using Family = std::span<const Operator> (*)();

constexpr std::array<Family, 11> kFamilies{
    convolution_operators,
    pooling_operators,
    matrix_operators,
    elementwise_operators,
    reshaping_operators,
    reduction_operators,
    movement_operators,
    normalization_operators,
    attention_operators,
    loss_operators,
    centre_point_operators,
};

/// Operators that only move elements; they take whole numbers as well.
constexpr auto kMovers = std::to_array<std::string_view>(
    {"Cast",
     "Concat",
     "Expand",
     "Flatten",
     "Gather",
     "Identity",
     "Reshape",
     "Slice",
     "Split",
     "Squeeze",
     "Transpose",
     "Unsqueeze"}
);
/// Operators whose second operand may hold whole numbers: labels or indices.
constexpr auto kPointers = std::to_array<std::string_view>(
    {"GatherGrad", "MaxPoolGrad", "Score", "SoftmaxCrossEntropyGrad", "SoftmaxCrossEntropyLoss"}
);

bool takes_whole_numbers(const Operator& op, std::size_t operand) {
    const auto lists = [&](auto& names) {
        return std::find(names.begin(), names.end(), op.name) != names.end();
    };
    return lists(kMovers) || (operand == 1 && lists(kPointers));
}

}  // namespace

const Operator* find_operator(std::string_view name) {
    for (const auto family : kFamilies) {
        for (const auto& op : family()) {
            if (op.name == name) return &op;
        }
    }
    return nullptr;
}

std::vector<const Operator*> all_operators() {
    std::vector<const Operator*> all;
    for (const auto family : kFamilies) {
        for (const auto& op : family()) all.push_back(&op);
    }
    return all;
}

InferredTypes infer_types(const Operator& op, OperandTypes inputs, const Attributes& attributes) {
    if (inputs.size() < op.inputs_min || inputs.size() > op.inputs_max) {
        return fail(
            FaultCode::BadValue,
            std::string(op.name) + " takes " + std::to_string(op.inputs_min) + " to " +
                std::to_string(op.inputs_max) + " operands, not " + std::to_string(inputs.size())
        );
    }
    for (std::size_t i = 0; i < op.inputs_min; ++i) {
        if (inputs[i] == nullptr) {
            return fail(
                FaultCode::BadValue,
                std::string(op.name) + ": operand " + std::to_string(i) + " is missing"
            );
        }
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const bool whole = inputs[i] != nullptr && inputs[i]->element != ElementType::F32;
        if (whole && !takes_whole_numbers(op, i)) {
            return fail(
                FaultCode::Unsupported,
                std::string(op.name) + ": operand " + std::to_string(i) +
                    " holds whole numbers; cast it to float"
            );
        }
    }
    return op.infer(inputs, attributes);
}

}  // namespace starling::compute
