#include "data/formats/dicom_elements.hpp"

namespace starling::data {

namespace {

constexpr std::uint32_t kUndefined = 0xFFFFFFFF;
constexpr std::uint32_t kItem = 0xFFFEE000;
constexpr std::uint32_t kItemEnd = 0xFFFEE00D;
constexpr std::uint32_t kSequenceEnd = 0xFFFEE0DD;
constexpr std::uint32_t kPixels = 0x7FE00010;
/// Sequences in items in sequences; real files have a handful.
constexpr std::size_t kDepthMax = 32;

/// Returns whether a length of 32 bits follows two empty bytes, by the kind of value.
bool has_long_length(std::string_view kind) {
    constexpr std::string_view kLong[] = {
        "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"};
    for (const auto one : kLong) {
        if (one == kind) return true;
    }
    return false;
}

std::string at(std::size_t rest) {
    return std::to_string(rest) + " bytes before its end";
}

}  // namespace

std::optional<std::uint16_t> DicomElements::next_group() const {
    auto ahead = reader_;
    const auto group = ahead.take<std::uint16_t>();
    return ahead.ok() ? std::optional(group) : std::nullopt;
}

Result<DicomElements::Head> DicomElements::take_head() {
    Head head;
    const std::uint32_t group = reader_.take<std::uint16_t>();
    head.tag = group << 16U | reader_.take<std::uint16_t>();
    // Items and ends have no kind of value.
    if (!explicit_.back() || group == 0xFFFE) {
        head.length = reader_.take<std::uint32_t>();
    } else {
        const auto kind = as_text(reader_.take_bytes(2));
        const bool is_long = has_long_length(kind);
        if (is_long) (void)reader_.take<std::uint16_t>();
        head.length = is_long ? reader_.take<std::uint32_t>() : reader_.take<std::uint16_t>();
        head.unknown = kind == "UN";
    }
    if (!reader_.ok()) return fail(FaultCode::Truncated, "it ends within an element");
    return head;
}

Result<void> DicomElements::enter(bool explicit_vr) {
    if (explicit_.size() > kDepthMax) {
        return fail(FaultCode::BadFormat, "too many sequences in sequences");
    }
    explicit_.push_back(explicit_vr);
    return {};
}

Result<std::optional<DicomElement>> DicomElements::next() {
    while (reader_.remaining() > 0) {
        const auto begin = reader_.remaining();
        const auto head = take_head();
        if (!head) return head.error();
        const bool inside = explicit_.size() > 1;
        if (head->tag == kItemEnd || head->tag == kSequenceEnd) {
            if (!inside) {
                return fail(FaultCode::BadFormat, "an end without a sequence " + at(begin));
            }
            explicit_.pop_back();
            continue;
        }
        if (head->length == kUndefined) {
            // Pixels of icons lie in sequences, and end as sequences do.
            if (head->tag == kPixels && !inside) return DicomElement{head->tag, {}, true};
            // What is of an unknown kind and has no length is encoded without kinds (CP-246).
            if (auto ok = enter(explicit_.back() && !head->unknown); !ok) return ok.error();
            continue;
        }
        const auto value = reader_.take_bytes(head->length);
        if (!reader_.ok()) {
            return fail(FaultCode::Truncated, "a value is longer than the file, " + at(begin));
        }
        if (inside || head->tag == kItem) continue;
        return DicomElement{head->tag, value, false};
    }
    return std::optional<DicomElement>();
}

}  // namespace starling::data
