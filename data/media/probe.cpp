// probe_image: the headers of JPEG and PNG, read without their libraries.

#include <algorithm>
#include <array>
#include <string>

#include "data/media/decoders.hpp"
#include "data/media/image.hpp"

namespace starling::data {

namespace {

constexpr std::array<std::uint8_t, 3> kJpegMagic{0xff, 0xd8, 0xff};
constexpr std::array<std::uint8_t, 8> kPngMagic{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
/// TIFF's number of the orientation, and its type of 16-bit numbers.
constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::uint32_t kShort = 3;
/// An EXIF directory holds some dozens of entries; more are not looked at.
constexpr std::uint32_t kExifEntriesMax = 256;

bool begins_with(ByteView bytes, std::span<const std::uint8_t> magic) {
    return bytes.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), bytes.begin(), [](auto a, auto b) {
               return a == std::to_integer<std::uint8_t>(b);
           });
}

/// Reads a number of `count` bytes at `at`, or 0 behind the end: what EXIF cannot say is no turn.
std::uint32_t number(ByteView bytes, std::size_t at, std::size_t count, bool little_endian) {
    if (at > bytes.size() || bytes.size() - at < count) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto place = little_endian ? at + count - 1 - i : at + i;
        value = value << 8U | std::to_integer<std::uint32_t>(bytes[place]);
    }
    return value;
}

std::uint32_t big_endian(ByteView bytes, std::size_t at, std::size_t count) {
    return number(bytes, at, count, false);
}

/// The orientation that a TIFF structure states; 1 where it states none or is damaged, since a
/// picture is worth more than its turn.
std::uint8_t exif_turn(ByteView tiff) {
    const bool little = big_endian(tiff, 0, 2) == 0x4949;
    if (!little && big_endian(tiff, 0, 2) != 0x4d4d) return 1;
    const std::size_t directory = number(tiff, 4, 4, little);
    const auto entries = std::min(number(tiff, directory, 2, little), kExifEntriesMax);
    for (std::uint32_t i = 0; i < entries; ++i) {
        const auto entry = directory + 2 + std::size_t{12} * i;
        if (number(tiff, entry, 2, little) != kOrientationTag) continue;
        const auto turn = number(tiff, entry + 8, 2, little);
        const bool valid = number(tiff, entry + 2, 2, little) == kShort && turn >= 1 && turn <= 8;
        return valid ? static_cast<std::uint8_t>(turn) : std::uint8_t{1};
    }
    return 1;
}

Fault broken(const char* format, FaultCode code, const std::string& what, std::size_t at) {
    return fail(
        code,
        std::string(format) + ": " + what + " at byte " + std::to_string(at) + "; replace the file"
    );
}

ImageFacts facts_of(
    ImageFormat format, StoredSize stored, std::uint32_t channels, std::uint8_t turn
) {
    ImageFacts facts{format, channels, stored.height, stored.width, turn};
    if (turn >= 5) std::swap(facts.height, facts.width);
    return facts;
}

// JPEG.

/// Whether a marker begins a frame; 0xc4, 0xc8 and 0xcc among them mean other things.
bool is_frame(std::uint32_t marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/// Baseline, extended and progressive, Huffman or arithmetic; what libjpeg-turbo decodes.
bool is_decodable(std::uint32_t marker) {
    return marker <= 0xc2 || marker == 0xc9 || marker == 0xca;
}

Result<ImageFacts> frame_facts(
    ByteView segment, std::uint32_t marker, std::uint8_t turn, std::size_t at
) {
    if (!is_decodable(marker)) {
        return fail(
            FaultCode::Unsupported, "JPEG: lossless or hierarchical; save it as an ordinary JPEG"
        );
    }
    if (segment.size() < 6) {
        return broken("JPEG", FaultCode::BadFormat, "a frame header is too short", at);
    }
    if (const auto bits = big_endian(segment, 0, 1); bits != 8) {
        return fail(
            FaultCode::Unsupported,
            "JPEG: " + std::to_string(bits) + " bits a value; save it with 8"
        );
    }
    const StoredSize stored{big_endian(segment, 1, 2), big_endian(segment, 3, 2)};
    if (auto ok = check_size("JPEG", stored); !ok) return ok.error();
    const auto components = big_endian(segment, 5, 1);
    if (components != 1 && components != 3 && components != 4) {
        return fail(
            FaultCode::Unsupported,
            "JPEG: " + std::to_string(components) + " channels; 1, 3 and 4 can be read"
        );
    }
    return facts_of(ImageFormat::Jpeg, stored, components == 1 ? 1 : 3, turn);
}

Result<ImageFacts> probe_jpeg(ByteView bytes) {
    static constexpr std::string_view kExif{"Exif\0\0", 6};
    std::size_t at = 2;
    std::uint8_t turn = 1;
    while (at < bytes.size()) {
        // Bytes between segments are skipped, as libjpeg does.
        if (big_endian(bytes, at, 1) != 0xff) {
            ++at;
            continue;
        }
        const auto marker = big_endian(bytes, at + 1, 1);
        if (marker == 0xff || marker == 0 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
            at += marker == 0xff ? 1 : 2;
            continue;
        }
        if (marker == 0xd9 || marker == 0xda) {
            return broken("JPEG", FaultCode::BadFormat, "the picture begins without a header", at);
        }
        const std::size_t length = big_endian(bytes, at + 2, 2);
        if (bytes.size() - at < 4 || bytes.size() - at - 2 < length) break;
        if (length < 2) return broken("JPEG", FaultCode::BadFormat, "a segment of no length", at);
        const auto segment = bytes.subspan(at + 4, length - 2);
        if (is_frame(marker)) return frame_facts(segment, marker, turn, at);
        if (marker == 0xe1 && as_text(segment).starts_with(kExif)) {
            turn = exif_turn(segment.subspan(kExif.size()));
        }
        at += 2 + length;
    }
    return broken("JPEG", FaultCode::Truncated, "the headers end", bytes.size());
}

// PNG.

Result<ImageFacts> probe_png(ByteView bytes) {
    constexpr std::size_t kHeaderEnd = 8 + 8 + 13 + 4;
    if (bytes.size() < kHeaderEnd) {
        return broken("PNG", FaultCode::Truncated, "the headers end", bytes.size());
    }
    if (as_text(bytes.subspan(8, 8)) != std::string_view("\0\0\0\rIHDR", 8)) {
        return broken("PNG", FaultCode::BadFormat, "the first chunk is no IHDR", 8);
    }
    const StoredSize stored{big_endian(bytes, 20, 4), big_endian(bytes, 16, 4)};
    if (auto ok = check_size("PNG", stored); !ok) return ok.error();
    const auto colour = big_endian(bytes, 25, 1);
    std::uint8_t turn = 1;
    for (std::size_t at = kHeaderEnd; bytes.size() - at >= 12;) {
        const std::size_t length = big_endian(bytes, at, 4);
        const auto name = as_text(bytes.subspan(at + 4, 4));
        if (name == "IDAT" || bytes.size() - at - 12 < length) break;
        if (name == "eXIf") turn = exif_turn(bytes.subspan(at + 8, length));
        at += 12 + length;
    }
    // Colour types 0 and 4 are grey without and with alpha.
    const bool grey = colour == 0 || colour == 4;
    return facts_of(ImageFormat::Png, stored, grey ? 1 : 3, turn);
}

}  // namespace

Result<void> check_size(const char* format, StoredSize stored) {
    const auto size = std::to_string(stored.width) + " x " + std::to_string(stored.height);
    if (stored.width == 0 || stored.height == 0) {
        return fail(
            FaultCode::BadFormat, std::string(format) + ": a picture of " + size + " pixels"
        );
    }
    if (stored.height > kImagePixelsMax / stored.width) {
        return fail(
            FaultCode::Oversized,
            std::string(format) + ": a picture of " + size + " pixels, at most " +
                std::to_string(kImagePixelsMax) + " are allowed; make it smaller"
        );
    }
    return {};
}

Result<ImageFacts> probe_image(ByteView bytes) {
    if (begins_with(bytes, kJpegMagic)) return probe_jpeg(bytes);
    if (begins_with(bytes, kPngMagic)) return probe_png(bytes);
    return fail(FaultCode::BadFormat, "neither JPEG nor PNG; convert the picture to one of them");
}

}  // namespace starling::data
