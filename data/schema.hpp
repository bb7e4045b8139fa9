#pragma once

// What one sample is, as its source stores it: named inputs and one label. Readers of formats state
// a schema, shards are laid out by it, and models are checked against it.
//
// The schema says nothing about how a sample is prepared for a model: that is the recipe's part.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

/// The type of one element, where elements are stored raw. A token has 16 bits.
enum class Element : std::uint8_t { U8 = 0, I16 = 1, I32 = 2, F32 = 3, Token = 4 };

[[nodiscard]] std::size_t bytes_of(Element element);

/// What the elements of an input stand for.
enum class Meaning : std::uint8_t { Image = 0, Audio = 1, Tokens = 2, Columns = 3 };

/// How an input is stored. Raw: its elements, little-endian, row by row. Encoded: the bytes of the
/// file that it came from, which say themselves what they are (JPEG or PNG; WAV, FLAC, OGG or MP3).
/// An encoded sample is a small part of its pixels, and its bytes do not depend on a decoder.
enum class Storage : std::uint8_t { Raw = 0, Encoded = 1 };

/// Limits for schemas that other peers send.
inline constexpr std::size_t kInputsMax = 8;
inline constexpr std::size_t kShapeRankMax = 8;
inline constexpr std::size_t kSampleBytesMax = std::size_t{4} << 20U;  ///< of a raw sample
inline constexpr std::size_t kEncodedBytesMax = std::size_t{12} << 20U;
inline constexpr std::uint32_t kClassesMax = std::uint32_t{1} << 16U;
inline constexpr std::uint32_t kNumbersMax = 4096;
inline constexpr std::uint32_t kBoxesMax = 256;  ///< of one image
inline constexpr std::uint32_t kContextMax = 8192;
inline constexpr std::size_t kFieldNameMax = 64;
inline constexpr std::size_t kClassNameMax = 256;
inline constexpr std::size_t kClassNamesBytesMax = std::size_t{1} << 20U;
inline constexpr std::size_t kSchemaBytesMax = std::size_t{2} << 20U;

/// One axis of a stored sample. Where `varies` is true the size differs from sample to sample, and
/// `size` is the largest.
struct Axis {
    std::uint32_t size = 0;
    bool varies = false;

    bool operator==(const Axis&) const = default;
};

struct Input {
    std::string name;
    Meaning meaning = Meaning::Image;
    Storage storage = Storage::Raw;
    Element element = Element::U8;
    std::vector<Axis> shape;  ///< images: C, H, W; audio: samples; tokens: none; columns: one axis

    [[nodiscard]] std::size_t elements() const;  ///< product of the axes' sizes

    bool operator==(const Input&) const = default;
};

/// What is to be learned of a sample.
///
///   None     nothing; for data that are only looked at
///   Class    one of `count` classes
///   Classes  any of `count` labels at once
///   Numbers  `count` real numbers
///   Tokens   for each token the next one, out of `count`
///   Boxes    up to kBoxesMax boxes, each of one of `count` classes
enum class LabelKind : std::uint8_t {
    None = 0,
    Class = 1,
    Classes = 2,
    Numbers = 3,
    Tokens = 4,
    Boxes = 5
};

[[nodiscard]] std::string_view to_string(LabelKind kind);

struct Label {
    LabelKind kind = LabelKind::Class;
    std::uint32_t count = 0;
    std::vector<std::string> names;  ///< of the classes or numbers; empty or `count`
    /// Class: the weight of each class in the loss. Classes: its `pos_weight`. Empty: all 1.
    std::vector<float> weights;

    bool operator==(const Label&) const = default;
};

struct Schema {
    std::vector<Input> inputs;
    Label label;

    bool operator==(const Schema&) const = default;
};

/// Checks every limit above, and that the parts fit each other.
/// Errors    BadValue, Oversized
/// Thread    any
[[nodiscard]] Result<void> check_schema(const Schema& schema);

/// A box as a file has it: corners in pixels of the stored image.
struct LabelledBox {
    std::uint16_t label = 0;
    float left = 0.0F;
    float top = 0.0F;
    float right = 0.0F;
    float bottom = 0.0F;

    bool operator==(const LabelledBox&) const = default;
};

/// The label of one sample. Only the member that belongs to the schema's kind is used.
struct LabelValue {
    std::vector<std::uint16_t> classes;  ///< Class: one; Classes: ascending
    std::vector<float> numbers;
    std::vector<LabelledBox> boxes;

    bool operator==(const LabelValue&) const = default;
};

/// Returns the bytes of one label in a shard of version 3, or 0 where it varies (boxes).
///
/// Class 2 (u16); Classes one bit each, rounded up to bytes; Numbers 4 each (f32); None and Tokens
/// 0; Boxes 2 + 18 each: count, then class and four f32.
[[nodiscard]] std::size_t label_bytes(const Label& label);

/// Appends a label in that form.
/// Requires  a value that fits the schema
void append_label(const Label& label, const LabelValue& value, Bytes& out);

/// Reads a label in that form.
/// Errors    BadValue (a class out of range, a number that is not finite, a box without area, too
///           many or too few bytes)
[[nodiscard]] Result<LabelValue> read_label(const Label& label, ByteView bytes);

/// Encodes a schema. Equal schemas give equal bytes.
/// Requires  a schema that check_schema accepts
[[nodiscard]] Bytes encode_schema(const Schema& schema);

/// Errors    Truncated, BadFormat, and those of check_schema
[[nodiscard]] Result<Schema> decode_schema(ByteView bytes);

}  // namespace starling::data
