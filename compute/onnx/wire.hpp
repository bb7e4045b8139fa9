#pragma once

// The wire format of protocol buffers: enough to read and write the messages of ONNX. A library
// would allocate what a length field asks for, throw, and bring its generated code; this reads in
// place, never allocates, and is the same on every system.
//
// Source    the "Encoding" page of the protocol buffers documentation; groups are refused

#include <bit>
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"

namespace starling::compute::onnx {

enum class WireType : std::uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

/// One field of a message as it lies in the bytes.
struct WireField {
    std::uint32_t number = 0;
    WireType type = WireType::Varint;
    std::uint64_t value = 0;  ///< of the three scalar kinds
    ByteView bytes;           ///< of WireType::Bytes

    [[nodiscard]] bool is(std::uint32_t wanted, WireType kind) const {
        return number == wanted && type == kind;
    }

    [[nodiscard]] std::int64_t integer() const { return std::bit_cast<std::int64_t>(value); }

    [[nodiscard]] float real() const {
        return std::bit_cast<float>(static_cast<std::uint32_t>(value));
    }

    [[nodiscard]] std::string_view text() const { return as_text(bytes); }
};

/// Takes the fields of one message. After a bad byte `ok()` is false for good.
class WireReader {
public:
    explicit WireReader(ByteView message) : reader_(message) {}

    /// Returns false at the end of the message or at a bad byte.
    [[nodiscard]] bool next(WireField& field);

    /// Takes one number without a field header, as packed lists hold them.
    [[nodiscard]] std::uint64_t take_varint();

    [[nodiscard]] bool ok() const { return reader_.ok(); }

    [[nodiscard]] bool at_end() const { return reader_.remaining() == 0; }

private:
    ByteReader reader_;
};

/// Appends the fields of one message.
class WireWriter {
public:
    void put(std::uint32_t number, std::int64_t value);
    void put(std::uint32_t number, float value);
    void put(std::uint32_t number, ByteView bytes);

    void put(std::uint32_t number, std::string_view text) { put(number, as_byte_view(text)); }

    void put(std::uint32_t number, const WireWriter& message) { put(number, message.bytes()); }

    [[nodiscard]] ByteView bytes() const { return bytes_; }

    [[nodiscard]] Bytes take() { return std::move(bytes_); }

private:
    void put_varint(std::uint64_t value);

    void put_header(std::uint32_t number, WireType type) {
        put_varint(std::uint64_t{number} << 3U | static_cast<std::uint64_t>(type));
    }

    Bytes bytes_;
};

}  // namespace starling::compute::onnx
