#include "compute/onnx/model_file.hpp"

#include <algorithm>

#include "compute/onnx/wire.hpp"
#include "compute/ops/view.hpp"

namespace starling::compute::onnx {

namespace {

/// Decodes messages; the first mistake sticks.
class Decoder {
public:
    [[nodiscard]] bool ok() const { return !fault_.has_value(); }

    [[nodiscard]] const Fault& fault() const { return *fault_; }

    void refuse(FaultCode code, std::string message) {
        if (ok()) fault_ = fail(code, "onnx: " + std::move(message));
    }

    /// Walks the fields of a message.
    template <class Visit>
    void fields(ByteView message, std::string_view what, Visit&& visit) {
        WireReader reader(message);
        WireField field;
        while (ok() && reader.next(field)) visit(field);
        if (!reader.ok()) {
            refuse(FaultCode::BadFormat, std::string(what) + " is no protobuf message, or cut off");
        }
    }

    std::string name(const WireField& field) {
        if (field.bytes.size() > kNameBytesMax) {
            refuse(FaultCode::Oversized, "a name of more than 1 KiB");
            return {};
        }
        return std::string(field.text());
    }

    /// Appends the numbers of a repeated field, packed or not.
    template <class T>
    void integers(const WireField& field, std::vector<T>& out, std::size_t most) {
        if (field.type == WireType::Varint) {
            if (out.size() < most) {
                out.push_back(static_cast<T>(field.integer()));
            } else {
                refuse(FaultCode::Oversized, "a list that is too long");
            }
            return;
        }
        WireReader reader(field.bytes);
        while (ok() && !reader.at_end()) {
            const auto value = reader.take_varint();
            if (!reader.ok()) return refuse(FaultCode::BadFormat, "a packed list is cut off");
            if (out.size() >= most) return refuse(FaultCode::Oversized, "a list that is too long");
            out.push_back(static_cast<T>(std::bit_cast<std::int64_t>(value)));
        }
    }

    template <class T, class Raw>
    void reals(const WireField& field, std::vector<T>& out, std::size_t most) {
        const auto take = [&](Raw raw) {
            if (out.size() >= most) return refuse(FaultCode::Oversized, "a list that is too long");
            if constexpr (sizeof(Raw) == 4) {
                out.push_back(static_cast<T>(std::bit_cast<float>(raw)));
            } else {
                out.push_back(static_cast<T>(std::bit_cast<double>(raw)));
            }
        };
        if (field.type != WireType::Bytes) return take(static_cast<Raw>(field.value));
        if (field.bytes.size() % sizeof(Raw) != 0) {
            return refuse(FaultCode::BadFormat, "a packed list is cut off");
        }
        ByteReader reader(field.bytes);
        while (ok() && reader.remaining() > 0) take(reader.take<Raw>());
    }

    TensorMessage tensor(ByteView message);
    AttributeMessage attribute(ByteView message);
    NodeMessage node(ByteView message);
    ValueMessage value(ByteView message);
    void tensor_type(ByteView message, ValueMessage& value);
    void graph(ByteView message, ModelFile& model);
    void model(ByteView message, ModelFile& model);

private:
    std::optional<Fault> fault_;
};

TensorMessage Decoder::tensor(ByteView message) {
    TensorMessage tensor;
    fields(message, "a tensor", [&](const WireField& field) {
        switch (field.number) {
            case 1:
                integers(field, tensor.shape, kRankMax);
                break;
            case 2:
                tensor.type = static_cast<DataType>(field.integer());
                break;
            case 4:
                reals<float, std::uint32_t>(field, tensor.floats, kFileBytesMax);
                break;
            case 5:
            case 7:
            case 11:
                integers(field, tensor.integers, kFileBytesMax);
                break;
            case 8:
                tensor.name = name(field);
                break;
            case 9:
                tensor.raw = field.bytes;
                break;
            case 10:
                reals<double, std::uint64_t>(field, tensor.doubles, kFileBytesMax);
                break;
            case 13:
                tensor.external = true;
                break;
            case 14:
                tensor.external = tensor.external || field.value == 1;
                break;
            default:
                break;
        }
    });
    return tensor;
}

AttributeMessage Decoder::attribute(ByteView message) {
    AttributeMessage attribute;
    std::vector<std::int64_t> ints;
    std::vector<double> floats;
    std::int64_t type = 0;
    fields(message, "an attribute", [&](const WireField& field) {
        switch (field.number) {
            case 1:
                attribute.name = name(field);
                break;
            case 2:
                attribute.value = static_cast<double>(field.real());
                break;
            case 3:
                attribute.value = field.integer();
                break;
            case 4:
                attribute.value = name(field);
                break;
            case 5:
                attribute.tensor = tensor(field.bytes);
                break;
            case 6:
            case 10:
                attribute.foreign = Foreign::Graph;
                break;
            case 7:
                reals<double, std::uint32_t>(field, floats, kListMax);
                break;
            case 8:
                integers(field, ints, kListMax);
                break;
            case 20:
                type = field.integer();
                break;
            case 13:
                break;
            default:
                attribute.foreign = Foreign::Other;
                break;
        }
    });
    // An empty list leaves no field behind, only the type says that it is one.
    if (!ints.empty() || type == 7) attribute.value = std::move(ints);
    if (!floats.empty() || type == 6) attribute.value = std::move(floats);
    return attribute;
}

NodeMessage Decoder::node(ByteView message) {
    NodeMessage node;
    const auto append = [&](std::vector<std::string>& list, const WireField& field) {
        if (list.size() >= kOperandsMax) {
            return refuse(FaultCode::Oversized, "a node with more than 256 operands");
        }
        list.push_back(name(field));
    };
    fields(message, "a node", [&](const WireField& field) {
        switch (field.number) {
            case 1:
                append(node.inputs, field);
                break;
            case 2:
                append(node.outputs, field);
                break;
            case 3:
                node.name = name(field);
                break;
            case 4:
                node.op = name(field);
                break;
            case 5:
                if (node.attributes.size() >= kOperandsMax) {
                    refuse(FaultCode::Oversized, "a node with more than 256 attributes");
                } else {
                    node.attributes.push_back(attribute(field.bytes));
                }
                break;
            case 7:
                node.domain = name(field);
                break;
            default:
                break;
        }
    });
    return node;
}

/// TypeProto.Tensor: the element type and a TensorShapeProto.
void Decoder::tensor_type(ByteView message, ValueMessage& value) {
    fields(message, "a tensor type", [&](const WireField& field) {
        if (field.number == 1) value.type = static_cast<DataType>(field.integer());
        if (!field.is(2, WireType::Bytes)) return;
        value.has_shape = true;
        fields(field.bytes, "a shape", [&](const WireField& dimension) {
            if (!dimension.is(1, WireType::Bytes)) return;
            std::int64_t size = -1;
            fields(dimension.bytes, "a dimension", [&](const WireField& given) {
                if (given.is(1, WireType::Varint)) size = given.integer();
            });
            if (value.shape.size() >= kRankMax) {
                return refuse(FaultCode::Oversized, "a shape of more than 16 dimensions");
            }
            value.shape.push_back(size);
        });
    });
}

ValueMessage Decoder::value(ByteView message) {
    ValueMessage value;
    fields(message, "a value", [&](const WireField& field) {
        if (field.number == 1) value.name = name(field);
        if (!field.is(2, WireType::Bytes)) return;
        fields(field.bytes, "a type", [&](const WireField& type) {
            if (!type.is(1, WireType::Bytes)) return;
            value.tensor = true;
            tensor_type(type.bytes, value);
        });
    });
    return value;
}

void Decoder::graph(ByteView message, ModelFile& model) {
    const auto room = [&](std::size_t used, std::size_t most) {
        if (used < most) return true;
        refuse(FaultCode::Oversized, "a graph with more than 65,536 nodes or tensors");
        return false;
    };
    fields(message, "the graph", [&](const WireField& field) {
        switch (field.number) {
            case 1:
                if (room(model.nodes.size(), kNodesMax)) model.nodes.push_back(node(field.bytes));
                break;
            case 5:
                if (room(model.initializers.size(), kTensorsMax)) {
                    model.initializers.push_back(tensor(field.bytes));
                }
                break;
            case 11:
                if (room(model.inputs.size(), kTensorsMax)) {
                    model.inputs.push_back(value(field.bytes));
                }
                break;
            case 12:
                if (room(model.outputs.size(), kTensorsMax)) {
                    model.outputs.push_back(value(field.bytes));
                }
                break;
            case 15:
                refuse(FaultCode::Unsupported, "sparse initializers are not supported");
                break;
            default:
                break;
        }
    });
}

void Decoder::model(ByteView message, ModelFile& model) {
    bool found = false;
    fields(message, "the file", [&](const WireField& field) {
        if (field.is(1, WireType::Varint)) model.ir_version = field.integer();
        if (field.is(7, WireType::Bytes)) {
            if (found) return refuse(FaultCode::BadFormat, "the file has two graphs");
            found = true;
            graph(field.bytes, model);
        }
        if (field.is(25, WireType::Bytes)) ++model.functions;
        if (!field.is(8, WireType::Bytes)) return;
        std::string domain;
        std::int64_t version = 0;
        fields(field.bytes, "an opset", [&](const WireField& given) {
            if (given.number == 1) domain = name(given);
            if (given.number == 2) version = given.integer();
        });
        if (domain.empty() || domain == "ai.onnx") {
            model.opset = version;
        } else {
            model.foreign_domain = domain;
        }
    });
    if (ok() && !found) refuse(FaultCode::BadFormat, "the file has no graph; is it an ONNX model?");
}

void put_tensor(WireWriter& out, const TensorMessage& tensor) {
    for (const auto dimension : tensor.shape) out.put(1, dimension);
    out.put(2, static_cast<std::int64_t>(tensor.type));
    if (!tensor.name.empty()) out.put(8, tensor.name);
    // Raw bytes, for they are what every reader takes and are never larger than a packed list.
    if (!tensor.floats.empty()) {
        out.put(9, std::as_bytes(std::span(tensor.floats)));
    } else if (!tensor.integers.empty()) {
        Bytes raw;
        ByteWriter writer(raw);
        for (const auto value : tensor.integers) {
            if (tensor.type == DataType::Int64) {
                writer.put(value);
            } else if (tensor.type == DataType::Bool) {
                writer.put(static_cast<std::uint8_t>(value != 0));
            } else {
                writer.put(static_cast<std::int32_t>(value));
            }
        }
        out.put(9, raw);
    } else {
        out.put(9, tensor.raw);
    }
}

void put_attribute(WireWriter& out, const AttributeMessage& attribute) {
    out.put(1, attribute.name);
    const auto type = [&](std::int64_t kind) { out.put(20, kind); };
    if (attribute.tensor.has_value()) {
        WireWriter tensor;
        put_tensor(tensor, *attribute.tensor);
        out.put(5, tensor);
        return type(4);
    }
    if (const auto* real = std::get_if<double>(&attribute.value)) {
        out.put(2, static_cast<float>(*real));
        return type(1);
    }
    if (const auto* integer = std::get_if<std::int64_t>(&attribute.value)) {
        out.put(3, *integer);
        return type(2);
    }
    if (const auto* text = std::get_if<std::string>(&attribute.value)) {
        out.put(4, *text);
        return type(3);
    }
    if (const auto* list = std::get_if<std::vector<double>>(&attribute.value)) {
        for (const auto value : *list) out.put(7, static_cast<float>(value));
        return type(6);
    }
    for (const auto value : std::get<std::vector<std::int64_t>>(attribute.value)) out.put(8, value);
    type(7);
}

void put_node(WireWriter& out, const NodeMessage& node) {
    for (const auto& name : node.inputs) out.put(1, name);
    for (const auto& name : node.outputs) out.put(2, name);
    if (!node.name.empty()) out.put(3, node.name);
    out.put(4, node.op);
    for (const auto& attribute : node.attributes) {
        WireWriter message;
        put_attribute(message, attribute);
        out.put(5, message);
    }
}

void put_value(WireWriter& out, const ValueMessage& value) {
    out.put(1, value.name);
    WireWriter shape;
    for (const auto size : value.shape) {
        WireWriter dimension;
        if (size < 0) {
            dimension.put(2, std::string_view("N"));
        } else {
            dimension.put(1, size);
        }
        shape.put(1, dimension);
    }
    WireWriter tensor;
    tensor.put(1, static_cast<std::int64_t>(value.type));
    tensor.put(2, shape);
    WireWriter type;
    type.put(1, tensor);
    out.put(2, type);
}

}  // namespace

Result<ModelFile> decode_model(ByteView bytes) {
    if (bytes.size() > kFileBytesMax) {
        return fail(FaultCode::Oversized, "onnx: a file of more than 4 GiB");
    }
    Decoder decoder;
    ModelFile model;
    model.bytes = bytes.size();
    decoder.model(bytes, model);
    if (!decoder.ok()) return decoder.fault();
    return model;
}

Result<TensorMessage> decode_tensor(ByteView bytes) {
    Decoder decoder;
    auto tensor = decoder.tensor(bytes);
    if (!decoder.ok()) return decoder.fault();
    return tensor;
}

Bytes encode_model(const ModelFile& model) {
    WireWriter graph;
    const auto append = [&](std::uint32_t number, const auto& message, auto put) {
        WireWriter inner;
        put(inner, message);
        graph.put(number, inner);
    };
    for (const auto& node : model.nodes) append(1, node, put_node);
    graph.put(2, std::string_view("starling"));
    for (const auto& tensor : model.initializers) append(5, tensor, put_tensor);
    for (const auto& value : model.inputs) append(11, value, put_value);
    for (const auto& value : model.outputs) append(12, value, put_value);
    WireWriter opset;
    opset.put(1, std::string_view());
    opset.put(2, model.opset);
    WireWriter out;
    out.put(1, model.ir_version);
    out.put(2, std::string_view("starling"));
    out.put(7, graph);
    out.put(8, opset);
    return out.take();
}

std::string printable(std::string_view name) {
    std::string text(name.substr(0, 80));
    for (auto& c : text) {
        if (c < ' ' || c > '~') c = '?';
    }
    return text;
}

}  // namespace starling::compute::onnx
