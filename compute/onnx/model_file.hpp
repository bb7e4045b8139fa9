#pragma once

// The messages of an ONNX file as plain structs, for reading and for writing. They hold only what a
// static graph needs. Subgraphs, sequences, maps and sparse tensors are reported, but not read.
//
// Source    onnx.proto, IR version 8, read and written by protobuf with the classes that ONNX's
//           package brings

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/graph/graph.hpp"
#include "compute/values/shape.hpp"

namespace starling::compute::onnx {

/// Limits on what a file may hold. Each is checked before memory is allocated for what it limits.
inline constexpr std::size_t kFileBytesMax = (std::size_t{1} << 31U) - 1;
inline constexpr std::size_t kRankMax = 16;
inline constexpr std::size_t kNameBytesMax = 1024;
inline constexpr std::size_t kListMax = std::size_t{1} << 20U;

/// TensorProto.DataType.
enum class DataType : std::int32_t {
    Undefined = 0,
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Uint16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    Uint32 = 12,
    Uint64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    Bfloat16 = 16,
};

[[nodiscard]] std::string to_string(DataType type);
[[nodiscard]] bool is_integer(DataType type);
[[nodiscard]] bool is_real(DataType type);

/// A tensor as the file holds it.
struct TensorMessage {
    std::string name;
    Shape shape;
    DataType type = DataType::Undefined;
    std::string raw;                     ///< raw_data, little-endian
    std::vector<float> floats;           ///< float_data
    std::vector<double> doubles;         ///< double_data
    std::vector<std::int64_t> integers;  ///< int32_data, int64_data and uint64_data
    bool external = false;

    /// Returns the product of the dimensions.
    /// Errors    BadFormat (a negative one), Oversized (above 2^32)
    [[nodiscard]] Result<std::size_t> count() const;
    /// Returns the elements, bools as 0 and 1, 64-bit integers rounded to a double's 53 bits.
    /// Errors    Unsupported (element type, external data), BadFormat (bytes that do not fit the
    ///           shape), Oversized
    [[nodiscard]] Result<std::vector<double>> values() const;
    /// The same as floats, for parameters.
    [[nodiscard]] Result<std::vector<float>> reals() const;
};

/// The kind of an attribute that is no plain setting.
enum class Foreign : std::uint8_t { None, Graph, Other };

struct AttributeMessage {
    std::string name;
    Attribute value = std::int64_t{0};
    std::optional<TensorMessage> tensor;
    Foreign foreign = Foreign::None;
};

struct NodeMessage {
    std::string name;
    std::string op;
    std::string domain;
    std::vector<std::string> inputs;   ///< an empty name is an absent operand
    std::vector<std::string> outputs;  ///< likewise
    std::vector<AttributeMessage> attributes;
};

/// A graph's input or output. A dimension without a number, named or not, is -1.
struct ValueMessage {
    std::string name;
    DataType type = DataType::Undefined;
    bool tensor = false;     ///< not a sequence, map or optional
    bool has_shape = false;  ///< a scalar has a shape, an empty one
    Shape shape;
};

struct ModelFile {
    std::size_t bytes = 0;  ///< size of the file
    std::int64_t ir_version = 8;
    std::optional<std::int64_t> opset;  ///< of the default domain, where the file names it
    std::string other_domain;           ///< another domain that the file names
    std::vector<NodeMessage> nodes;
    std::vector<TensorMessage> initializers;
    std::vector<ValueMessage> inputs;
    std::vector<ValueMessage> outputs;
    /// Names and values that runtimes show and do not interpret. decode_model() leaves them out.
    std::vector<std::pair<std::string, std::string>> metadata;
};

/// Reads a whole file.
/// Errors    BadFormat, Oversized, Truncated; one line
/// Thread    any
[[nodiscard]] Result<ModelFile> decode_model(ByteView bytes);
/// Reads a lone TensorProto, as test vectors hold them.
[[nodiscard]] Result<TensorMessage> decode_tensor(ByteView bytes);

[[nodiscard]] Bytes encode_model(const ModelFile& model);

}  // namespace starling::compute::onnx
