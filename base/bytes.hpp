#pragma once

// Bounded little-endian reading and writing over byte spans, and stream buffers for libraries that
// want an istream or an ostream. A reader never reads past its span: it turns bad and stays bad.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <streambuf>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace starling {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

static_assert(std::endian::native == std::endian::little, "payloads are raw little-endian spans");

/// Returns a view of the text's bytes. It is valid as long as the text lives.
[[nodiscard]] inline ByteView as_byte_view(std::string_view text) {
    return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

/// Returns a view of the bytes as text. It is valid as long as the bytes live.
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Appends little-endian values to a byte vector.
class ByteWriter {
public:
    explicit ByteWriter(Bytes& out) : out_(out) {}

    template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>

    void put(T value) { put_bytes(std::bit_cast<std::array<std::byte, sizeof(T)>>(value)); }

    /// Appends the bytes. It does not use insert(): g++ 12 warns falsely of that when it optimises.
    void put_bytes(ByteView bytes) {
        const std::size_t at = out_.size();
        out_.resize(at + bytes.size());
        std::copy(bytes.begin(), bytes.end(), out_.begin() + static_cast<std::ptrdiff_t>(at));
    }

    template <std::size_t N>
    void put_array(const std::array<std::uint8_t, N>& bytes) {
        put_bytes(std::as_bytes(std::span(bytes)));
    }

    /// Writes a 16-bit length and the text. It cuts a text of over 65,535 bytes: callers check
    /// that.
    void put_text(std::string_view text) {
        const auto cut = text.substr(0, 65535);
        put(static_cast<std::uint16_t>(cut.size()));
        put_bytes(as_byte_view(cut));
    }

private:
    Bytes& out_;
};

/// Takes little-endian values from a span. After the first short read `ok()` stays false and every
/// value is zero, so a decoder may read to its end and check `ok()` once.
class ByteReader {
public:
    explicit ByteReader(ByteView bytes) : rest_(bytes) {}

    [[nodiscard]] bool ok() const { return ok_; }

    /// Returns whether every read succeeded and no byte is left.
    [[nodiscard]] bool finished() const { return ok_ && rest_.empty(); }

    [[nodiscard]] std::size_t remaining() const { return rest_.size(); }

    template <class T>

    requires std::is_arithmetic_v<T> || std::is_enum_v<T> T take() {
        std::array<std::byte, sizeof(T)> raw{};
        const auto bytes = take_bytes(sizeof(T));
        if (bytes.size() == sizeof(T)) std::memcpy(raw.data(), bytes.data(), sizeof(T));
        return std::bit_cast<T>(raw);
    }

    /// Returns the next `count` bytes, or an empty view when fewer are left.
    ByteView take_bytes(std::size_t count) {
        if (!ok_ || count > rest_.size()) {
            ok_ = false;
            return {};
        }
        const auto bytes = rest_.first(count);
        rest_ = rest_.subspan(count);
        return bytes;
    }

    template <std::size_t N>
    std::array<std::uint8_t, N> take_array() {
        std::array<std::uint8_t, N> out{};
        const auto bytes = take_bytes(N);
        if (bytes.size() == N) std::memcpy(out.data(), bytes.data(), N);
        return out;
    }

    /// Reads a 16-bit length and then so many bytes of text.
    std::string take_text() {
        const auto length = take<std::uint16_t>();
        return std::string(as_text(take_bytes(length)));
    }

    /// Marks the input as bad. A decoder calls it for a value that is out of range.
    void spoil() { ok_ = false; }

private:
    ByteView rest_;
    bool ok_ = true;
};

/// Lets an istream read a span in place.
class SpanSource : public std::streambuf {
public:
    explicit SpanSource(ByteView bytes) {
        // std::streambuf wants mutable pointers, but never writes through those of an input buffer.
        auto* begin = const_cast<char*>(reinterpret_cast<const char*>(bytes.data()));
        setg(begin, begin, begin + bytes.size());
    }

    [[nodiscard]] std::size_t remaining() const {
        return static_cast<std::size_t>(egptr() - gptr());
    }
};

/// Lets an ostream append to a byte vector.
class BytesSink : public std::streambuf {
public:
    explicit BytesSink(Bytes& out) : out_(out) {}

protected:
    std::streamsize xsputn(const char* data, std::streamsize count) override {
        const auto* begin = reinterpret_cast<const std::byte*>(data);
        out_.insert(out_.end(), begin, begin + count);
        return count;
    }

    int_type overflow(int_type value) override {
        if (!traits_type::eq_int_type(value, traits_type::eof())) {
            out_.push_back(static_cast<std::byte>(traits_type::to_char_type(value)));
        }
        return traits_type::not_eof(value);
    }

private:
    Bytes& out_;
};

}  // namespace starling
