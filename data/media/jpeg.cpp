// The home of libjpeg-turbo.
//
// The library reports errors through a function that must not return. Ours jumps back into run().
// Everything that it may jump over is a plain C call in a function without objects to destroy: what
// needs memory of our own takes it between two calls of run().

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>  // jpeglib.h uses FILE and does not include it
#include <jpeglib.h>
#include <string>

#include "data/media/decoders.hpp"
// Behind jpeglib.h, which says what kind of library this is: its messages are numbered by that.
#include <jerror.h>

namespace starling::data {

namespace {

/// What the library may take for the coefficients of a progressive picture: 64 Mpx with three full
/// channels need 384 MiB.
constexpr long kCoefficientBytesMax = 512L << 20U;
/// Ways of the library to say that values were lost. Its other warnings (bytes between segments, an
/// unknown version) lose none.
constexpr std::array kDamage{
    JWRN_HIT_MARKER,
    JWRN_HUFF_BAD_CODE,
    JWRN_MUST_RESYNC,
    JWRN_ARITH_BAD_CODE,
    JWRN_BOGUS_PROGRESSION,
    JWRN_NOT_SEQUENTIAL};
/// The fractions of a size for which libjpeg-turbo has vector code, in eighths.
constexpr std::array kEighths{1U, 2U, 4U, 8U};

struct Decoder {
    Decoder(ByteView bytes, StoredSize stored_size, const ImageRequest& wanted);

    ~Decoder() { jpeg_destroy_decompress(&info); }

    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    /// Calls a step. Returns false where it broke off; `code` and `text` say why.
    bool run(void (*step)(Decoder&)) {
        if (setjmp(escape) != 0) return false;
        step(*this);
        return true;
    }

    [[noreturn]] void break_off(FaultCode why) {
        code = why;
        std::longjmp(escape, 1);  // NOLINT(cert-err52-cpp) the library's own way out
    }

    [[nodiscard]] Fault fault() const {
        return fail(
            code,
            "JPEG: breaks at byte " + std::to_string(bytes_total - source.bytes_in_buffer) +
                " of " + std::to_string(bytes_total) + ": " + text.data() + "; replace the file"
        );
    }

    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    jpeg_source_mgr source{};
    jpeg_progress_mgr progress{};
    std::jmp_buf escape{};
    FaultCode code = FaultCode::Corrupt;
    std::array<char, JMSG_LENGTH_MAX> text{};
    std::size_t bytes_total;
    StoredSize stored;
    ImageRequest request;
    JSAMPLE* out = nullptr;  ///< where the next row goes
    JSAMPLE* ink = nullptr;  ///< a row of CMYK, where the file has that
};

Decoder& decoder_of(j_common_ptr info) {
    return *static_cast<Decoder*>(info->client_data);
}

void on_error(j_common_ptr info) {
    auto& decoder = decoder_of(info);
    info->err->format_message(info, decoder.text.data());
    const int what = info->err->msg_code;
    decoder.break_off(
        what == JERR_OUT_OF_MEMORY || what == JERR_NO_BACKING_STORE ? FaultCode::Oversized
                                                                    : FaultCode::BadFormat
    );
}

/// Takes warnings (negative levels) that tell of lost values for errors.
void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    if (std::find(kDamage.begin(), kDamage.end(), info->err->msg_code) == kDamage.end()) return;
    auto& decoder = decoder_of(info);
    info->err->format_message(info, decoder.text.data());
    decoder.break_off(FaultCode::Corrupt);
}

boolean on_end_of_bytes(j_decompress_ptr info) {
    auto& decoder = decoder_of(reinterpret_cast<j_common_ptr>(info));
    std::snprintf(
        decoder.text.data(),
        decoder.text.size(),
        "the file ends in row %u of %u",
        info->output_scanline,
        info->output_height
    );
    decoder.source.bytes_in_buffer = 0;  // what is left is too short for what was to be read
    decoder.break_off(FaultCode::Truncated);
}

void skip_bytes(j_decompress_ptr info, long count) {
    auto& source = *info->src;
    if (count <= 0) return;
    const auto skipped = static_cast<std::size_t>(count);
    if (skipped > source.bytes_in_buffer) {
        on_end_of_bytes(info);
    }
    source.next_input_byte += skipped;
    source.bytes_in_buffer -= skipped;
}

void on_progress(j_common_ptr info) {
    auto& decoder = decoder_of(info);
    if (decoder.info.input_scan_number <= static_cast<int>(kJpegScansMax)) return;
    std::snprintf(decoder.text.data(), decoder.text.size(), "more than %u scans", kJpegScansMax);
    decoder.break_off(FaultCode::Oversized);
}

void do_nothing(j_decompress_ptr /*info*/) {}

void say_nothing(j_common_ptr /*info*/) {}

Decoder::Decoder(ByteView bytes, StoredSize stored_size, const ImageRequest& wanted)
    : bytes_total(bytes.size()),
      stored(stored_size),
      request(wanted) {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = on_error;
    errors.emit_message = on_message;
    errors.output_message = say_nothing;
    source.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source.bytes_in_buffer = bytes.size();
    source.init_source = do_nothing;
    source.term_source = do_nothing;
    source.fill_input_buffer = on_end_of_bytes;
    source.skip_input_data = skip_bytes;
    source.resync_to_restart = jpeg_resync_to_restart;
    progress.progress_monitor = on_progress;
}

unsigned eighths_for(StoredSize stored, const ImageRequest& request) {
    if (request.at_least_height == 0 && request.at_least_width == 0) return 8;
    for (const auto eighths : kEighths) {
        const auto height = (std::uint64_t{stored.height} * eighths + 7) / 8;
        const auto width = (std::uint64_t{stored.width} * eighths + 7) / 8;
        if (height >= request.at_least_height && width >= request.at_least_width) return eighths;
    }
    return 8;
}

void read_header(Decoder& decoder) {
    auto& info = decoder.info;
    jpeg_create_decompress(&info);
    // jpeg_create_decompress clears the structure, except err and client_data.
    info.src = &decoder.source;
    info.progress = &decoder.progress;
    info.mem->max_memory_to_use = kCoefficientBytesMax;
    jpeg_read_header(&info, TRUE);
    if (info.num_components == 4) {
        info.out_color_space = JCS_CMYK;
    } else {
        info.out_color_space = decoder.request.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    }
    info.scale_num = eighths_for(decoder.stored, decoder.request);
    info.scale_denom = 8;
    jpeg_calc_output_dimensions(&info);
}

/// Turns inverted CMYK into RGB: with C' = 255 - C, R is C' K' / 255, rounded.
void ink_to_rgb(const JSAMPLE* ink, std::size_t pixels, JSAMPLE* rgb) {
    for (std::size_t i = 0; i < pixels; ++i, ink += 4, rgb += 3) {
        for (std::size_t c = 0; c < 3; ++c) {
            const unsigned product = static_cast<unsigned>(ink[c]) * ink[3] + 128U;
            rgb[c] = static_cast<JSAMPLE>((product + (product >> 8U)) >> 8U);
        }
    }
}

void read_rows(Decoder& decoder) {
    auto& info = decoder.info;
    const auto channels =
        info.out_color_space == JCS_CMYK ? 3U : static_cast<unsigned>(info.out_color_components);
    const auto row_bytes = std::size_t{info.output_width} * channels;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
        JSAMPLE* row = decoder.ink != nullptr ? decoder.ink : decoder.out;
        if (jpeg_read_scanlines(&info, &row, 1) != 1) continue;
        if (decoder.ink != nullptr) ink_to_rgb(decoder.ink, info.output_width, decoder.out);
        decoder.out += row_bytes;
    }
}

}  // namespace

Result<Image> decode_jpeg(ByteView bytes, StoredSize stored, const ImageRequest& request) {
    Decoder decoder(bytes, stored, request);
    if (!decoder.run(read_header)) return decoder.fault();
    const auto& info = decoder.info;
    if (info.image_height != stored.height || info.image_width != stored.width) {
        return fail(FaultCode::BadFormat, "JPEG: states two sizes; replace the file");
    }
    const bool inked = info.out_color_space == JCS_CMYK;
    Image image{
        inked || request.channels == 3 ? 3U : 1U, info.output_height, info.output_width, {}};
    image.values.resize(std::size_t{image.height} * image.width * image.channels);
    std::vector<JSAMPLE> ink(inked ? std::size_t{image.width} * 4 : 0);
    decoder.out = image.values.data();
    if (inked) decoder.ink = ink.data();
    if (!decoder.run(read_rows)) return decoder.fault();
    return image;
}

}  // namespace starling::data
