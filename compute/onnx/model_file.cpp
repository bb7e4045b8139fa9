// Converts the library's messages to ours and back. This is where a file's claims on memory are
// limited.

#include "compute/onnx/model_file.hpp"

#include <onnx/onnx_pb.h>

#include "compute/onnx/census.hpp"
#include "compute/values/printable.hpp"

namespace starling::compute::onnx {

namespace {

namespace pb = google::protobuf;

/// Copies messages, and remembers the first mistake.
class Reader {
public:
    TensorMessage tensor(const ::onnx::TensorProto& from) {
        TensorMessage tensor;
        tensor.name = name(from.name());
        if (static_cast<std::size_t>(from.dims_size()) > kRankMax) {
            refuse("a shape of more than 16 dimensions");
            return tensor;
        }
        tensor.shape.assign(from.dims().begin(), from.dims().end());
        // Shapes are used in products before anybody reads the values.
        if (const auto count = tensor.count(); count.has_error() && !fault_) {
            fault_ = count.error();
        }
        tensor.type = static_cast<DataType>(from.data_type());
        tensor.raw = from.raw_data();
        tensor.floats.assign(from.float_data().begin(), from.float_data().end());
        tensor.doubles.assign(from.double_data().begin(), from.double_data().end());
        auto& integers = tensor.integers;
        integers.assign(from.int32_data().begin(), from.int32_data().end());
        integers.insert(integers.end(), from.int64_data().begin(), from.int64_data().end());
        integers.insert(integers.end(), from.uint64_data().begin(), from.uint64_data().end());
        tensor.external =
            from.data_location() == ::onnx::TensorProto::EXTERNAL || from.external_data_size() > 0;
        return tensor;
    }

    NodeMessage node(const ::onnx::NodeProto& from) {
        NodeMessage node;
        node.name = name(from.name());
        node.op = name(from.op_type());
        node.domain = name(from.domain());
        for (const auto& input : from.input()) node.inputs.push_back(name(input));
        for (const auto& output : from.output()) node.outputs.push_back(name(output));
        for (const auto& given : from.attribute()) node.attributes.push_back(attribute(given));
        return node;
    }

    ValueMessage value(const ::onnx::ValueInfoProto& from) {
        ValueMessage value;
        value.name = name(from.name());
        value.tensor = from.type().has_tensor_type();
        if (!value.tensor) return value;
        const auto& type = from.type().tensor_type();
        value.type = static_cast<DataType>(type.elem_type());
        value.has_shape = type.has_shape();
        if (static_cast<std::size_t>(type.shape().dim_size()) > kRankMax) {
            refuse("a shape of more than 16 dimensions");
            return value;
        }
        for (const auto& dimension : type.shape().dim()) {
            value.shape.push_back(dimension.has_dim_value() ? dimension.dim_value() : -1);
        }
        return value;
    }

    /// Names go into messages, reports and other files, all of which are UTF-8.
    std::string name(const std::string& text) {
        if (text.size() > kNameBytesMax) {
            refuse("the name '" + printable(text) + "...' has more than 1 KiB");
            return {};
        }
        if (!pb::internal::IsStructurallyValidUTF8(text)) {
            refuse(
                "the name '" + printable(text) + "' is not UTF-8; rename it", FaultCode::BadFormat
            );
            return {};
        }
        return text;
    }

    [[nodiscard]] const std::optional<Fault>& fault() const { return fault_; }

private:
    AttributeMessage attribute(const ::onnx::AttributeProto& from) {
        using Kind = ::onnx::AttributeProto;
        AttributeMessage attribute;
        attribute.name = name(from.name());
        if (from.has_f()) attribute.value = static_cast<double>(from.f());
        if (from.has_i()) attribute.value = from.i();
        if (from.has_s()) attribute.value = text(from);
        if (from.has_t()) attribute.tensor = tensor(from.t());
        // An empty list has no field in the message; only the attribute's type shows that it is a
        // list.
        if (from.ints_size() > 0 || from.type() == Kind::INTS) {
            attribute.value = std::vector<std::int64_t>(from.ints().begin(), from.ints().end());
        }
        if (from.floats_size() > 0 || from.type() == Kind::FLOATS) {
            attribute.value = std::vector<double>(from.floats().begin(), from.floats().end());
        }
        if (static_cast<std::size_t>(from.ints_size()) > kListMax ||
            static_cast<std::size_t>(from.floats_size()) > kListMax) {
            refuse("a list that is too long");
        }
        const bool other = from.strings_size() > 0 || from.tensors_size() > 0 ||
                           from.sparse_tensors_size() > 0 || from.has_sparse_tensor() ||
                           from.has_tp() || from.type_protos_size() > 0 || from.has_ref_attr_name();
        if (other) attribute.foreign = Foreign::Other;
        if (from.has_g() || from.graphs_size() > 0) attribute.foreign = Foreign::Graph;
        return attribute;
    }

    /// A text may have any bytes, because some operators of other domains keep programs there.
    std::string text(const ::onnx::AttributeProto& from) {
        if (from.s().size() <= kNameBytesMax) return from.s();
        refuse("the attribute '" + printable(from.name()) + "' has a text of more than 1 KiB");
        return {};
    }

    void refuse(const std::string& why, FaultCode code = FaultCode::Oversized) {
        if (!fault_) fault_ = fail(code, "onnx: " + why);
    }

    std::optional<Fault> fault_;
};

/// Lists hold what is narrow in 32 bits, raw bytes as wide as it is; of a half float these are its bits.
void put_integer(ByteWriter& writer, DataType type, std::int64_t value) {
    switch (type) {
        case DataType::Int64:
        case DataType::Uint64:
            return writer.put(value);
        case DataType::Bool:
            return writer.put(static_cast<std::uint8_t>(value != 0));
        case DataType::Int8:
        case DataType::Uint8:
            return writer.put(static_cast<std::uint8_t>(value));
        case DataType::Int16:
        case DataType::Uint16:
        case DataType::Float16:
        case DataType::Bfloat16:
            return writer.put(static_cast<std::uint16_t>(value));
        default:
            return writer.put(static_cast<std::int32_t>(value));
    }
}

void write_tensor(const TensorMessage& tensor, ::onnx::TensorProto& to) {
    for (const auto dimension : tensor.shape) to.add_dims(dimension);
    to.set_data_type(static_cast<std::int32_t>(tensor.type));
    if (!tensor.name.empty()) to.set_name(tensor.name);
    // Raw bytes, because every reader takes them and they are never larger than a packed list.
    if (!tensor.floats.empty()) {
        to.set_raw_data(tensor.floats.data(), tensor.floats.size() * sizeof(float));
        return;
    }
    if (!tensor.doubles.empty()) {
        to.set_raw_data(tensor.doubles.data(), tensor.doubles.size() * sizeof(double));
        return;
    }
    if (tensor.integers.empty()) {
        to.set_raw_data(tensor.raw);
        return;
    }
    Bytes raw;
    ByteWriter writer(raw);
    for (const auto value : tensor.integers) put_integer(writer, tensor.type, value);
    to.set_raw_data(raw.data(), raw.size());
}

void write_attribute(const AttributeMessage& attribute, ::onnx::AttributeProto& to) {
    using Kind = ::onnx::AttributeProto;
    to.set_name(attribute.name);
    if (attribute.tensor.has_value()) {
        write_tensor(*attribute.tensor, *to.mutable_t());
        to.set_type(Kind::TENSOR);
    } else if (const auto* real = std::get_if<double>(&attribute.value)) {
        to.set_f(static_cast<float>(*real));
        to.set_type(Kind::FLOAT);
    } else if (const auto* integer = std::get_if<std::int64_t>(&attribute.value)) {
        to.set_i(*integer);
        to.set_type(Kind::INT);
    } else if (const auto* text = std::get_if<std::string>(&attribute.value)) {
        to.set_s(*text);
        to.set_type(Kind::STRING);
    } else if (const auto* list = std::get_if<std::vector<double>>(&attribute.value)) {
        for (const auto value : *list) to.add_floats(static_cast<float>(value));
        to.set_type(Kind::FLOATS);
    } else {
        for (const auto value : std::get<std::vector<std::int64_t>>(attribute.value)) {
            to.add_ints(value);
        }
        to.set_type(Kind::INTS);
    }
}

void write_node(const NodeMessage& node, ::onnx::NodeProto& to) {
    for (const auto& name : node.inputs) to.add_input(name);
    for (const auto& name : node.outputs) to.add_output(name);
    if (!node.name.empty()) to.set_name(node.name);
    if (!node.domain.empty()) to.set_domain(node.domain);
    to.set_op_type(node.op);
    for (const auto& attribute : node.attributes) write_attribute(attribute, *to.add_attribute());
}

void write_value(const ValueMessage& value, ::onnx::ValueInfoProto& to) {
    to.set_name(value.name);
    auto* type = to.mutable_type()->mutable_tensor_type();
    type->set_elem_type(static_cast<std::int32_t>(value.type));
    auto* shape = type->mutable_shape();
    for (const auto size : value.shape) {
        auto* dimension = shape->add_dim();
        if (size < 0) {
            dimension->set_dim_param("N");
        } else {
            dimension->set_dim_value(size);
        }
    }
}

void read_model(const ::onnx::ModelProto& from, Reader& reader, ModelFile& model) {
    model.ir_version = from.ir_version();
    for (const auto& import : from.opset_import()) {
        const auto domain = reader.name(import.domain());
        // Nodes of other domains are refused when they are translated.
        if (domain.empty() || domain == "ai.onnx") {
            model.opset = import.version();
        } else {
            model.other_domain = domain;
        }
    }
    const auto& graph = from.graph();
    for (const auto& node : graph.node()) model.nodes.push_back(reader.node(node));
    for (const auto& tensor : graph.initializer()) {
        model.initializers.push_back(reader.tensor(tensor));
    }
    for (const auto& value : graph.input()) model.inputs.push_back(reader.value(value));
    for (const auto& value : graph.output()) model.outputs.push_back(reader.value(value));
}

}  // namespace

Result<ModelFile> decode_model(ByteView bytes) {
    if (bytes.size() > kFileBytesMax) {
        return fail(FaultCode::Oversized, "onnx: a file of more than 2 GiB");
    }
    if (const auto counted = check_cost(bytes); counted.has_error()) return counted.error();
    ::onnx::ModelProto message;
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return fail(FaultCode::BadFormat, "onnx: the file is no ONNX model, or cut off");
    }
    if (message.graph().sparse_initializer_size() > 0) {
        return fail(FaultCode::Unsupported, "onnx: sparse initializers are not supported");
    }
    ModelFile model;
    model.bytes = bytes.size();
    Reader reader;
    read_model(message, reader, model);
    if (reader.fault()) return *reader.fault();
    return model;
}

Result<TensorMessage> decode_tensor(ByteView bytes) {
    ::onnx::TensorProto message;
    if (bytes.size() > kFileBytesMax ||
        !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return fail(FaultCode::BadFormat, "onnx: a tensor is no protobuf message, or cut off");
    }
    Reader reader;
    auto tensor = reader.tensor(message);
    if (reader.fault()) return *reader.fault();
    return tensor;
}

Bytes encode_model(const ModelFile& model) {
    ::onnx::ModelProto message;
    message.set_ir_version(model.ir_version);
    for (const auto& [key, value] : model.metadata) {
        auto* entry = message.add_metadata_props();
        entry->set_key(key);
        entry->set_value(value);
    }
    message.set_producer_name("starling");
    message.add_opset_import()->set_version(model.opset.value_or(0));
    auto* graph = message.mutable_graph();
    graph->set_name("starling");
    for (const auto& node : model.nodes) write_node(node, *graph->add_node());
    for (const auto& tensor : model.initializers) write_tensor(tensor, *graph->add_initializer());
    for (const auto& value : model.inputs) write_value(value, *graph->add_input());
    for (const auto& value : model.outputs) write_value(value, *graph->add_output());
    const auto text = message.SerializeAsString();
    const auto bytes = as_byte_view(text);
    return Bytes(bytes.begin(), bytes.end());
}

}  // namespace starling::compute::onnx
