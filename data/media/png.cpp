// The home of libpng.
//
// As in jpeg.cpp, the library leaves through a jump on an error, so whatever it jumps over has no
// objects to destroy. We ask for 8-bit grey or RGB, perhaps with alpha, and mix alpha ourselves.

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <png.h>
#include <string>

#include "data/media/decoders.hpp"

namespace starling::data {

namespace {

/// Chunks that the library would otherwise unpack or keep; none changes what we return. eXIf is read
/// by the probe.
constexpr std::array<png_byte, 55> kIgnoredChunks{
    "iCCP\0tEXt\0zTXt\0iTXt\0sPLT\0hIST\0eXIf\0pCAL\0sCAL\0tIME\0gAMA"};

struct Decoder {
    explicit Decoder(ByteView bytes) : rest(bytes), bytes_total(bytes.size()) {
        png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
        info = png == nullptr ? nullptr : png_create_info_struct(png);
    }

    ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }

    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    /// Calls a step. Returns false where it broke off; `code` and `text` say why.
    bool run(void (*step)(Decoder&)) {
        if (setjmp(escape) != 0) return false;
        step(*this);
        return true;
    }

    [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
        auto& decoder = *static_cast<Decoder*>(png_get_error_ptr(png));
        std::snprintf(decoder.text.data(), decoder.text.size(), "%s", message);
        std::longjmp(decoder.escape, 1);  // NOLINT(cert-err52-cpp) the library's own way out
    }

    /// Warnings tell of chunks that we do not need.
    static void on_warning(png_structp /*png*/, png_const_charp /*message*/) {}

    static void on_read(png_structp png, png_bytep out, std::size_t count) {
        auto& decoder = *static_cast<Decoder*>(png_get_io_ptr(png));
        if (count > decoder.rest.size()) {
            decoder.code = FaultCode::Truncated;
            decoder.rest = {};
            png_error(png, "the file ends");
        }
        const auto* from = reinterpret_cast<const png_byte*>(decoder.rest.data());
        std::copy_n(from, count, out);
        decoder.rest = decoder.rest.subspan(count);
    }

    [[nodiscard]] Fault fault() const {
        return fail(
            code,
            "PNG: breaks at byte " + std::to_string(bytes_total - rest.size()) + " of " +
                std::to_string(bytes_total) + ": " + text.data() + "; replace the file"
        );
    }

    ByteView rest;
    std::size_t bytes_total;
    png_structp png = nullptr;
    png_infop info = nullptr;
    std::jmp_buf escape{};
    FaultCode code = FaultCode::Corrupt;
    std::array<char, 200> text{};
    png_bytep out = nullptr;
    std::size_t row_bytes = 0;
    int passes = 1;
};

/// Mixes pixels with white and drops their alpha, which is the last channel. The pixels that are left
/// lie one behind the other where the first ones were.
void mix_with_white(Image& image) {
    const auto channels = image.channels;
    const auto kept = channels - 1;
    const auto pixels = std::size_t{image.height} * image.width;
    auto* out = image.values.data();
    for (std::size_t i = 0; i < pixels; ++i) {
        const auto* pixel = image.values.data() + i * channels;
        const unsigned alpha = pixel[kept];
        for (std::uint32_t c = 0; c < kept; ++c) {
            // A rounded division by 255.
            const unsigned mixed = pixel[c] * alpha + 255U * (255U - alpha) + 128U;
            *out++ = static_cast<std::uint8_t>((mixed + (mixed >> 8U)) >> 8U);
        }
    }
    image.channels = kept;
    image.values.resize(pixels * kept);
}

void read_header(Decoder& decoder) {
    auto* png = decoder.png;
    png_set_read_fn(png, &decoder, Decoder::on_read);
    png_set_keep_unknown_chunks(
        png, PNG_HANDLE_CHUNK_NEVER, kIgnoredChunks.data(), kIgnoredChunks.size() / 5
    );
    png_read_info(png, decoder.info);
    png_set_expand(png);
    png_set_scale_16(png);
    decoder.passes = png_set_interlace_handling(png);
    png_read_update_info(png, decoder.info);
    decoder.row_bytes = png_get_rowbytes(png, decoder.info);
}

void read_rows(Decoder& decoder) {
    const auto height = png_get_image_height(decoder.png, decoder.info);
    for (int pass = 0; pass < decoder.passes; ++pass) {
        for (png_uint_32 y = 0; y < height; ++y) {
            png_read_row(decoder.png, decoder.out + y * decoder.row_bytes, nullptr);
        }
    }
    png_read_end(decoder.png, nullptr);
}

}  // namespace

Result<Image> decode_png(ByteView bytes, StoredSize stored) {
    Decoder decoder(bytes);
    if (decoder.info == nullptr)
        return fail(FaultCode::Oversized, "PNG: there is no memory for it");
    if (!decoder.run(read_header)) return decoder.fault();
    Image image{
        png_get_channels(decoder.png, decoder.info),
        png_get_image_height(decoder.png, decoder.info),
        png_get_image_width(decoder.png, decoder.info),
        {}};
    const auto expected = std::size_t{image.width} * image.channels;
    if (image.height != stored.height || image.width != stored.width || image.channels < 1 ||
        image.channels > 4 || decoder.row_bytes != expected) {
        return fail(FaultCode::BadFormat, "PNG: contradicts its own header; replace the file");
    }
    image.values.resize(image.height * expected);
    decoder.out = image.values.data();
    if (!decoder.run(read_rows)) return decoder.fault();
    // Mixed here and not by png_set_background, which gives 254 for a clear pixel of 16 bits.
    if (image.channels % 2 == 0) mix_with_white(image);
    return image;
}

}  // namespace starling::data
