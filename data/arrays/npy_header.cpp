// The header of an array: a magic, a version, a length, and a Python dictionary of three entries.

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "data/arrays/npy.hpp"

namespace starling::data {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

Fault bad(const std::string& what) {
    return fail(FaultCode::BadFormat, "NPY header: " + what);
}

/// Reads the texts, truth values and tuples of whole numbers of which the dictionary consists, and
/// nothing else of Python.
class Dictionary {
public:
    explicit Dictionary(std::string_view text) : rest_(text) {}

    /// Skips spaces, then takes the word if it is next.
    bool take(std::string_view word) {
        const auto begin = std::min(rest_.find_first_not_of(" \t\n"), rest_.size());
        rest_.remove_prefix(begin);
        if (!rest_.starts_with(word)) return false;
        rest_.remove_prefix(word.size());
        return true;
    }

    std::optional<std::string_view> text() {
        for (const char quote : {'\'', '"'}) {
            if (!take({&quote, 1})) continue;
            const auto end = rest_.find(quote);
            if (end == std::string_view::npos) return std::nullopt;
            const auto found = rest_.substr(0, end);
            rest_.remove_prefix(end + 1);
            if (found.find('\\') != std::string_view::npos) return std::nullopt;
            return found;
        }
        return std::nullopt;
    }

    std::optional<bool> truth() {
        if (take("True")) return true;
        if (take("False")) return false;
        return std::nullopt;
    }

    std::optional<std::vector<std::uint64_t>> tuple() {
        std::vector<std::uint64_t> numbers;
        if (!take("(")) return std::nullopt;
        bool comma = true;
        while (!take(")")) {
            std::uint64_t number = 0;
            (void)take("");
            const auto [end, error] =
                std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
            if (!comma || error != std::errc{} || numbers.size() == kNpyAxesMax)
                return std::nullopt;
            rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
            (void)take("L");  // Python 2 wrote it behind long numbers
            comma = take(",");
            numbers.push_back(number);
        }
        // (5) is a number, (5,) is a tuple.
        if (numbers.size() == 1 && !comma) return std::nullopt;
        return numbers;
    }

    bool finished() {
        (void)take("");
        return rest_.empty();
    }

private:
    std::string_view rest_;
};

struct Kind {
    std::string_view name;
    NpyElement element;
};

constexpr std::array<Kind, 12> kKinds{{
    {"b1", NpyElement::Bool},
    {"u1", NpyElement::U8},
    {"i1", NpyElement::I8},
    {"u2", NpyElement::U16},
    {"i2", NpyElement::I16},
    {"u4", NpyElement::U32},
    {"i4", NpyElement::I32},
    {"u8", NpyElement::U64},
    {"i8", NpyElement::I64},
    {"f2", NpyElement::F16},
    {"f4", NpyElement::F32},
    {"f8", NpyElement::F64},
}};

Result<void> read_descriptor(std::string_view text, NpyHeader& header) {
    const char order = text.empty() ? ' ' : text.front();
    const bool ordered = order == '<' || order == '>' || order == '|' || order == '=';
    const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& known) {
        return ordered && text.substr(1) == known.name;
    });
    if (kind == kKinds.end()) {
        const bool object = text.find('O') != std::string_view::npos;
        return fail(
            FaultCode::Unsupported,
            "NPY header: elements '" + printable(std::string(text.substr(0, 32))) +
                (object ? "' are Python objects, which are never read; save numbers"
                        : "' are not read; save bool, integers or floats")
        );
    }
    header.element = kind->element;
    const bool one_byte = bytes_of(header.element) == 1;
    if (order == '|' && !one_byte) return bad("'|' before elements of several bytes");
    header.big_endian = order == '>' && !one_byte;
    return {};
}

Result<void> read_dictionary(std::string_view text, NpyHeader& header) {
    Dictionary dictionary(text);
    if (!dictionary.take("{")) return bad("it is not a dictionary");
    std::array<bool, 3> seen{};
    bool comma = true;
    while (!dictionary.take("}")) {
        const auto key = dictionary.text();
        if (!comma || !key || !dictionary.take(":")) return bad("it is not a dictionary");
        constexpr std::array<std::string_view, 3> kKeys{"descr", "fortran_order", "shape"};
        const auto which = std::find(kKeys.begin(), kKeys.end(), *key) - kKeys.begin();
        if (which == 3 || seen[static_cast<std::size_t>(which)]) {
            return bad("an entry that it should not have, or one twice");
        }
        seen[static_cast<std::size_t>(which)] = true;
        if (which == 0) {
            const auto descriptor = dictionary.text();
            if (!descriptor) {
                return fail(FaultCode::Unsupported, "NPY header: records of fields are not read");
            }
            if (auto read = read_descriptor(*descriptor, header); !read) return read;
        } else if (which == 1) {
            const auto fortran = dictionary.truth();
            if (!fortran) return bad("fortran_order is neither True nor False");
            header.fortran = *fortran;
        } else {
            auto shape = dictionary.tuple();
            if (!shape) return bad("shape is not a tuple of up to 8 whole numbers");
            header.shape = std::move(*shape);
        }
        comma = dictionary.take(",");
    }
    if (!dictionary.finished()) return bad("text behind the dictionary");
    if (!seen[0] || !seen[1] || !seen[2]) return bad("descr, fortran_order or shape is missing");
    return {};
}

Result<void> check_shape(NpyHeader& header) {
    // An axis of 0 empties the array whatever the others say, so that the others are checked, too.
    std::uint64_t bytes = bytes_of(header.element);
    for (const auto size : header.shape) {
        if (size > kNpyBytesMax / bytes) {
            return fail(FaultCode::Oversized, "NPY header: the shape has over 1 TiB of elements");
        }
        bytes *= std::max<std::uint64_t>(size, 1);
    }
    const auto axes =
        std::count_if(header.shape.begin(), header.shape.end(), [](auto size) { return size > 1; });
    if (axes < 2) header.fortran = false;
    if (header.fortran && header.shape.size() != 2) {
        return fail(
            FaultCode::Unsupported,
            "NPY header: Fortran order of more than 2 axes; save numpy.ascontiguousarray of it"
        );
    }
    return {};
}

}  // namespace

std::size_t bytes_of(NpyElement element) {
    switch (element) {
        case NpyElement::Bool:
        case NpyElement::U8:
        case NpyElement::I8:
            return 1;
        case NpyElement::U16:
        case NpyElement::I16:
        case NpyElement::F16:
            return 2;
        case NpyElement::U32:
        case NpyElement::I32:
        case NpyElement::F32:
            return 4;
        default:
            return 8;
    }
}

std::uint64_t NpyHeader::elements() const {
    std::uint64_t product = 1;
    for (const auto size : shape) product *= size;
    return product;
}

Result<NpyHeader> parse_npy_header(std::string_view bytes) {
    if (!bytes.starts_with(kMagic)) {
        return fail(FaultCode::BadFormat, "not an NPY array: it must begin with \\x93NUMPY");
    }
    const auto byte = [&](std::size_t at) {
        return std::size_t{static_cast<unsigned char>(bytes[at])};
    };
    if (bytes.size() < 12) return fail(FaultCode::Truncated, "it ends inside the NPY header");
    const auto version = byte(6);
    if (version < 1 || version > 3 || byte(7) != 0) {
        return fail(
            FaultCode::BadVersion,
            "NPY version " + std::to_string(version) + "." + std::to_string(byte(7)) +
                "; 1.0, 2.0 and 3.0 are read"
        );
    }
    const std::size_t start = version == 1 ? 10 : 12;
    std::size_t length = byte(8) | byte(9) << 8U;
    if (version > 1) length |= byte(10) << 16U | byte(11) << 24U;
    if (start + length > kNpyHeaderBytesMax) {
        return fail(FaultCode::Oversized, "the NPY header has over 64 KiB");
    }
    if (bytes.size() < start + length) {
        return fail(FaultCode::Truncated, "it ends inside the NPY header");
    }
    NpyHeader header;
    header.header_bytes = start + length;
    if (auto read = read_dictionary(bytes.substr(start, length), header); !read)
        return read.error();
    if (auto checked = check_shape(header); !checked) return checked.error();
    return header;
}

}  // namespace starling::data
