#include "compute/onnx/census.hpp"

#include <algorithm>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <map>
#include <onnx/onnx_pb.h>
#include <optional>
#include <string>

namespace starling::compute::onnx {

namespace {

namespace pb = google::protobuf;
using Wire = pb::internal::WireFormatLite;

const std::uint8_t* data_of(ByteView bytes) {
    return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

/// Bytes of memory for a message without its content, in the library's form and in ours together.
std::size_t cost_of(const pb::Descriptor* message) {
    if (message == ::onnx::AttributeProto::descriptor()) return 600;
    if (message == ::onnx::TensorProto::descriptor()) return 600;
    if (message == ::onnx::NodeProto::descriptor()) return 400;
    return 96;
}

/// The same for a string or bytes, which the library and our structs hold once each.
constexpr std::size_t kStringCost = 64;

/// The same for a number of a list, whose memory has grown to twice what it needs.
std::size_t cost_of_number(const pb::FieldDescriptor* field) {
    if (field == nullptr) return 16;
    switch (field->cpp_type()) {
        case pb::FieldDescriptor::CPPTYPE_FLOAT:
            return 12;
        case pb::FieldDescriptor::CPPTYPE_INT32:
            return 16;
        default:
            return 24;
    }
}

/// The schema comes from the library's own description of its messages, so that no message is
/// overlooked or taken for another one.
class Census {
public:
    explicit Census(std::size_t file_bytes) : left_(kCostFree + kCostPerByte * file_bytes) {}

    [[nodiscard]] Result<void> model(ByteView file) {
        walk(::onnx::ModelProto::descriptor(), file, 0);
        if (!fault_ && graphs_ == 0) {
            refuse(FaultCode::BadFormat, "the file has no graph; is it an ONNX model?");
        }
        if (fault_) return *fault_;
        return {};
    }

private:
    /// Below protobuf's own limit of a hundred.
    static constexpr int kDepthMax = 64;

    void walk(const pb::Descriptor* kind, ByteView message, int depth) {
        if (depth > kDepthMax) return refuse(FaultCode::Oversized, "messages that nest too deep");
        std::map<int, std::size_t> counts;
        pb::io::CodedInputStream in(data_of(message), static_cast<int>(message.size()));
        while (const auto tag = in.ReadTag()) {
            const auto wire = Wire::GetTagWireType(tag);
            const int number = Wire::GetTagFieldNumber(tag);
            const auto* field = kind->FindFieldByNumber(number);
            // The schema has no groups, and the library would keep an unknown one.
            if (wire == Wire::WIRETYPE_START_GROUP || wire == Wire::WIRETYPE_END_GROUP) break;
            if (wire != Wire::WIRETYPE_LENGTH_DELIMITED) {
                if (!Wire::SkipField(&in, tag)) break;
                charge(cost_of_number(field));
                if (fault_) return;
                continue;
            }
            std::uint32_t length = 0;
            if (!in.ReadVarint32(&length) || length > message.size()) break;
            const auto at = static_cast<std::size_t>(in.CurrentPosition());
            if (!in.Skip(static_cast<int>(length))) break;
            limit(kind, number, ++counts[number]);
            count_content(field, message.subspan(at, length), depth);
            if (fault_) return;
        }
        if (in.ConsumedEntireMessage()) return;
        refuse(FaultCode::BadFormat, "the file is no protobuf message, or cut off");
    }

    void count_content(const pb::FieldDescriptor* field, ByteView content, int depth) {
        if (field != nullptr && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
            charge(cost_of(field->message_type()));
            if (!fault_) walk(field->message_type(), content, depth + 1);
            return;
        }
        if (field != nullptr && field->is_packable()) return charge_list(field, content);
        charge(kStringCost);
    }

    /// Numbers of a fixed width, or of which each ends with a byte below 128.
    void charge_list(const pb::FieldDescriptor* field, ByteView content) {
        std::size_t count = 0;
        if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_FLOAT) {
            count = content.size() / sizeof(float);
        } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_DOUBLE) {
            count = content.size() / sizeof(double);
        } else {
            count = static_cast<std::size_t>(std::count_if(
                content.begin(),
                content.end(),
                [](std::byte b) { return std::to_integer<unsigned>(b) < 128; }
            ));
        }
        charge(count * cost_of_number(field));
    }

    void charge(std::size_t bytes) {
        if (bytes <= left_) {
            left_ -= bytes;
            return;
        }
        refuse(
            FaultCode::Oversized,
            "a file of so many small messages and names that it would take more than " +
                std::to_string(kCostPerByte) + " times its size in memory"
        );
    }

    void limit(const pb::Descriptor* kind, int field, std::size_t count) {
        const bool graph = kind == ::onnx::GraphProto::descriptor();
        if (kind == ::onnx::ModelProto::descriptor() && field == 7) ++graphs_;
        if (graphs_ > 1) return refuse(FaultCode::BadFormat, "the file has two graphs");
        if (graph && count > kNodesMax) {
            return refuse(FaultCode::Oversized, "a graph with more than 65,536 nodes or tensors");
        }
        if (kind == ::onnx::NodeProto::descriptor() && count > kOperandsMax) {
            refuse(FaultCode::Oversized, "a node with more than 256 operands or attributes");
        }
    }

    void refuse(FaultCode code, const std::string& message) {
        if (!fault_) fault_ = fail(code, "onnx: " + message);
    }

    std::size_t left_;
    int graphs_ = 0;
    std::optional<Fault> fault_;
};

}  // namespace

Result<void> check_cost(ByteView file) {
    return Census(file.size()).model(file);
}

}  // namespace starling::compute::onnx
