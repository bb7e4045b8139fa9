#include "data/formats/dicom.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "data/formats/dicom_elements.hpp"
#include "data/media/decoders.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kPreambleBytes = 128;
/// What files write as decimal numbers; a product of two stays far from the end of double.
constexpr double kNumberMax = 1e12;

constexpr std::uint32_t kTransferSyntax = 0x00020010;
constexpr std::uint32_t kSamplesPerPixel = 0x00280002;
constexpr std::uint32_t kPhotometric = 0x00280004;
constexpr std::uint32_t kFrames = 0x00280008;
constexpr std::uint32_t kRows = 0x00280010;
constexpr std::uint32_t kColumns = 0x00280011;
constexpr std::uint32_t kAllocated = 0x00280100;
constexpr std::uint32_t kStored = 0x00280101;
constexpr std::uint32_t kHighBit = 0x00280102;
constexpr std::uint32_t kSigned = 0x00280103;
constexpr std::uint32_t kPadding = 0x00280120;
constexpr std::uint32_t kWindowCentre = 0x00281050;
constexpr std::uint32_t kWindowWidth = 0x00281051;
constexpr std::uint32_t kIntercept = 0x00281052;
constexpr std::uint32_t kSlope = 0x00281053;
constexpr std::uint32_t kWindowFunction = 0x00281056;
constexpr std::uint32_t kPixels = 0x7FE00010;

/// What the elements say of the pixels.
struct Facts {
    std::uint16_t samples = 1;
    std::string photometric;
    std::uint16_t rows = 0;
    std::uint16_t columns = 0;
    std::uint16_t allocated = 0;
    std::uint16_t stored = 0;
    std::optional<std::uint16_t> high_bit;
    bool has_sign = false;
    double frames = 1;
    std::optional<std::uint16_t> padding;
    std::optional<double> centre;
    std::optional<double> width;
    double intercept = 0;
    double slope = 1;
    std::string function = "LINEAR";
    std::optional<ByteView> pixels;
};

/// Returns a text without the spaces and zeros that fill it up.
std::string_view trimmed(ByteView value) {
    auto text = as_text(value);
    const auto end = text.find_last_not_of(std::string_view(" \0", 2));
    text = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
    const auto begin = text.find_first_not_of(' ');
    return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

std::uint16_t short_of(ByteView value) {
    ByteReader reader(value);
    return reader.take<std::uint16_t>();
}

/// Reads the first of several decimal numbers. An empty one says nothing.
Result<std::optional<double>> number_of(const DicomElement& element) {
    auto text = trimmed(element.value);
    text = text.substr(0, text.find('\\'));
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    if (text.starts_with('+')) text.remove_prefix(1);
    if (text.empty()) return std::optional<double>();
    double number = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    // Not a number is in no range.
    if (error != std::errc{} || rest != end || !(std::abs(number) <= kNumberMax)) {
        return fail(FaultCode::BadFormat, "a number in it cannot be read");
    }
    return std::optional(number);
}

Result<void> take_number(const DicomElement& element, Facts& facts) {
    const auto number = number_of(element);
    if (!number) return number.error();
    if (!*number) return {};
    switch (element.tag) {
        case kFrames:
            facts.frames = **number;
            break;
        case kWindowCentre:
            facts.centre = **number;
            break;
        case kWindowWidth:
            facts.width = **number;
            break;
        case kIntercept:
            facts.intercept = **number;
            break;
        default:
            facts.slope = **number;
            break;
    }
    return {};
}

/// Notes what one element says.
Result<void> take(const DicomElement& element, Facts& facts) {
    switch (element.tag) {
        case kSamplesPerPixel:
            facts.samples = short_of(element.value);
            break;
        case kPhotometric:
            facts.photometric = trimmed(element.value);
            break;
        case kRows:
            facts.rows = short_of(element.value);
            break;
        case kColumns:
            facts.columns = short_of(element.value);
            break;
        case kAllocated:
            facts.allocated = short_of(element.value);
            break;
        case kStored:
            facts.stored = short_of(element.value);
            break;
        case kHighBit:
            facts.high_bit = short_of(element.value);
            break;
        case kSigned:
            facts.has_sign = short_of(element.value) == 1;
            break;
        case kPadding:
            facts.padding = short_of(element.value);
            break;
        case kWindowFunction:
            facts.function = trimmed(element.value);
            break;
        case kPixels:
            facts.pixels = element.value;
            break;
        case kFrames:
        case kWindowCentre:
        case kWindowWidth:
        case kIntercept:
        case kSlope:
            return take_number(element, facts);
        default:
            break;
    }
    return {};
}

/// Returns whether the elements of a transfer syntax say their kinds.
/// Errors    Unsupported
Result<bool> reads_kinds(std::string_view syntax) {
    if (syntax == "1.2.840.10008.1.2") return false;
    if (syntax == "1.2.840.10008.1.2.1") return true;
    return fail(
        FaultCode::Unsupported,
        "its pixels are compressed or big endian (transfer syntax " + std::string(syntax) +
            "); unpack it, as with gdcmconv --raw IN OUT"
    );
}

Result<Facts> read_facts(ByteView file) {
    if (!is_dicom(file)) return fail(FaultCode::BadFormat, "no DICOM file: no DICM at byte 128");
    const auto body = file.subspan(kPreambleBytes + 4);
    // The first group is written alike in all files, and says how the others are.
    DicomElements meta(body, true);
    std::string syntax;
    while (meta.next_group() == 2) {
        const auto element = meta.next();
        if (!element) return element.error();
        if (*element && (*element)->tag == kTransferSyntax) syntax = trimmed((*element)->value);
    }
    const auto kinds = reads_kinds(syntax);
    if (!kinds) return kinds.error();
    DicomElements elements(body.last(meta.remaining()), *kinds);
    Facts facts;
    while (!facts.pixels) {
        const auto element = elements.next();
        if (!element) return element.error();
        if (!*element) return fail(FaultCode::BadFormat, "no picture in it");
        if ((*element)->undefined) return fail(FaultCode::BadFormat, "pixels without a length");
        if (auto ok = take(**element, facts); !ok) return ok.error();
    }
    return facts;
}

Result<void> check(const Facts& facts) {
    const auto unsupported = [](const std::string& what) {
        return fail(FaultCode::Unsupported, what);
    };
    const bool grey = facts.photometric == "MONOCHROME1" || facts.photometric == "MONOCHROME2";
    if (facts.samples != 1 || !grey) {
        return unsupported(
            "its pixels are " + (facts.photometric.empty() ? "of no kind" : facts.photometric) +
            ", and MONOCHROME1 or MONOCHROME2 are read"
        );
    }
    if (facts.frames != 1.0) return unsupported("it has several frames; write one file for each");
    if (facts.allocated != 8 && facts.allocated != 16) {
        return unsupported(
            "its pixels have " + std::to_string(facts.allocated) + " bits, and 8 or 16 are read"
        );
    }
    const auto high = facts.high_bit.value_or(static_cast<std::uint16_t>(facts.stored - 1));
    if (facts.stored < 1 || facts.stored > facts.allocated || high >= facts.allocated ||
        high + 1 < facts.stored) {
        return fail(FaultCode::BadFormat, "its bits contradict each other");
    }
    if (facts.width && !(*facts.width > 0.0)) {
        return fail(FaultCode::BadFormat, "its window has no width");
    }
    if (auto ok = check_size("DICOM", {facts.rows, facts.columns}); !ok) return ok;
    const std::size_t bytes = std::size_t{facts.rows} * facts.columns * (facts.allocated / 8U);
    if (facts.pixels->size() < bytes) {
        return fail(
            FaultCode::Truncated,
            "it has " + std::to_string(facts.pixels->size()) + " bytes of pixels, and " +
                std::to_string(bytes) + " belong to its size"
        );
    }
    return {};
}

/// Reads stored values as whole numbers with a sign.
class StoredValues {
public:
    explicit StoredValues(const Facts& facts)
        : facts_(facts),
          shift_(
              facts.high_bit.value_or(static_cast<std::uint16_t>(facts.stored - 1)) + 1U -
              facts.stored
          ) {}

    [[nodiscard]] std::int32_t at(std::size_t pixel) const {
        const auto& pixels = *facts_.pixels;
        auto bits = std::to_integer<std::uint32_t>(pixels[pixel * (facts_.allocated / 8U)]);
        if (facts_.allocated == 16) {
            bits |= std::to_integer<std::uint32_t>(pixels[2 * pixel + 1]) << 8U;
        }
        return number(bits >> shift_);
    }

    [[nodiscard]] std::optional<std::int32_t> padding() const {
        if (!facts_.padding) return std::nullopt;
        return number(*facts_.padding);
    }

private:
    [[nodiscard]] std::int32_t number(std::uint32_t bits) const {
        bits &= (1U << facts_.stored) - 1U;
        const bool negative = facts_.has_sign && (bits >> (facts_.stored - 1U)) != 0;
        return static_cast<std::int32_t>(bits) -
               (negative ? std::int32_t{1} << facts_.stored : std::int32_t{0});
    }

    const Facts& facts_;
    std::uint32_t shift_;
};

/// Returns where in a window a value lies, 0 to 1. PS3.3 C.11.2.1.2 and C.11.2.1.3.
double in_window(double value, const GreyWindow& window, std::string_view function) {
    if (function == "SIGMOID") {
        return 1.0 / (1.0 + std::exp(-4.0 * (value - window.centre) / window.width));
    }
    if (function == "LINEAR_EXACT" || window.width <= 1.0) {
        // A width of one is a step in both.
        return std::clamp((value - window.centre) / window.width + 0.5, 0.0, 1.0);
    }
    return std::clamp((value - (window.centre - 0.5)) / (window.width - 1.0) + 0.5, 0.0, 1.0);
}

/// Returns the window from the least to the largest value, without what pads the picture.
GreyWindow whole_range(const Facts& facts, const StoredValues& values, std::size_t pixels) {
    std::int32_t low = std::numeric_limits<std::int32_t>::max();
    std::int32_t high = std::numeric_limits<std::int32_t>::min();
    const auto padding = values.padding();
    for (std::size_t i = 0; i < pixels; ++i) {
        const auto value = values.at(i);
        if (padding && value == *padding) continue;
        low = std::min(low, value);
        high = std::max(high, value);
    }
    if (low > high) low = high = padding.value_or(0);  // nothing but padding
    const double a = facts.slope * low + facts.intercept;
    const double b = facts.slope * high + facts.intercept;
    return {(a + b) / 2.0, std::max(std::abs(b - a), 1e-6)};
}

}  // namespace

bool is_dicom(ByteView file) {
    return file.size() >= kPreambleBytes + 4 && as_text(file.subspan(kPreambleBytes, 4)) == "DICM";
}

Result<Image> read_dicom(ByteView file, const std::optional<GreyWindow>& window) {
    const auto facts = read_facts(file);
    if (!facts) return facts.error();
    if (auto ok = check(*facts); !ok) return ok.error();
    const std::size_t pixels = std::size_t{facts->rows} * facts->columns;
    const StoredValues values(*facts);
    GreyWindow shown;
    std::string_view function = facts->function;
    if (window) {
        shown = *window;
    } else if (facts->centre && facts->width) {
        shown = {*facts->centre, *facts->width};
    } else {
        shown = whole_range(*facts, values, pixels);
        function = "LINEAR_EXACT";
    }
    // There are 65,536 values at most, and millions of pixels.
    std::vector<std::uint8_t> grey(std::size_t{1} << facts->stored);
    const bool inverted = facts->photometric == "MONOCHROME1";
    const auto negative = facts->has_sign ? grey.size() / 2 : 0;
    for (std::size_t i = 0; i < grey.size(); ++i) {
        const double stored = static_cast<double>(i) - static_cast<double>(negative);
        const double place = in_window(facts->slope * stored + facts->intercept, shown, function);
        const auto level = static_cast<std::uint8_t>(std::lround(255.0 * place));
        grey[i] = inverted ? static_cast<std::uint8_t>(255 - level) : level;
    }
    Image image{1, facts->rows, facts->columns, std::vector<std::uint8_t>(pixels)};
    for (std::size_t i = 0; i < pixels; ++i) {
        image.values[i] =
            grey[static_cast<std::size_t>(values.at(i) + static_cast<std::int32_t>(negative))];
    }
    return image;
}

}  // namespace starling::data
