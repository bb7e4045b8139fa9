#pragma once

// Arrays in NumPy's format, versions 1 to 3. Objects and pickles are refused: to read them is to run
// what is in them.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/formats/byte_stream.hpp"

namespace starling::data {

inline constexpr std::size_t kNpyHeaderBytesMax = std::size_t{1} << 16U;
inline constexpr std::size_t kNpyAxesMax = 8;
inline constexpr std::uint64_t kNpyBytesMax = std::uint64_t{1} << 40U;
/// An array that lies on disk column by column is turned in memory, so it may not be large.
inline constexpr std::uint64_t kNpyFortranBytesMax = std::uint64_t{64} << 20U;

enum class NpyElement { Bool, U8, I8, U16, I16, U32, I32, U64, I64, F16, F32, F64 };

[[nodiscard]] std::size_t bytes_of(NpyElement element);

struct NpyHeader {
    NpyElement element = NpyElement::U8;
    bool big_endian = false;
    bool fortran = false;  ///< the first axis runs fastest; only with two axes longer than 1
    std::vector<std::uint64_t> shape;
    std::size_t header_bytes = 0;  ///< where the elements begin

    /// Returns the product of the shape; it and content_bytes() are at most kNpyBytesMax.
    [[nodiscard]] std::uint64_t elements() const;

    [[nodiscard]] std::uint64_t content_bytes() const { return elements() * bytes_of(element); }
};

/// Reads the header at the beginning of `bytes`. Of `bytes` so much must be there as the file has, or
/// kNpyHeaderBytesMax.
/// Errors    BadFormat, BadVersion, Truncated, Oversized, Unsupported (objects, texts, times, complex
///           numbers, records; Fortran order of more than 2 axes); messages do not name the source
/// Thread    any (pure)
/// Source    numpy/lib/format.py; the header's dictionary is read by its own small grammar
[[nodiscard]] Result<NpyHeader> parse_npy_header(std::string_view bytes);

/// Gives the elements of one array in C order (the last axis runs fastest) and little-endian.
/// Thread    one at a time
class NpyReader {
public:
    /// Takes the content's size where it is known; a header that promises more or less is then refused
    /// before anything is allocated. `stream` must outlive this object.
    /// Errors    those of parse_npy_header and of the stream, Corrupt (the sizes disagree)
    [[nodiscard]] static Result<NpyReader> open(
        ByteStream& stream, std::optional<std::uint64_t> size = std::nullopt
    );

    /// Goes on reading an array whose header was read already, and `beginning` with it.
    /// Requires  a header that a parser has made
    [[nodiscard]] static NpyReader behind(
        ByteStream& stream, NpyHeader header, std::string beginning
    ) {
        return {stream, std::move(header), std::move(beginning)};
    }

    [[nodiscard]] const NpyHeader& header() const { return header_; }

    /// Reads the next elements, as many as fit into `out` or are left; returns the number of bytes.
    /// Requires  out.size() is a multiple of an element's bytes
    /// Errors    Truncated, BadFormat (bytes behind the array), Oversized (Fortran order), those of the
    ///           stream
    [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out);

private:
    NpyReader(ByteStream& stream, NpyHeader header, std::string beginning)
        : stream_(&stream),
          header_(std::move(header)),
          beginning_(std::move(beginning)),
          left_(header_.content_bytes()) {}

    [[nodiscard]] Result<void> read_raw(std::span<std::uint8_t> out);
    [[nodiscard]] Result<void> turn();
    [[nodiscard]] Result<void> check_end();

    ByteStream* stream_;
    NpyHeader header_;
    std::string beginning_;  ///< what was read with the header and is not used yet
    std::uint64_t left_ = 0;
    std::vector<std::uint8_t> turned_;  ///< all of an array in Fortran order, in C order
    std::size_t turned_at_ = 0;
    bool is_turned_ = false;
};

/// Returns an element of what NpyReader gives as a number; integers of over 53 bits are rounded.
/// Requires  the element lies inside `bytes`
[[nodiscard]] double npy_value(
    NpyElement element, std::span<const std::uint8_t> bytes, std::size_t index
);

}  // namespace starling::data
