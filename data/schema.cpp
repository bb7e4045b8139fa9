#include "data/schema.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "base/printable.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kBoxBytes = 2 + 4 * 4;

Fault bad(const std::string& what) {
    return fail(FaultCode::BadValue, "schema: " + what);
}

bool printable_text(const std::string& text, std::size_t limit) {
    return text.size() <= limit && std::none_of(text.begin(), text.end(), is_control);
}

/// Checks an axis list. It checks each factor before it multiplies by it, so the product cannot wrap
/// around.
Result<void> check_shape(const Input& input) {
    if (input.shape.size() > kShapeRankMax) {
        return bad(input.name + " has more than 8 dimensions");
    }
    std::size_t bytes = bytes_of(input.element);
    for (const auto& axis : input.shape) {
        if (axis.size == 0 || axis.size > kSampleBytesMax) {
            return bad(input.name + " has a side out of range");
        }
        if (input.storage == Storage::Encoded) continue;
        if (axis.varies) return bad(input.name + " is raw, so its sides cannot vary");
        bytes *= axis.size;
        if (bytes > kSampleBytesMax) return bad("one sample is larger than 4 MiB");
    }
    return {};
}

Result<void> check_input(const Input& input) {
    if (!printable_text(input.name, kFieldNameMax) || input.name.empty()) {
        return bad("the name of an input is empty, too long or not printable");
    }
    if (input.meaning > Meaning::Columns || input.storage > Storage::Encoded ||
        input.element > Element::Token) {
        return bad(input.name + " is of a kind that this program does not know");
    }
    const bool media = input.meaning == Meaning::Image || input.meaning == Meaning::Audio;
    if (input.storage == Storage::Encoded && !media) {
        return bad(input.name + " is encoded, but is neither an image nor a sound");
    }
    if ((input.element == Element::Token) != (input.meaning == Meaning::Tokens)) {
        return bad(input.name + ": tokens, and nothing else, are stored as tokens");
    }
    const std::size_t rank = input.meaning == Meaning::Tokens    ? 0
                             : input.meaning == Meaning::Columns ? 1
                                                                 : input.shape.size();
    if (input.shape.size() != rank || (media && rank == 0)) {
        return bad(input.name + " has " + std::to_string(input.shape.size()) + " dimensions");
    }
    return check_shape(input);
}

std::uint32_t least_count(LabelKind kind) {
    const bool choice = kind == LabelKind::Class || kind == LabelKind::Tokens;
    return choice ? 2 : kind == LabelKind::None ? 0 : 1;
}

std::uint32_t largest_count(LabelKind kind) {
    if (kind == LabelKind::None) return 0;
    return kind == LabelKind::Numbers || kind == LabelKind::Classes ? kNumbersMax : kClassesMax;
}

Result<void> check_label(const Label& label) {
    if (label.kind > LabelKind::Boxes) return bad("a kind of label that this program lacks");
    if (label.count < least_count(label.kind) || label.count > largest_count(label.kind)) {
        return bad(
            std::to_string(label.count) + " classes, not " +
            std::to_string(least_count(label.kind)) + " to " +
            std::to_string(largest_count(label.kind))
        );
    }
    if (!label.names.empty() && label.names.size() != label.count) {
        return bad("there is not one name for each class");
    }
    std::size_t bytes = 0;
    for (const auto& name : label.names) {
        if (!printable_text(name, kClassNameMax)) return bad("a class name is not printable");
        bytes += name.size();
    }
    if (bytes > kClassNamesBytesMax) {
        return fail(FaultCode::Oversized, "schema: the class names are over 1 MiB");
    }
    const bool weighs = label.kind == LabelKind::Class || label.kind == LabelKind::Classes;
    if (!label.weights.empty() && (!weighs || label.weights.size() != label.count)) {
        return bad("there is not one weight for each class");
    }
    for (const float weight : label.weights) {
        if (!std::isfinite(weight) || weight < 0.0F) {
            return bad("a class weight is negative or not finite");
        }
    }
    return {};
}

/// Reads a count of items. Spoils the reader if the bytes that are left cannot hold so many.
std::size_t take_count(ByteReader& reader, std::size_t item_bytes) {
    const auto count = reader.take<std::uint32_t>();
    if (count > reader.remaining() / item_bytes) {
        reader.spoil();
        return 0;
    }
    return count;
}

Input read_input(ByteReader& reader) {
    Input input;
    input.name = reader.take_text();
    input.meaning = reader.take<Meaning>();
    input.storage = reader.take<Storage>();
    input.element = reader.take<Element>();
    const std::size_t rank = reader.take<std::uint8_t>();
    for (std::size_t i = 0; i < rank && reader.ok(); ++i) {
        Axis axis;
        axis.size = reader.take<std::uint32_t>();
        const auto varies = reader.take<std::uint8_t>();
        if (varies > 1) reader.spoil();
        axis.varies = varies == 1;
        input.shape.push_back(axis);
    }
    return input;
}

Result<LabelValue> read_boxes(const Label& label, ByteReader& reader) {
    LabelValue value;
    const std::size_t count = reader.take<std::uint16_t>();
    if (count > kBoxesMax || reader.remaining() != count * kBoxBytes) {
        return bad("the number of boxes does not fit their bytes");
    }
    for (std::size_t i = 0; i < count; ++i) {
        LabelledBox box;
        box.label = reader.take<std::uint16_t>();
        for (float* side : {&box.left, &box.top, &box.right, &box.bottom}) {
            *side = reader.take<float>();
            if (!std::isfinite(*side)) return bad("a box has a side that is not finite");
        }
        if (box.label >= label.count) return bad("a box is of a class out of range");
        if (box.left >= box.right || box.top >= box.bottom) return bad("a box has no area");
        value.boxes.push_back(box);
    }
    return value;
}

Result<LabelValue> read_bits(const Label& label, ByteView bytes) {
    LabelValue value;
    for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
        if ((std::to_integer<unsigned>(bytes[i / 8]) >> (i % 8) & 1U) == 0) continue;
        if (i >= label.count) return bad("a label is out of range");
        value.classes.push_back(static_cast<std::uint16_t>(i));
    }
    return value;
}

}  // namespace

std::size_t bytes_of(Element element) {
    switch (element) {
        case Element::U8:
            return 1;
        case Element::I16:
        case Element::Token:
            return 2;
        case Element::I32:
        case Element::F32:
            return 4;
    }
    return 4;  // what a stranger sent; check_schema refuses it
}

std::size_t Input::elements() const {
    std::size_t product = 1;
    for (const auto& axis : shape) product *= axis.size;
    return product;
}

std::string_view to_string(LabelKind kind) {
    switch (kind) {
        case LabelKind::None:
            return "none";
        case LabelKind::Class:
            return "class";
        case LabelKind::Classes:
            return "classes";
        case LabelKind::Numbers:
            return "numbers";
        case LabelKind::Tokens:
            return "tokens";
        case LabelKind::Boxes:
            return "boxes";
    }
    return "unknown";
}

Result<void> check_schema(const Schema& schema) {
    if (schema.inputs.empty() || schema.inputs.size() > kInputsMax) {
        return bad(std::to_string(schema.inputs.size()) + " inputs, not 1 to 8");
    }
    for (const auto& input : schema.inputs) {
        if (auto sound = check_input(input); !sound) return sound.error();
    }
    const bool tokens = schema.label.kind == LabelKind::Tokens;
    if (tokens != (schema.inputs[0].meaning == Meaning::Tokens)) {
        return bad("tokens, and nothing else, have the next token as their label");
    }
    const bool image =
        schema.inputs[0].meaning == Meaning::Image && schema.inputs[0].shape.size() == 3;
    if (schema.label.kind == LabelKind::Boxes && !image) {
        return bad("only images of C, H, W have boxes");
    }
    return check_label(schema.label);
}

std::size_t label_bytes(const Label& label) {
    switch (label.kind) {
        case LabelKind::Class:
            return 2;
        case LabelKind::Classes:
            return (label.count + 7) / 8;
        case LabelKind::Numbers:
            return std::size_t{label.count} * 4;
        case LabelKind::None:
        case LabelKind::Tokens:
        case LabelKind::Boxes:
            break;
    }
    return 0;
}

void append_label(const Label& label, const LabelValue& value, Bytes& out) {
    ByteWriter writer(out);
    if (label.kind == LabelKind::Class) {
        STARLING_CHECK(value.classes.size() == 1);
        writer.put(value.classes[0]);
    } else if (label.kind == LabelKind::Classes) {
        const std::size_t at = out.size();
        out.resize(at + label_bytes(label));
        for (const auto item : value.classes) {
            STARLING_CHECK(item < label.count);
            out[at + item / 8U] |= std::byte{1} << (item % 8U);
        }
    } else if (label.kind == LabelKind::Numbers) {
        STARLING_CHECK(value.numbers.size() == label.count);
        for (const auto number : value.numbers) writer.put(number);
    } else if (label.kind == LabelKind::Boxes) {
        STARLING_CHECK(value.boxes.size() <= kBoxesMax);
        writer.put(static_cast<std::uint16_t>(value.boxes.size()));
        for (const auto& box : value.boxes) {
            writer.put(box.label);
            for (const float side : {box.left, box.top, box.right, box.bottom}) writer.put(side);
        }
    }
}

Result<LabelValue> read_label(const Label& label, ByteView bytes) {
    ByteReader reader(bytes);
    if (label.kind == LabelKind::Boxes) return read_boxes(label, reader);
    if (bytes.size() != label_bytes(label)) return bad("a label of another size than its kind has");
    LabelValue value;
    if (label.kind == LabelKind::Classes) return read_bits(label, bytes);
    if (label.kind == LabelKind::Class) {
        value.classes.push_back(reader.take<std::uint16_t>());
        if (value.classes[0] >= label.count) return bad("a label is out of range");
    } else if (label.kind == LabelKind::Numbers) {
        for (std::uint32_t i = 0; i < label.count; ++i) {
            value.numbers.push_back(reader.take<float>());
            if (!std::isfinite(value.numbers.back())) return bad("a label is not finite");
        }
    }
    return value;
}

Bytes encode_schema(const Schema& schema) {
    STARLING_CHECK(check_schema(schema).has_value());
    Bytes out;
    ByteWriter writer(out);
    writer.put(static_cast<std::uint8_t>(schema.inputs.size()));
    for (const auto& input : schema.inputs) {
        writer.put_text(input.name);
        writer.put(input.meaning);
        writer.put(input.storage);
        writer.put(input.element);
        writer.put(static_cast<std::uint8_t>(input.shape.size()));
        for (const auto& axis : input.shape) {
            writer.put(axis.size);
            writer.put(static_cast<std::uint8_t>(axis.varies));
        }
    }
    writer.put(schema.label.kind);
    writer.put(schema.label.count);
    writer.put(static_cast<std::uint32_t>(schema.label.names.size()));
    for (const auto& name : schema.label.names) writer.put_text(name);
    writer.put(static_cast<std::uint32_t>(schema.label.weights.size()));
    for (const auto weight : schema.label.weights) writer.put(weight);
    return out;
}

Result<Schema> decode_schema(ByteView bytes) {
    if (bytes.size() > kSchemaBytesMax) {
        return fail(FaultCode::Oversized, "schema: it is over 2 MiB");
    }
    ByteReader reader(bytes);
    Schema schema;
    const std::size_t inputs = reader.take<std::uint8_t>();
    if (inputs > kInputsMax) return bad("more than 8 inputs");
    for (std::size_t i = 0; i < inputs && reader.ok(); ++i) {
        schema.inputs.push_back(read_input(reader));
    }
    schema.label.kind = reader.take<LabelKind>();
    schema.label.count = reader.take<std::uint32_t>();
    const auto names = take_count(reader, 2);
    for (std::size_t i = 0; i < names && reader.ok(); ++i) {
        schema.label.names.push_back(reader.take_text());
    }
    const auto weights = take_count(reader, 4);
    for (std::size_t i = 0; i < weights && reader.ok(); ++i) {
        schema.label.weights.push_back(reader.take<float>());
    }
    if (!reader.ok()) return fail(FaultCode::Truncated, "schema: it ends too early");
    if (!reader.finished()) return fail(FaultCode::BadFormat, "schema: bytes follow its end");
    if (auto sound = check_schema(schema); !sound) return sound.error();
    return schema;
}

}  // namespace starling::data
