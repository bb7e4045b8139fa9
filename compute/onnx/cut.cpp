// The front part of a net for pictures, for others to stand on.

#include <algorithm>
#include <set>

#include "compute/onnx/importer.hpp"
#include "compute/onnx/model_file.hpp"
#include "compute/onnx/parameters.hpp"

namespace starling::compute::onnx {

namespace {

/// Sides of the picture for which maps are looked for. All usual strides divide them, and a net that
/// takes pictures takes this size.
constexpr std::int64_t kSide = 224;
constexpr std::int64_t kColours = 3;

/// Returns the place of the file's input that takes pictures, by the order of axes that ONNX has.
Result<Shape> picture_of(const ModelFile& file) {
    std::set<std::string> fixed;
    for (const auto& tensor : file.initializers) fixed.insert(tensor.name);
    const ValueMessage* found = nullptr;
    std::size_t inputs = 0;
    for (const auto& input : file.inputs) {
        if (fixed.contains(input.name)) continue;
        ++inputs;
        found = &input;
    }
    if (inputs != 1 || !found->has_shape || found->shape.size() != 4) {
        return fail(
            FaultCode::Unsupported,
            "onnx: the net takes no pictures: it wants one input [N, C, H, W]"
        );
    }
    return Shape{found->shape[1] > 0 ? found->shape[1] : kColours, kSide, kSide};
}

/// Leaves the nodes and initializers that the named values are made of.
void keep_what_makes(ModelFile& file, const std::vector<std::string>& wanted) {
    std::set<std::string> needed(wanted.begin(), wanted.end());
    std::vector<NodeMessage> nodes;
    for (auto node = file.nodes.rbegin(); node != file.nodes.rend(); ++node) {
        const bool used =
            std::any_of(node->outputs.begin(), node->outputs.end(), [&](const auto& name) {
                return !name.empty() && needed.contains(name);
            });
        if (!used) continue;
        needed.insert(node->inputs.begin(), node->inputs.end());
        nodes.push_back(std::move(*node));
    }
    std::reverse(nodes.begin(), nodes.end());
    file.nodes = std::move(nodes);
    const auto unused = [&](const auto& one) { return !needed.contains(one.name); };
    std::erase_if(file.initializers, unused);
    std::erase_if(file.inputs, unused);
    file.outputs.clear();
    for (const auto& name : wanted) {
        ValueMessage output;
        output.name = name;
        output.type = DataType::Float;
        output.tensor = true;
        output.shape = {-1, -1, -1, -1};
        file.outputs.push_back(std::move(output));
    }
}

}  // namespace

/// A fault behind the maps is nobody's concern: what comes there is left out.
Result<std::vector<std::string>> Importer::find_maps(std::span<const std::int64_t> strides) {
    prepare();
    if (!ok()) return *fault_;
    const auto picture = model_.graph.shape(model_.inputs.at(0).id);
    std::vector<std::string> maps(strides.size());
    for (const auto& node : file_.nodes) {
        translate(node);
        if (!ok()) break;
        for (const auto& name : node.outputs) {
            const auto* entry = find(name);
            if (entry == nullptr || entry->id == ValueId::None) continue;
            const auto map = model_.graph.shape(entry->id);
            for (std::size_t i = 0; i < strides.size() && map.size() == 4; ++i) {
                const bool fits =
                    map[2] * strides[i] == picture[2] && map[3] * strides[i] == picture[3];
                if (fits) maps[i] = name;
            }
        }
    }
    const auto lacking = std::find(maps.begin(), maps.end(), std::string());
    if (lacking == maps.end()) return maps;
    if (!ok()) return *fault_;
    const auto stride = strides[static_cast<std::size_t>(lacking - maps.begin())];
    return fail(
        FaultCode::Unsupported,
        "onnx: no layer of the net gives a map of 1/" + std::to_string(stride) +
            " of the picture's sides"
    );
}

Result<Bytes> cut_to_maps(ByteView bytes, std::span<const std::int64_t> strides) {
    auto file = decode_model(bytes);
    if (file.has_error()) return file.error();
    auto picture = picture_of(*file);
    if (picture.has_error()) return picture.error();
    auto options = for_samples(1, Purpose::Inference);
    options.sample = std::move(*picture);
    auto whole = *file;
    const auto placement = place_parameters(*file);
    if (placement.has_error()) return placement.error();
    const auto maps = Importer(*file, *placement, options).find_maps(strides);
    if (maps.has_error()) return maps.error();
    keep_what_makes(whole, *maps);
    return encode_model(whole);
}

}  // namespace starling::compute::onnx
