#pragma once

// Writes small DICOM files for tests.

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace starling::data::testing {

/// What a test's file says. Negative numbers and empty texts are left out.
struct DicomFile {
    bool explicit_vr = true;
    std::string syntax;  ///< empty: as `explicit_vr` says
    std::string photometric = "MONOCHROME2";
    int samples = 1;
    std::string frames;
    int rows = 2;
    int columns = 3;
    int allocated = 16;
    int stored = 12;
    int high_bit = 11;
    int has_sign = 0;
    int padding = -1;
    std::string centre;
    std::string width;
    std::string function;
    std::string intercept;
    std::string slope;
    std::vector<int> pixels;  ///< stored values, little endian
    bool sequences =
        false;  ///< of defined and undefined length, with an icon inside, before the picture

    [[nodiscard]] Bytes bytes() const {
        Bytes out(128);
        ByteWriter writer(out);
        writer.put_bytes(as_byte_view("DICM"));
        element(writer, true, 0x00020001, "OB", std::string("\0\1", 2));
        element(
            writer,
            true,
            0x00020010,
            "UI",
            !syntax.empty() ? syntax
            : explicit_vr   ? "1.2.840.10008.1.2.1"
                            : "1.2.840.10008.1.2"
        );
        body(writer);
        return out;
    }

private:
    void body(ByteWriter& writer) const {
        text(writer, 0x00100010, "PN", "DOE^JANE");
        if (sequences) put_sequences(writer);
        number(writer, 0x00280002, samples);
        text(writer, 0x00280004, "CS", photometric);
        text(writer, 0x00280008, "IS", frames);
        number(writer, 0x00280010, rows);
        number(writer, 0x00280011, columns);
        number(writer, 0x00280100, allocated);
        number(writer, 0x00280101, stored);
        number(writer, 0x00280102, high_bit);
        number(writer, 0x00280103, has_sign);
        number(writer, 0x00280120, padding);
        text(writer, 0x00281050, "DS", centre);
        text(writer, 0x00281051, "DS", width);
        text(writer, 0x00281052, "DS", intercept);
        text(writer, 0x00281053, "DS", slope);
        text(writer, 0x00281056, "CS", function);
        std::string raw;
        for (const int pixel : pixels) {
            raw += static_cast<char>(pixel & 255);
            if (allocated == 16) raw += static_cast<char>((pixel >> 8) & 255);
        }
        if (raw.size() % 2 == 1) raw += '\0';
        element(writer, explicit_vr, 0x7FE00010, allocated == 16 ? "OW" : "OB", raw);
    }

    void put_sequences(ByteWriter& writer) const {
        // One of undefined length with an item of undefined length, in which lies an icon with pixels.
        head(writer, explicit_vr, 0x00880200, "SQ", 0xFFFFFFFF);
        tag(writer, 0xFFFEE000);
        writer.put(std::uint32_t{0xFFFFFFFF});
        number(writer, 0x00280010, 999);
        element(writer, explicit_vr, 0x7FE00010, "OW", "icon");
        tag(writer, 0xFFFEE00D);
        writer.put(std::uint32_t{0});
        tag(writer, 0xFFFEE000);
        writer.put(std::uint32_t{4});
        writer.put_bytes(as_byte_view("item"));
        tag(writer, 0xFFFEE0DD);
        writer.put(std::uint32_t{0});
        // One of a known length, whatever lies in it.
        element(writer, explicit_vr, 0x00081140, "SQ", "anything");
        if (!explicit_vr) return;
        // One of an unknown kind: what lies in it is encoded without kinds (CP-246).
        head(writer, true, 0x00091010, "UN", 0xFFFFFFFF);
        tag(writer, 0xFFFEE000);
        writer.put(std::uint32_t{0xFFFFFFFF});
        element(writer, false, 0x00280011, "US", "\7\7");
        tag(writer, 0xFFFEE00D);
        writer.put(std::uint32_t{0});
        tag(writer, 0xFFFEE0DD);
        writer.put(std::uint32_t{0});
    }

    static void tag(ByteWriter& writer, std::uint32_t tag) {
        writer.put(static_cast<std::uint16_t>(tag >> 16U));
        writer.put(static_cast<std::uint16_t>(tag & 0xFFFFU));
    }

    static void head(
        ByteWriter& writer,
        bool kinds,
        std::uint32_t of,
        const std::string& kind,
        std::uint32_t length
    ) {
        tag(writer, of);
        const bool is_long = kind == "OB" || kind == "OW" || kind == "SQ" || kind == "UN";
        if (kinds) writer.put_bytes(as_byte_view(kind));
        if (kinds && is_long) writer.put(std::uint16_t{0});
        if (kinds && !is_long) {
            writer.put(static_cast<std::uint16_t>(length));
        } else {
            writer.put(length);
        }
    }

    static void element(
        ByteWriter& writer, bool kinds, std::uint32_t of, const std::string& kind, std::string value
    ) {
        if (value.size() % 2 == 1) value += kind == "UI" ? '\0' : ' ';
        head(writer, kinds, of, kind, static_cast<std::uint32_t>(value.size()));
        writer.put_bytes(as_byte_view(value));
    }

    void text(
        ByteWriter& writer, std::uint32_t of, const std::string& kind, const std::string& value
    ) const {
        if (!value.empty()) element(writer, explicit_vr, of, kind, value);
    }

    void number(ByteWriter& writer, std::uint32_t of, int value) const {
        if (value < 0) return;
        const std::string raw{
            static_cast<char>(value & 255), static_cast<char>((value >> 8) & 255)};
        element(writer, explicit_vr, of, "US", raw);
    }
};

}  // namespace starling::data::testing
