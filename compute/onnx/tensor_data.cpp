// From a tensor's bytes to its elements, whatever their type.

#include <bit>

#include "compute/graph/view.hpp"
#include "compute/onnx/model_file.hpp"
#include "compute/values/printable.hpp"
#include "compute/values/small_floats.hpp"

namespace starling::compute::onnx {

using compute::to_string;

namespace {

std::size_t element_bytes(DataType type) {
    switch (type) {
        case DataType::Uint8:
        case DataType::Int8:
        case DataType::Bool:
            return 1;
        case DataType::Uint16:
        case DataType::Int16:
        case DataType::Float16:
        case DataType::Bfloat16:
            return 2;
        case DataType::Float:
        case DataType::Int32:
        case DataType::Uint32:
            return 4;
        case DataType::Double:
        case DataType::Int64:
        case DataType::Uint64:
            return 8;
        default:
            return 0;
    }
}

double take_raw(ByteReader& reader, DataType type) {
    switch (type) {
        case DataType::Float:
            return static_cast<double>(reader.take<float>());
        case DataType::Double:
            return reader.take<double>();
        case DataType::Float16:
            return static_cast<double>(from_half(reader.take<std::uint16_t>()));
        case DataType::Bfloat16:
            return static_cast<double>(widened(reader.take<std::uint16_t>()));
        case DataType::Uint8:
            return reader.take<std::uint8_t>();
        case DataType::Int8:
            return reader.take<std::int8_t>();
        case DataType::Bool:
            return reader.take<std::uint8_t>() != 0 ? 1.0 : 0.0;
        case DataType::Uint16:
            return reader.take<std::uint16_t>();
        case DataType::Int16:
            return reader.take<std::int16_t>();
        case DataType::Int32:
            return reader.take<std::int32_t>();
        case DataType::Uint32:
            return reader.take<std::uint32_t>();
        case DataType::Int64:
            return static_cast<double>(reader.take<std::int64_t>());
        case DataType::Uint64:
            return static_cast<double>(reader.take<std::uint64_t>());
        default:
            return 0.0;
    }
}

/// int32_data holds small types and the bits of the 16-bit floats.
double from_listed(std::int64_t value, DataType type) {
    if (type == DataType::Float16) {
        return static_cast<double>(from_half(static_cast<std::uint16_t>(value)));
    }
    if (type == DataType::Bfloat16) {
        return static_cast<double>(widened(static_cast<std::uint16_t>(value)));
    }
    if (type == DataType::Uint64) return static_cast<double>(std::bit_cast<std::uint64_t>(value));
    return static_cast<double>(value);
}

std::string place_of(const TensorMessage& tensor) {
    return "onnx: tensor '" + printable(tensor.name) + "': ";
}

/// Checks everything and then calls put(i, value) for each element, so that a hostile shape
/// allocates nothing: the shape's size is compared with the bytes that are there.
template <class T>
Result<std::vector<T>> read(const TensorMessage& tensor) {
    const auto where = place_of(tensor);
    if (tensor.external) {
        return fail(
            FaultCode::Unsupported,
            where + "its data lies in another file; save the model with its weights inside"
        );
    }
    const auto width = element_bytes(tensor.type);
    if (width == 0) {
        return fail(
            FaultCode::Unsupported,
            where + "element type " + to_string(tensor.type) + " is not supported"
        );
    }
    const auto counted = tensor.count();
    if (counted.has_error()) return counted.error();
    const auto count = *counted;
    const bool raw = !tensor.raw.empty();
    const bool right =
        raw ? tensor.raw.size() == count * width
            : tensor.floats.size() + tensor.doubles.size() + tensor.integers.size() == count;
    if (!right) {
        return fail(
            FaultCode::BadFormat,
            where + "its data does not fit its shape " + to_string(tensor.shape)
        );
    }
    std::vector<T> out;
    out.reserve(count);
    if (raw) {
        ByteReader reader(as_byte_view(tensor.raw));
        for (std::size_t i = 0; i < count; ++i) {
            out.push_back(static_cast<T>(take_raw(reader, tensor.type)));
        }
        return out;
    }
    for (const auto value : tensor.floats) out.push_back(static_cast<T>(value));
    for (const auto value : tensor.doubles) out.push_back(static_cast<T>(value));
    for (const auto value : tensor.integers) {
        out.push_back(static_cast<T>(from_listed(value, tensor.type)));
    }
    return out;
}

}  // namespace

std::string to_string(DataType type) {
    constexpr const char* kNames[] = {
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16"};
    const auto index = static_cast<std::int32_t>(type);
    if (index < 0 || index > 16) return "number " + std::to_string(index);
    return kNames[index];
}

bool is_integer(DataType type) {
    switch (type) {
        case DataType::Uint8:
        case DataType::Int8:
        case DataType::Uint16:
        case DataType::Int16:
        case DataType::Int32:
        case DataType::Int64:
        case DataType::Uint32:
        case DataType::Uint64:
            return true;
        default:
            return false;
    }
}

bool is_real(DataType type) {
    return type == DataType::Float || type == DataType::Double || type == DataType::Float16 ||
           type == DataType::Bfloat16;
}

Result<std::size_t> TensorMessage::count() const {
    std::size_t count = 1;
    for (const auto dimension : shape) {
        if (dimension < 0) {
            return fail(FaultCode::BadFormat, place_of(*this) + "a dimension is negative");
        }
        const auto size = static_cast<std::size_t>(dimension);
        if (size != 0 && count > static_cast<std::size_t>(kElementsMax) / size) {
            return fail(
                FaultCode::Oversized, place_of(*this) + "a shape of more than 2^32 elements"
            );
        }
        count *= size;
    }
    return count;
}

Result<std::vector<double>> TensorMessage::values() const {
    return read<double>(*this);
}

Result<std::vector<float>> TensorMessage::reals() const {
    return read<float>(*this);
}

}  // namespace starling::compute::onnx
