// Goal: no file harms the reader of ONNX models.
// Method: libFuzzer mutates small models of ours; each input is read for inference, for training
// with another batch size, and as it stands; then the gradient of its loss is built. Sanitizers and the reader's own checks judge.
// Bytes changed at random rarely leave a message whole, so every other mutation changes the model
// that the bytes are instead: what lies behind the protobuf is reached, too.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>

#include "compute/graph/operator.hpp"
#include "compute/onnx/import.hpp"
#include "compute/onnx/model_file.hpp"
#include "compute/training/least_memory.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace starling::compute::onnx {
namespace {

/// Operators that the graph does not have but files do.
constexpr auto kFileOperators = std::to_array<const char*>(
    {"Constant",
     "ConstantOfShape",
     "Shape",
     "Size",
     "Range",
     "Tile",
     "Sum",
     "Mean",
     "PRelu",
     "Selu",
     "Celu",
     "Not",
     "And",
     "Or",
     "Xor",
     "Equal",
     "Greater",
     "Less",
     "Trilu",
     "Resize",
     "Upsample",
     "Mod",
     "ReduceProd",
     "ReduceMin",
     "ReduceL2",
     "ConvTranspose",
     "DepthToSpace",
     "SpaceToDepth",
     "InstanceNormalization",
     "GroupNormalization",
     "LayerNormalization",
     "GreaterOrEqual",
     "ReduceLogSumExp",
     "Sign"}
);

constexpr auto kAttributes = std::to_array<const char*>(
    {"axis",        "axes",      "perm",       "shape",          "kernel_shape",  "strides",
     "pads",        "dilations", "group",      "output_padding", "output_shape",  "auto_pad",
     "ceil_mode",   "transA",    "transB",     "alpha",          "beta",          "epsilon",
     "momentum",    "keepdims",  "to",         "value",          "mode",          "split",
     "num_outputs", "blocksize", "num_groups", "upper",          "training_mode", "broadcast",
     "starts",      "ends",      "steps",      "scales"}
);

constexpr auto kIntegers = std::to_array<std::int64_t>(
    {0,
     1,
     -1,
     2,
     3,
     4,
     7,
     -2,
     16,
     255,
     65536,
     std::int64_t{1} << 31,
     std::int64_t{1} << 32,
     std::int64_t{1} << 60,
     std::numeric_limits<std::int64_t>::max(),
     std::numeric_limits<std::int64_t>::min(),
     std::numeric_limits<std::int64_t>::max() - 1}
);

class Mutator {
public:
    Mutator(ModelFile& file, unsigned seed) : file_(file), random_(seed) {}

    void run() {
        for (auto left = 1 + below(4); left > 0; --left) {
            switch (below(9)) {
                case 0:
                    change_operator();
                    break;
                case 1:
                    change_operands();
                    break;
                case 2:
                    change_attribute();
                    break;
                case 3:
                    change_nodes();
                    break;
                case 4:
                    change_shape();
                    break;
                case 5:
                    change_initializer();
                    break;
                case 6:
                    add_attribute();
                    break;
                case 7:
                    file_.opset = static_cast<std::int64_t>(below(24));
                    break;
                default:
                    insert_node();
                    break;
            }
        }
    }

private:
    std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

    template <class List>
    auto& pick(List& list) {
        return list[below(list.size())];
    }

    NodeMessage* some_node() { return file_.nodes.empty() ? nullptr : &pick(file_.nodes); }

    std::string some_operator() {
        if (below(2) == 0) return pick(kFileOperators);
        const auto all = all_operators();
        return std::string(all[below(all.size())]->name);
    }

    std::string some_name() {
        std::vector<std::string> names{""};
        for (const auto& node : file_.nodes) {
            names.insert(names.end(), node.outputs.begin(), node.outputs.end());
        }
        for (const auto& tensor : file_.initializers) names.push_back(tensor.name);
        for (const auto& input : file_.inputs) names.push_back(input.name);
        return pick(names);
    }

    std::int64_t some_integer() { return pick(kIntegers); }

    Attribute some_value() {
        switch (below(5)) {
            case 0:
                return some_integer();
            case 1:
                return static_cast<double>(static_cast<float>(some_integer())) / 3.0;
            case 2:
                return std::string(below(2) == 0 ? "SAME_UPPER" : "nearest");
            case 3:
                return std::vector<double>(below(5), 0.5);
            default:
                break;
        }
        std::vector<std::int64_t> list(below(9));
        for (auto& value : list) value = some_integer();
        return list;
    }

    void change_operator() {
        if (auto* node = some_node()) node->op = some_operator();
    }

    void change_operands() {
        auto* node = some_node();
        if (node == nullptr) return;
        if (!node->inputs.empty() && below(3) > 0) pick(node->inputs) = some_name();
        if (below(3) == 0) node->inputs.push_back(some_name());
        if (!node->inputs.empty() && below(4) == 0) node->inputs.pop_back();
        if (below(6) == 0) node->outputs.push_back("more" + std::to_string(below(50)));
    }

    void change_attribute() {
        auto* node = some_node();
        if (node == nullptr || node->attributes.empty()) return;
        auto& attribute = pick(node->attributes);
        if (auto* list = std::get_if<std::vector<std::int64_t>>(&attribute.value);
            list != nullptr && !list->empty() && below(2) == 0) {
            pick(*list) = some_integer();
        } else if (attribute.tensor.has_value() && below(2) == 0) {
            change_tensor(*attribute.tensor);
        } else {
            attribute.tensor.reset();
            attribute.value = some_value();
        }
    }

    void add_attribute() {
        auto* node = some_node();
        if (node == nullptr) return;
        AttributeMessage attribute;
        attribute.name = pick(kAttributes);
        attribute.value = some_value();
        node->attributes.push_back(std::move(attribute));
    }

    void change_nodes() {
        if (file_.nodes.empty()) return;
        const auto at = static_cast<std::ptrdiff_t>(below(file_.nodes.size()));
        if (below(2) == 0) {
            std::swap(file_.nodes[static_cast<std::size_t>(at)], pick(file_.nodes));
        } else {
            file_.nodes.erase(file_.nodes.begin() + at);
        }
    }

    /// A node between another and its readers.
    void insert_node() {
        auto* before = some_node();
        if (before == nullptr || before->outputs.empty()) return;
        NodeMessage node;
        node.op = some_operator();
        node.inputs = {"fresh" + std::to_string(below(1000))};
        node.outputs = {before->outputs[0]};
        while (below(2) == 0) node.inputs.push_back(some_name());
        before->outputs[0] = node.inputs[0];
        const auto at = before - file_.nodes.data() + 1;
        file_.nodes.insert(file_.nodes.begin() + at, std::move(node));
    }

    void change_shape() {
        if (file_.inputs.empty()) return;
        auto& shape = pick(file_.inputs).shape;
        if (!shape.empty() && below(3) > 0) {
            pick(shape) = some_integer();
        } else if (below(2) == 0) {
            shape.push_back(some_integer());
        } else if (!shape.empty()) {
            shape.pop_back();
        }
    }

    void change_initializer() {
        if (file_.initializers.empty()) return;
        change_tensor(pick(file_.initializers));
    }

    void change_tensor(TensorMessage& tensor) {
        switch (below(4)) {
            case 0:
                tensor.type = static_cast<DataType>(below(17));
                return;
            case 1:
                tensor.shape.push_back(some_integer());
                return;
            case 2:
                if (!tensor.shape.empty()) pick(tensor.shape) = some_integer();
                return;
            default:
                break;
        }
        // Numbers of eight bytes are indices and shapes, those of four mostly weights.
        const std::size_t width = tensor.type == DataType::Int64 ? 8 : 4;
        if (tensor.raw.size() < width) return;
        const auto at = below(tensor.raw.size() / width) * width;
        const auto whole = some_integer();
        std::array<float, 5> reals{
            0.0F,
            1.0F,
            -1e9F,
            std::numeric_limits<float>::infinity(),
            std::numeric_limits<float>::quiet_NaN()};
        const float real = pick(reals);
        if (width == 8) {
            std::memcpy(&tensor.raw[at], &whole, width);
        } else {
            std::memcpy(&tensor.raw[at], &real, width);
        }
    }

    ModelFile& file_;
    std::minstd_rand random_;
};

/// Builds the gradient of a loss over the model's scores, for the data that the model itself wants.
void train(ByteView bytes, const ImportedModel& model) {
    if (model.inputs.size() != 1) return;
    const auto& shape = model.graph.shape(model.inputs[0].id);
    const auto& scores = model.graph.shape(model.outputs[0].id);
    if (shape.empty() || scores.empty()) return;
    EngineOptions options;
    options.model = "onnx:net.onnx";
    options.model_file = std::make_shared<const Bytes>(bytes.begin(), bytes.end());
    options.task = {{shape.begin() + 1, shape.end()}, scores.back()};
    options.batch = 4;
    options.eval_batch = 2;
    (void)least_memory(options);
}

}  // namespace
}  // namespace starling::compute::onnx

extern "C" std::size_t LLVMFuzzerCustomMutator(
    std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed
) {
    using namespace starling::compute;  // NOLINT(google-build-using-namespace) one function
    if (seed % 2 == 0) return LLVMFuzzerMutate(data, size, max_size);
    auto file = onnx::decode_model(std::as_bytes(std::span(data, size)));
    if (file.has_error()) return LLVMFuzzerMutate(data, size, max_size);
    onnx::Mutator(*file, seed).run();
    const auto bytes = onnx::encode_model(*file);
    if (bytes.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
    std::memcpy(data, bytes.data(), bytes.size());
    return bytes.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::compute;  // NOLINT(google-build-using-namespace) one function
    const auto bytes = std::as_bytes(std::span(data, size));
    onnx::ImportOptions options;
    (void)onnx::import_onnx(bytes, options);
    options.recognise = false;
    options.float_inputs = true;
    options.batch = 4;
    options.purpose = Purpose::Training;
    const auto model = onnx::import_onnx(bytes, options);
    if (model.has_value()) onnx::train(bytes, *model);
    (void)onnx::read_tensor(bytes);
    return 0;
}
