#include "compute/onnx/wire.hpp"

namespace starling::compute::onnx {

std::uint64_t WireReader::take_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const auto byte = reader_.take<std::uint8_t>();
        value |= std::uint64_t{byte & 0x7FU} << shift;
        if ((byte & 0x80U) == 0) return value;
    }
    reader_.spoil();
    return 0;
}

bool WireReader::next(WireField& field) {
    if (!ok() || at_end()) return false;
    const auto header = take_varint();
    field = {};
    field.number = static_cast<std::uint32_t>(header >> 3U);
    const auto kind = header & 7U;
    if (!ok() || header >> 3U == 0 || header >> 32U != 0) {
        reader_.spoil();
        return false;
    }
    switch (kind) {
        case 0:
            field.value = take_varint();
            break;
        case 1:
            field.value = reader_.take<std::uint64_t>();
            break;
        case 2: {
            const auto length = take_varint();
            // take_bytes compares with what is left before anything else happens.
            field.bytes = reader_.take_bytes(length);
            break;
        }
        case 5:
            field.value = reader_.take<std::uint32_t>();
            break;
        default:
            reader_.spoil();
            break;
    }
    field.type = static_cast<WireType>(kind);
    return ok();
}

void WireWriter::put_varint(std::uint64_t value) {
    ByteWriter writer(bytes_);
    while (value >= 0x80U) {
        writer.put(static_cast<std::uint8_t>(value | 0x80U));
        value >>= 7U;
    }
    writer.put(static_cast<std::uint8_t>(value));
}

void WireWriter::put(std::uint32_t number, std::int64_t value) {
    put_header(number, WireType::Varint);
    put_varint(std::bit_cast<std::uint64_t>(value));
}

void WireWriter::put(std::uint32_t number, float value) {
    put_header(number, WireType::Fixed32);
    ByteWriter(bytes_).put(value);
}

void WireWriter::put(std::uint32_t number, ByteView bytes) {
    put_header(number, WireType::Bytes);
    put_varint(bytes.size());
    ByteWriter(bytes_).put_bytes(bytes);
}

}  // namespace starling::compute::onnx
