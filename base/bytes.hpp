#pragma once

// Bounded little-endian reading and writing over byte spans, and a stream buffer over a span for
// libraries that want an istream. A reader never reads past its span: it turns bad and stays bad.

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

/// Returns text as bytes; the view lives as long as the text.
[[nodiscard]] inline ByteView as_byte_view(std::string_view text) {
    return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

/// Returns bytes as text; the view lives as long as the bytes.
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

    /// Not by insert(), of which g++ 12 warns falsely when it optimises.
    void put_bytes(ByteView bytes) {
        const std::size_t at = out_.size();
        out_.resize(at + bytes.size());
        std::copy(bytes.begin(), bytes.end(), out_.begin() + static_cast<std::ptrdiff_t>(at));
    }

    template <std::size_t N>
    void put_array(const std::array<std::uint8_t, N>& bytes) {
        put_bytes(std::as_bytes(std::span(bytes)));
    }

    /// Writes a 16-bit length and the text. Longer texts are cut: callers check before.
    void put_text(std::string_view text) {
        const auto cut = text.substr(0, 65535);
        put(static_cast<std::uint16_t>(cut.size()));
        put_bytes(as_byte_view(cut));
    }

private:
    Bytes& out_;
};

/// Takes little-endian values from a span. After the first short read `ok()` is false for good and
/// every value is zero, so a decoder may read on and check once.
class ByteReader {
public:
    explicit ByteReader(ByteView bytes) : rest_(bytes) {}

    [[nodiscard]] bool ok() const { return ok_; }

    /// True when everything was read and nothing is left.
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

    /// Reads a 16-bit length and as many bytes of text.
    std::string take_text() {
        const auto length = take<std::uint16_t>();
        return std::string(as_text(take_bytes(length)));
    }

    /// Marks the input as bad, for a value that was read but is out of range.
    void spoil() { ok_ = false; }

private:
    ByteView rest_;
    bool ok_ = true;
};

/// Lets an istream read a span in place.
class SpanSource : public std::streambuf {
public:
    explicit SpanSource(ByteView bytes) {
        // streambuf wants mutable pointers but an input buffer is never written through.
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
