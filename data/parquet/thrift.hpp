#pragma once

// Thrift's compact protocol, in which Parquet writes its footer and the heads of its pages. Only
// reading, and only what Parquet uses.
//
// Source    the Thrift project's compact protocol specification; sets and maps are only skipped

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"

namespace starling::data {

enum class ThriftType : std::uint8_t {
    Stop = 0,
    True = 1,
    False = 2,
    Byte = 3,
    I16 = 4,
    I32 = 5,
    I64 = 6,
    Double = 7,
    Binary = 8,
    List = 9,
    Set = 10,
    Map = 11,
    Struct = 12,
};

struct ThriftField {
    std::int64_t id = 0;
    ThriftType type = ThriftType::Stop;
};

/// Takes values from a span. After the first wrong one `ok()` stays false and every value is zero, so a
/// reader may go on to its end and check `ok()` once. Nothing is allocated, and no length is believed
/// that the bytes left cannot hold.
/// Thread    one at a time
class ThriftReader {
public:
    explicit ThriftReader(ByteView bytes) : bytes_(bytes) {}

    [[nodiscard]] bool ok() const { return ok_; }

    /// Returns how many bytes were taken: where the next value begins, or what is wrong.
    [[nodiscard]] std::size_t place() const { return at_; }

    /// Whether reading failed because the bytes ended: with more of them it may succeed.
    [[nodiscard]] bool short_of_bytes() const { return short_; }

    void spoil() { ok_ = false; }

    /// Reads a struct: calls `take(field)` for each field, which reads the value and returns true, or
    /// returns false for a field that is to be skipped.
    template <class Take>
    void fields(Take take) {
        if (++depth_ > kDepthMax) return spoil();
        std::int64_t last = 0;
        while (ok_) {
            const auto field = head(last);
            if (field.type == ThriftType::Stop) break;
            if (!take(field)) skip(field.type);
        }
        --depth_;
    }

    /// The same for a field, which spoils the reader if it is no struct. Returns true.
    template <class Take>
    bool fields(const ThriftField& field, Take take) {
        if (field.type == ThriftType::Struct) {
            fields(take);
        } else {
            spoil();
        }
        return true;
    }

    /// Reads a list of structs: calls `take()` for each, which reads it. Returns true.
    template <class Take>
    bool list(const ThriftField& field, Take take) {
        if (field.type != ThriftType::List) spoil();
        const auto [count, type] = list_head();
        if (type != ThriftType::Struct && count > 0) spoil();
        for (std::uint64_t i = 0; ok_ && i < count; ++i) take();
        return true;
    }

    /// These read a field's value into `out`, and spoil the reader if its type is another one. They
    /// return true.
    bool integer(const ThriftField& field, std::int64_t& out);
    bool flag(const ThriftField& field, bool& out);
    bool text(const ThriftField& field, std::string_view& out);

    /// Passes over a value of any type.
    void skip(ThriftType type);

private:
    static constexpr int kDepthMax = 32;

    struct ListHead {
        std::uint64_t count = 0;
        ThriftType type = ThriftType::Stop;
    };

    [[nodiscard]] ThriftField head(std::int64_t& last);
    [[nodiscard]] ListHead list_head();
    [[nodiscard]] std::uint8_t byte();
    [[nodiscard]] std::uint64_t varint();
    [[nodiscard]] std::int64_t zigzag();
    std::string_view bytes(std::uint64_t count);

    ByteView bytes_;
    std::size_t at_ = 0;
    int depth_ = 0;
    bool ok_ = true;
    bool short_ = false;
};

}  // namespace starling::data
