// Goal: no file costs much more memory than it has bytes, and names of all kinds are read or refused
// with one line.
// Method: files that nest empty messages in every field of ONNX's schema, and files with odd names.

#include <algorithm>
#include <cmath>
#include <map>
#include <onnx/onnx_pb.h>

#include "compute/onnx/census.hpp"
#include "compute/onnx/export.hpp"
#include "tests/unit/compute/support/onnx_model.hpp"

namespace starling::compute::onnx {
namespace {

namespace pb = google::protobuf;

/// One field of a message: its number, a length, the content.
std::string part(int field, const std::string& content) {
    std::string bytes;
    const auto varint = [&](std::size_t value) {
        for (; value >= 0x80; value >>= 7U) bytes += static_cast<char>(value | 0x80U);
        bytes += static_cast<char>(value);
    };
    varint(static_cast<std::size_t>(field) << 3U | 2U);
    varint(content.size());
    return bytes + content;
}

/// A file in which a message of this kind holds `content`, by the shortest way from the model.
std::string file_around(const pb::Descriptor* kind, std::string content) {
    struct Step {
        const pb::Descriptor* parent;
        int field;
    };

    std::map<const pb::Descriptor*, Step> ways;
    std::vector<const pb::Descriptor*> queue{::onnx::ModelProto::descriptor()};
    for (std::size_t i = 0; i < queue.size(); ++i) {
        for (int f = 0; f < queue[i]->field_count(); ++f) {
            const auto* field = queue[i]->field(f);
            const auto* inner = field->message_type();
            if (inner == nullptr || inner == queue[0] || ways.contains(inner)) continue;
            ways.emplace(inner, Step{queue[i], field->number()});
            queue.push_back(inner);
        }
    }
    const auto* at = kind;
    for (; at != queue[0]; at = ways.at(at).parent) content = part(ways.at(at).field, content);
    return content;
}

std::vector<const pb::Descriptor*> all_messages() {
    std::vector<const pb::Descriptor*> found{::onnx::ModelProto::descriptor()};
    for (std::size_t i = 0; i < found.size(); ++i) {
        for (int f = 0; f < found[i]->field_count(); ++f) {
            const auto* inner = found[i]->field(f)->message_type();
            if (inner == nullptr || std::find(found.begin(), found.end(), inner) != found.end()) {
                continue;
            }
            found.push_back(inner);
        }
    }
    return found;
}

TEST(Census, EveryRepeatedMessageOfTheSchemaIsCounted) {
    constexpr int kCount = 300000;
    for (const auto* kind : all_messages()) {
        for (int f = 0; f < kind->field_count(); ++f) {
            const auto* field = kind->field(f);
            if (!field->is_repeated() ||
                field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
                continue;
            }
            const auto one = part(field->number(), "");
            std::string many;
            for (int i = 0; i < kCount; ++i) many += one;
            const auto file = file_around(kind, std::move(many));
            const auto counted = check_cost(as_byte_view(file));
            EXPECT_TRUE(counted.has_error()) << field->full_name();
            if (counted.has_error() && counted.error().code != FaultCode::Oversized) {
                // A message of the model itself stands beside no graph, or is the graph.
                EXPECT_EQ(kind, ::onnx::ModelProto::descriptor()) << field->full_name();
            }
        }
    }
}

TEST(Census, EmptyMessagesBehindACountedOneAreStillSeen) {
    // Two bytes in the file, some hundred in memory: empty nodes in the graphs of an attribute.
    std::string nodes;
    for (int i = 0; i < 1000000; ++i) nodes += std::string("\x0a\x00", 2);
    const auto attribute = part(1, "x") + part(11, nodes);
    const auto file = part(7, part(1, part(4, "Relu") + part(5, attribute)));
    const auto model = import_onnx(as_byte_view(file), {});
    ASSERT_TRUE(model.has_error());
    EXPECT_EQ(model.error().code, FaultCode::Oversized) << model.error().message;
}

TEST(Census, NumbersOfOneByteAreCounted) {
    // A list of a byte each in the file, of eight and more in memory.
    const auto zeros = part(7, std::string(std::size_t{4} << 20U, '\0'));
    const auto file = part(7, part(5, zeros));
    const auto counted = check_cost(as_byte_view(file));
    ASSERT_TRUE(counted.has_error());
    EXPECT_EQ(counted.error().code, FaultCode::Oversized);
    EXPECT_TRUE(check_cost(as_byte_view(part(7, part(5, part(9, zeros))))).has_value());
}

TEST(Census, TextsInAttributesAreNoMessages) {
    // Field 9 of an attribute holds texts; "cut off" was the answer where they were taken for tensors.
    const auto attribute = part(1, "names") + part(9, "\xff\xff");
    const auto file = part(7, part(1, part(2, "y") + part(4, "Relu") + part(5, attribute)));
    EXPECT_TRUE(check_cost(as_byte_view(file)).has_value());
    FileBuilder b;
    b.input("x", {2}).node("Relu", {"x"}, {"y"}).output("y");
    auto bytes = std::string(as_text(b.bytes()));
    ::onnx::ModelProto message;
    ASSERT_TRUE(message.ParseFromString(bytes));
    auto* names = message.mutable_graph()->mutable_node(0)->add_attribute();
    names->set_name("names");
    names->add_strings("\xff\xff");
    names->set_type(::onnx::AttributeProto::STRINGS);
    bytes = message.SerializeAsString();
    const auto model = import_onnx(as_byte_view(bytes), {});
    ASSERT_TRUE(model.has_error());
    EXPECT_NE(model.error().message.find("attribute 'names'"), std::string::npos)
        << model.error().message;
}

TEST(Census, OrdinaryNetsOfManyNodesPass) {
    FileBuilder b;
    b.input("x", {2});
    std::string at = "x";
    for (int i = 0; i < 10000; ++i) {
        const auto next = "/layers." + std::to_string(i) + "/Relu_output_0";
        b.node("Relu", {at}, {next});
        at = next;
    }
    b.output(at);
    EXPECT_TRUE(check_cost(b.bytes()).has_value());
}

}  // namespace
}  // namespace starling::compute::onnx
