#include "peer/streams/frame_reader.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::peer {

FrameReader::Room FrameReader::room() {
    const auto head = std::span(head_).subspan(head_have_);
    if (!header_) return {head, {}};
    return {payload_.subspan(have_), head};
}

void FrameReader::filled(std::size_t bytes) {
    const std::size_t taken = std::min(bytes, missing());
    have_ += taken;
    head_have_ += bytes - taken;
    STARLING_CHECK(head_have_ <= head_.size());
}

Result<std::optional<Frame>> FrameReader::next() {
    if (!header_) {
        if (head_have_ < head_.size()) return std::nullopt;
        const auto header = decode_frame_header(head_);
        if (header.has_error()) return header.error();
        if (!admitted_ && header->length > frame_limit(FrameType::Hello)) {
            return fail(FaultCode::BadFormat, "the greeting comes first, and once");
        }
        header_ = *header;
        payload_ = memory_.take(header->length);
        head_have_ = 0;
    }
    if (missing() > 0) return std::nullopt;
    const Frame frame{header_->type, payload_};
    header_.reset();
    have_ = 0;
    return frame;
}

}  // namespace starling::peer
