#pragma once

// Small ONNX files for tests, written down node by node.

#include <string>
#include <vector>

#include "compute/onnx/model_file.hpp"

namespace starling::compute::onnx {

/// Builds a file with our own encoder. Every call may be wrong on purpose.
class FileBuilder {
public:
    FileBuilder() { file.opset = 17; }

    FileBuilder& input(std::string name, Shape shape, DataType type = DataType::Float) {
        file.inputs.push_back({std::move(name), type, true, true, std::move(shape)});
        return *this;
    }

    FileBuilder& output(std::string name) {
        file.outputs.push_back({std::move(name), DataType::Float, true, true, {}});
        return *this;
    }

    FileBuilder& node(
        std::string op,
        std::vector<std::string> inputs,
        std::vector<std::string> outputs,
        const std::vector<std::pair<std::string, Attribute>>& settings = {}
    ) {
        NodeMessage message;
        message.name = "the_" + op;
        message.op = std::move(op);
        message.inputs = std::move(inputs);
        message.outputs = std::move(outputs);
        for (const auto& [name, value] : settings) {
            AttributeMessage attribute;
            attribute.name = name;
            attribute.value = value;
            message.attributes.push_back(std::move(attribute));
        }
        file.nodes.push_back(std::move(message));
        return *this;
    }

    /// A float initializer whose elements are small and differ.
    FileBuilder& floats(std::string name, Shape shape) {
        TensorMessage tensor;
        for (std::int64_t i = 0; i < element_count(shape); ++i) {
            tensor.floats.push_back(0.01F * static_cast<float>(i % 37) - 0.15F);
        }
        return initializer(std::move(name), std::move(shape), DataType::Float, std::move(tensor));
    }

    FileBuilder& floats(std::string name, Shape shape, std::vector<float> values) {
        TensorMessage tensor;
        tensor.floats = std::move(values);
        return initializer(std::move(name), std::move(shape), DataType::Float, std::move(tensor));
    }

    FileBuilder& ints(std::string name, std::vector<std::int64_t> values) {
        TensorMessage tensor;
        const Shape shape{static_cast<std::int64_t>(values.size())};
        tensor.integers = std::move(values);
        return initializer(std::move(name), shape, DataType::Int64, std::move(tensor));
    }

    /// A Constant node with floats.
    FileBuilder& constant(const std::string& name, Shape shape, std::vector<float> values) {
        NodeMessage message;
        message.op = "Constant";
        message.outputs = {name};
        AttributeMessage attribute;
        attribute.name = "value";
        attribute.tensor.emplace();
        attribute.tensor->type = DataType::Float;
        attribute.tensor->shape = std::move(shape);
        attribute.tensor->floats = std::move(values);
        message.attributes.push_back(std::move(attribute));
        file.nodes.push_back(std::move(message));
        return *this;
    }

    [[nodiscard]] Bytes bytes() const { return encode_model(file); }

    ModelFile file;

private:
    FileBuilder& initializer(std::string name, Shape shape, DataType type, TensorMessage tensor) {
        tensor.name = std::move(name);
        tensor.shape = std::move(shape);
        tensor.type = type;
        file.initializers.push_back(std::move(tensor));
        return *this;
    }
};

}  // namespace starling::compute::onnx
