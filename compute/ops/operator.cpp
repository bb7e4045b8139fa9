#include "compute/ops/operator.hpp"

#include <array>

namespace starling::compute {

namespace {

using Family = std::span<const Operator> (*)();

constexpr std::array<Family, 6> kFamilies{
    convolution_operators,
    pooling_operators,
    matrix_operators,
    elementwise_operators,
    reshaping_operators,
    loss_operators,
};

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
    return op.infer(inputs, attributes);
}

}  // namespace starling::compute
