#include "compute/onnx/import.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "compute/graph/view.hpp"
#include "compute/onnx/finder.hpp"
#include "compute/onnx/importer.hpp"
#include "compute/onnx/parameters.hpp"
#include "compute/values/printable.hpp"
#include "compute/values/shape.hpp"

namespace starling::compute::onnx {

namespace {

Kind kind_of(DataType type) {
    if (type == DataType::Bool) return Kind::Bool;
    return is_integer(type) ? Kind::Integer : Kind::Real;
}

std::array<std::span<const NamedTranslation>, 5> families() {
    return {
        plain_translations(),
        arithmetic_translations(),
        window_translations(),
        shape_translations(),
        normalization_translations()};
}

const Translation* find_translation(std::string_view op) {
    for (const auto family : families()) {
        for (const auto& entry : family) {
            if (entry.op == op) return &entry.translate;
        }
    }
    return nullptr;
}

Result<Known> to_known(const TensorMessage& tensor) {
    auto values = tensor.values();
    if (values.has_error()) return values.error();
    return Known{kind_of(tensor.type), tensor.shape, std::move(*values)};
}

/// Returns true for a mask of causal attention: ones and zeros, or zeros and low numbers. No
/// trained weight looks like that.
bool is_causal_mask(const TensorMessage& tensor) {
    const auto& shape = tensor.shape;
    const auto rank = shape.size();
    if (!is_real(tensor.type) || rank < 2 || shape[rank - 1] != shape[rank - 2]) return false;
    if (!std::all_of(shape.begin(), shape.end() - 2, [](auto size) { return size == 1; })) {
        return false;
    }
    const auto values = tensor.reals();
    if (values.has_error()) return false;
    const auto mask = find_triangle(shape, *values);
    if (!mask.has_value()) return false;
    const bool numbers =
        (mask->seen == 1.0 && mask->hidden == 0.0) || (mask->seen == 0.0 && mask->hidden == 1.0);
    return numbers || (mask->seen == 0.0 && is_low(-std::abs(mask->hidden)));
}

}  // namespace

std::vector<std::string_view> accepted_operators() {
    auto names = folded_operators();
    for (const auto family : families()) {
        for (const auto& entry : family) names.push_back(entry.op);
    }
    return names;
}

Result<Known> read_tensor(ByteView bytes) {
    const auto tensor = decode_tensor(bytes);
    if (tensor.has_error()) return tensor.error();
    return to_known(*tensor);
}

Result<ImportedModel> import_onnx(ByteView bytes, const ImportOptions& options) {
    auto file = decode_model(bytes);
    if (file.has_error()) return file.error();
    const auto placement = place_parameters(*file);
    if (placement.has_error()) return placement.error();
    return Importer(*file, *placement, options).run();
}

void Importer::prepare() {
    read_opset();
    declare_initializers();
    add_inputs();
    note_uses();
    mark_special_initializers();
}

Result<ImportedModel> Importer::run() {
    prepare();
    for (const auto& node : file_.nodes) {
        if (!ok()) break;
        translate(node);
    }
    node_ = nullptr;
    model_.notes = placement_.notes;
    if (ok()) collect_outputs();
    if (!ok()) return *fault_;
    std::vector<ValueId*> wanted;
    for (auto& output : model_.outputs) wanted.push_back(&output.id);
    for (auto& input : model_.inputs) wanted.push_back(&input.id);
    for (auto& statistic : model_.statistics) wanted.push_back(&statistic.batch);
    if (options_.recognise) {
        recognise_patterns(model_.graph, wanted);
    } else {
        drop_unused(model_.graph, wanted);
    }
    return std::move(model_);
}

void Importer::refuse_file(FaultCode code, std::string message) {
    if (ok()) fault_ = fail(code, "onnx: " + std::move(message));
}

void Importer::refuse(FaultCode code, std::string message) {
    if (node_ == nullptr) return refuse_file(code, std::move(message));
    refuse_file(
        code, "node '" + node_name() + "' (" + printable(node_->op) + "): " + std::move(message)
    );
}

std::string Importer::node_name() const {
    const bool named = !node_->name.empty() || node_->outputs.empty();
    return printable(named ? node_->name : node_->outputs[0]);
}

void Importer::read_opset() {
    if (!file_.opset.has_value()) {
        const auto& other = file_.other_domain;
        return refuse_file(
            FaultCode::BadVersion,
            "the file names no opset of ONNX's own operators" +
                (other.empty() ? std::string() : ", only one of '" + printable(other) + "'") +
                "; export the model with opset 13 to 17"
        );
    }
    if (opset() < kOpsetMin || opset() > kOpsetMax) {
        refuse_file(
            FaultCode::BadVersion,
            "opset " + std::to_string(opset()) + " is not supported; export the model with " +
                "opset 13 to 17 (1 to 22 are read)"
        );
    }
}

void Importer::declare_initializers() {
    for (const auto& tensor : file_.initializers) {
        Entry entry;
        entry.initializer = &tensor;
        entry.kind = kind_of(tensor.type);
        if (tensor.name.empty() || !entries_.emplace(tensor.name, std::move(entry)).second) {
            refuse_file(
                FaultCode::BadFormat,
                "initializer '" + printable(tensor.name) + "' has no name or is there twice"
            );
        }
    }
}

void Importer::add_inputs() {
    for (const auto& input : file_.inputs) {
        // Before IR version 4 every initializer was an input as well.
        if (const auto* entry = find(input.name); entry != nullptr) {
            if (entry->initializer == nullptr) {
                refuse_file(
                    FaultCode::BadFormat, "input '" + printable(input.name) + "' is there twice"
                );
            }
            continue;
        }
        add_input(input);
    }
}

void Importer::add_input(const ValueMessage& input) {
    const auto where = "input '" + printable(input.name) + "': ";
    if (input.name.empty()) return refuse_file(FaultCode::BadFormat, "an input has no name");
    if (const auto given = options_.known_inputs.find(input.name);
        given != options_.known_inputs.end()) {
        Entry entry;
        entry.kind = given->second.kind;
        entry.known = std::make_shared<Known>(given->second);
        entries_.emplace(input.name, std::move(entry));
        return;
    }
    const auto kind = kind_of(input.type);
    const bool number = is_real(input.type) || is_integer(input.type) || kind == Kind::Bool;
    if (!input.tensor || !number) {
        return refuse_file(FaultCode::Unsupported, where + "is no tensor of numbers");
    }
    if (!input.has_shape) {
        return refuse_file(FaultCode::Unsupported, where + "has no shape; export it with one");
    }
    auto shape = input.shape;
    if (options_.batch.has_value() && !shape.empty()) {
        file_batch_ = std::max<std::int64_t>(shape[0], 0);
        batch_ = *options_.batch;
        shape[0] = batch_;
    }
    if (options_.sample.has_value()) {
        if (auto fits = take_sample(shape); fits.has_error()) {
            return refuse_file(fits.error().code, where + fits.error().message);
        }
    }
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] >= 0) continue;
        return refuse_file(
            FaultCode::Unsupported,
            where + "dimension " + std::to_string(i) + " has no fixed size; export it with one"
        );
    }
    if (const auto sound = check_shape(shape); sound.has_error()) {
        return refuse_file(sound.error().code, where + sound.error().message);
    }
    const bool whole = kind == Kind::Integer && !options_.float_inputs;
    const auto element = whole ? ElementType::I32 : ElementType::F32;
    Entry entry;
    entry.kind = kind;
    entry.id = model_.graph.add_input(input.name, {shape, element});
    model_.inputs.push_back({input.name, entry.id, whole ? kind : Kind::Real});
    if (kind == Kind::Integer && !whole) {
        entry.id = emit("Cast", {entry.id}, {{"to", std::string("int32")}});
    }
    entries_.emplace(input.name, std::move(entry));
}

/// Puts the sample's sides in the place of the file's. Weights are made for a number of channels, so that stays.
Result<void> Importer::take_sample(Shape& shape) const {
    const auto& sample = *options_.sample;
    const auto takes =
        compute::to_string(Shape(shape.begin() + (shape.empty() ? 0 : 1), shape.end()));
    const bool other = shape.size() != sample.size() + 1 ||
                       (!sample.empty() && shape[1] >= 0 && shape[1] != sample[0]);
    if (other) {
        return fail(
            FaultCode::BadValue,
            "it takes " + takes + ", and samples are " + compute::to_string(sample)
        );
    }
    std::copy(sample.begin(), sample.end(), shape.begin() + 1);
    return {};
}

void Importer::note_uses() {
    for (const auto& node : file_.nodes) {
        for (const auto& name : node.inputs) ++uses_[name];
    }
    for (const auto& output : file_.outputs) ++uses_[output.name];
}

/// Three kinds of initializers are not trained. Running statistics are averaged buffers. Masks are
/// fixed, and so is what the exporter made up.
void Importer::mark_special_initializers() {
    for (auto& [name, entry] : entries_) {
        if (entry.initializer == nullptr) continue;
        entry.fixed = placement_.made_up.contains(name) || is_causal_mask(*entry.initializer);
    }
    for (const auto& node : file_.nodes) {
        if (node.op != "BatchNormalization") continue;
        for (const std::size_t i : {3U, 4U}) {
            auto* found = i < node.inputs.size() ? find(node.inputs[i]) : nullptr;
            if (found == nullptr) continue;
            found->buffer = true;
            found->variance = found->variance || i == 4;
        }
    }
}

Importer::Entry* Importer::find(const std::string& name) {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
}

void Importer::translate(const NodeMessage& node) {
    node_ = &node;
    attributes_ = {};
    if (!node.domain.empty() && node.domain != "ai.onnx") {
        return refuse(
            FaultCode::Unsupported,
            "operators of the domain '" + printable(node.domain) + "' are not supported"
        );
    }
    if (node.outputs.empty()) return refuse(FaultCode::BadFormat, "it has no results");
    for (const auto& attribute : node.attributes) {
        if (attribute.foreign == Foreign::Graph) {
            return refuse(FaultCode::Unsupported, "operators with subgraphs are not supported");
        }
        if (attribute.foreign == Foreign::Other) {
            const bool known = find_translation(node.op) != nullptr;
            return refuse(
                FaultCode::Unsupported,
                known ? "attribute '" + printable(attribute.name) +
                            "' has a kind that is not supported"
                      : "this operator is not supported"
            );
        }
        if (!attribute.tensor.has_value()) attributes_.set(attribute.name, attribute.value);
    }
    for (const auto& name : node.inputs) {
        if (name.empty() || find(name) != nullptr) continue;
        const bool later =
            std::any_of(file_.nodes.begin(), file_.nodes.end(), [&](const NodeMessage& other) {
                return std::find(other.outputs.begin(), other.outputs.end(), name) !=
                       other.outputs.end();
            });
        return refuse(
            FaultCode::BadFormat,
            "its operand '" + printable(name) + "' " +
                (later ? "is made by a later node: the graph is cyclic or out of order"
                       : "is defined nowhere; is an initializer missing?")
        );
    }
    for (const auto& name : node.outputs) {
        if (!name.empty() && find(name) != nullptr) {
            return refuse(FaultCode::BadFormat, "'" + printable(name) + "' is defined twice");
        }
    }
    dispatch();
}

void Importer::dispatch() {
    if (all_known() && fold_known(*this)) return;
    if (!ok()) return;
    const auto* translation = find_translation(node_->op);
    if (translation == nullptr) {
        const bool fixed = node_->op == "Range" || node_->op == "NonZero";
        return refuse(
            FaultCode::Unsupported,
            fixed ? "its operands must be fixed in the file" : "this operator is not supported"
        );
    }
    (*translation)(*this);
    if (!ok()) return;
    for (std::size_t i = 0; i < node_->outputs.size(); ++i) {
        if (node_->outputs[i].empty() || find(node_->outputs[i]) != nullptr) continue;
        // If a node reads this result, that node's missing operand is reported there.
        if (wants(i)) {
            return refuse(
                FaultCode::Unsupported, "its output " + std::to_string(i) + " is not supported"
            );
        }
    }
}

void Importer::collect_outputs() {
    for (const auto& output : file_.outputs) {
        auto* entry = find(output.name);
        if (entry == nullptr) {
            return refuse_file(
                FaultCode::BadFormat, "output '" + printable(output.name) + "' is made nowhere"
            );
        }
        const auto id = materialize(output.name, *entry);
        if (!ok()) return;
        model_.outputs.push_back({output.name, id, entry->kind});
    }
    if (file_.outputs.empty()) refuse_file(FaultCode::BadFormat, "the graph has no output");
}

ValueId Importer::make_parameter(const std::string& name, const Entry& entry) {
    auto values = entry.initializer->reals();
    if (values.has_error()) {
        refuse_file(values.error().code, values.error().message.substr(6));
        return ValueId::None;
    }
    ParameterInfo info;
    info.name = options_.prefix + name;
    info.shape = entry.initializer->shape;
    info.buffer = entry.buffer;
    info.variance = entry.variance;
    info.init = Init::Given;
    info.given = std::make_shared<const std::vector<float>>(std::move(*values));
    return model_.graph.add_parameter(std::move(info));
}

/// A float initializer with axes is a parameter. One without axes is a setting (an epsilon, a
/// factor) that tools have turned into an initializer; it stays fixed.
ValueId Importer::materialize(const std::string& name, Entry& entry) {
    if (entry.id != ValueId::None || !ok()) return entry.id;
    if (entry.initializer != nullptr && !entry.fixed && is_real(entry.initializer->type) &&
        !entry.initializer->shape.empty()) {
        if (const auto sound = check_shape(entry.initializer->shape); sound.has_error()) {
            refuse_file(
                sound.error().code,
                "initializer '" + printable(name) + "': " + sound.error().message
            );
            return ValueId::None;
        }
        entry.id = make_parameter(name, entry);
        return entry.id;
    }
    const auto* known = know(entry);
    if (known != nullptr) entry.id = constant(*known);
    return entry.id;
}

const Known* Importer::know(Entry& entry) {
    if (entry.known == nullptr && entry.initializer != nullptr && ok()) {
        auto known = to_known(*entry.initializer);
        if (known.has_error()) {
            refuse_file(known.error().code, known.error().message.substr(6));
            return nullptr;
        }
        entry.known = std::make_shared<Known>(std::move(*known));
    }
    return entry.known.get();
}

}  // namespace starling::compute::onnx
