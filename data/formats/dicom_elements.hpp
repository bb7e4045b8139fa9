#pragma once

// The elements of a DICOM data set, one after another.
//
// Source    DICOM PS3.5 (2023) sections 7.1 to 7.5; correction proposal CP-246 (UN of undefined length)

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

struct DicomElement {
    std::uint32_t tag = 0;  ///< group * 65536 + element
    ByteView value;         ///< empty if its length is undefined
    bool undefined = false;
};

/// Thread    one at a time
class DicomElements {
public:
    /// Little endian. With `explicit_vr` each element says its kind of value.
    DicomElements(ByteView bytes, bool explicit_vr) : reader_(bytes), explicit_{explicit_vr} {}

    /// Returns the next element that is in no sequence, or nothing at the end. Sequences are passed over.
    /// Pixels of undefined length, which are compressed, are returned without their value, and are the
    /// last element.
    /// Errors    Truncated, BadFormat
    [[nodiscard]] Result<std::optional<DicomElement>> next();

    /// Returns the group of the next element, or nothing at the end.
    [[nodiscard]] std::optional<std::uint16_t> next_group() const;

    /// Returns how many bytes are left.
    [[nodiscard]] std::size_t remaining() const { return reader_.remaining(); }

private:
    struct Head {
        std::uint32_t tag = 0;
        std::uint32_t length = 0;
        bool unknown = false;  ///< its kind of value is UN
    };

    [[nodiscard]] Result<Head> take_head();
    [[nodiscard]] Result<void> enter(bool explicit_vr);

    ByteReader reader_;
    /// Whether elements say their kinds, of the data set and of each sequence and item of undefined length
    /// that we are in.
    std::vector<bool> explicit_;
};

}  // namespace starling::data
