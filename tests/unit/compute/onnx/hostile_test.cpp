// Goal: no file costs much more memory than it has bytes, and names of all kinds are read or refused
// with one line.
// Method: files that nest empty messages in every field of ONNX's schema, and files with odd names.

#include <algorithm>
#include <cmath>
#include <map>
#include <onnx/onnx_pb.h>

#include "compute/onnx/census.hpp"
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

// Names.

const Task kTask{{4}, 3};

FileBuilder named(const std::string& weight, const std::string& bias) {
    FileBuilder b;
    b.input("x", {-1, 4}).floats(weight, {4, 3}).floats(bias, {3});
    b.node("Gemm", {"x", weight, bias}, {"y"}).output("y");
    return b;
}

TEST(Names, OursMayBeTheFilesToo) {
    const auto floats = random_floats(8);
    const std::vector<double> values(floats.begin(), floats.end());
    const auto plain = evaluated_scores(named("w", "c").bytes(), kTask, 2, values);
    for (const auto& [weight, bias] :
         {std::pair{"values", "scores"}, {"labels", "loss"}, {"value_0", "value_1"}}) {
        SCOPED_TRACE(weight);
        const auto file = named(weight, bias).bytes();
        EXPECT_EQ(evaluated_scores(file, kTask, 2, values), plain);
        const auto out = exported(file, kTask);
        ASSERT_TRUE(out.has_value()) << out.error().message;
        EXPECT_EQ(evaluated_scores(*out, kTask, 2, values), plain);
        // The parameters keep their names.
        const auto again = build_model("onnx:a.onnx", kTask, 2, Purpose::Inference, *out);
        ASSERT_TRUE(again.has_value()) << again.error().message;
        auto names = parameter_names(again->graph);
        EXPECT_NE(std::find(names.begin(), names.end(), weight), names.end());
        EXPECT_NE(std::find(names.begin(), names.end(), bias), names.end());
    }
}

TEST(Names, InputMayHaveAnyOfOurs) {
    for (const auto* name : {"labels", "scores", "values"}) {
        auto b = named("w", "c");
        b.file.inputs[0].name = name;
        b.file.nodes[0].inputs[0] = name;
        EXPECT_EQ(evaluated_scores(b.bytes(), kTask, 2, std::vector<double>(8, 0.5)).size(), 6U);
        Trained net(b.bytes(), kTask, 4);
        const std::vector<std::int32_t> labels{0, 1, 2, 0};
        EXPECT_TRUE(std::isfinite(net.engine->step({random_floats(16), labels}, 0.1)->loss));
    }
}

std::string refusal(const Bytes& file) {
    const auto model = build_model("onnx:a.onnx", kTask, 2, Purpose::Training, file);
    return model.has_error() ? model.error().message : std::string();
}

TEST(Names, ThoseThatAreNotUtf8AreRefused) {
    for (const auto* wrong : {"w\xe9", "\xff", "\xc0\x80", "\xed\xa0\x80"}) {
        const auto said = refusal(named(wrong, "c").bytes());
        EXPECT_NE(said.find("is not UTF-8"), std::string::npos) << said;
        EXPECT_EQ(said.find('\n'), std::string::npos);
    }
    EXPECT_EQ(refusal(named("gewicht-\u00e9\u4e2d", "c").bytes()), "");
}

TEST(Names, LongOnesAreRefusedByTheirBeginning) {
    const auto said = refusal(named("weight" + std::string(2000, 'w'), "c").bytes());
    EXPECT_NE(said.find("'weightww"), std::string::npos) << said;
    EXPECT_NE(said.find("more than 1 KiB"), std::string::npos) << said;
    EXPECT_LT(said.size(), 200U);
    EXPECT_EQ(refusal(named(std::string(1024, 'w'), "c").bytes()), "");
}

TEST(Names, EmptyOnesAreRefused) {
    const auto said = refusal(named("", "c").bytes());
    EXPECT_NE(said.find("no name"), std::string::npos) << said;
    auto input = named("w", "c");
    input.file.inputs[0].name = "";
    EXPECT_NE(refusal(input.bytes()).find("an input has no name"), std::string::npos);
    auto output = named("w", "c");
    output.file.outputs[0].name = "";
    EXPECT_NE(refusal(output.bytes()).find("made nowhere"), std::string::npos);
}

TEST(Opset, FileWithoutOneOfOnnxItselfIsToldSo) {
    auto b = named("w", "c");
    b.file.opset.reset();
    b.file.other_domain = "ai.onnx.ml";
    ::onnx::ModelProto message;
    ASSERT_TRUE(message.ParseFromString(std::string(as_text(b.bytes()))));
    message.clear_opset_import();
    auto file = message.SerializeAsString();
    const auto none = refusal(Bytes(as_byte_view(file).begin(), as_byte_view(file).end()));
    EXPECT_NE(none.find("names no opset"), std::string::npos) << none;
    auto* import = message.add_opset_import();
    import->set_domain("ai.onnx.ml");
    import->set_version(3);
    file = message.SerializeAsString();
    const auto other = refusal(Bytes(as_byte_view(file).begin(), as_byte_view(file).end()));
    EXPECT_NE(other.find("only one of 'ai.onnx.ml'"), std::string::npos) << other;
    EXPECT_EQ(other.find("opset 0"), std::string::npos) << other;
}

}  // namespace
}  // namespace starling::compute::onnx
