#include "peer/streams/frame_writer.hpp"

#include <algorithm>
#include <utility>

namespace starling::peer {

namespace {

constexpr std::size_t kFramesPerWrite = 16;

}  // namespace

void FrameWriter::put(FrameType type, Bytes payload) {
    const FrameHeader header{static_cast<std::uint32_t>(payload.size()), type, kFrameVersion};
    queued_ += payload.size() + kFrameHeaderSize;
    queue_.push_back({type, encode_frame_header(header), std::move(payload)});
}

const std::vector<ByteView>& FrameWriter::next(std::size_t most) {
    while (!queue_.empty() && batch_.size() < kFramesPerWrite) {
        batch_.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    if (paced()) most = std::min(most, StreamPace::kPacket);
    std::size_t skip = done_;
    views_.clear();
    for (const auto& frame : batch_) {
        for (const ByteView part : {ByteView(frame.header), ByteView(frame.payload)}) {
            const auto rest = part.subspan(std::min(skip, part.size()));
            const auto view = rest.first(std::min(most, rest.size()));
            if (!view.empty()) views_.push_back(view);
            most -= view.size();
            skip -= std::min(skip, part.size());
        }
    }
    return views_;
}

std::optional<FrameWriter::Outgoing> FrameWriter::poll_written() {
    if (batch_.empty()) return std::nullopt;
    const std::size_t size = batch_.front().payload.size() + kFrameHeaderSize;
    if (done_ < size) return std::nullopt;
    done_ -= size;
    queued_ -= size;
    Outgoing frame = std::move(batch_.front());
    batch_.pop_front();
    return frame;
}

std::optional<double> FrameWriter::heard(Instant now, const TcpFacts& facts) {
    const double before = pace_.limit();
    pace_.heard(now, facts);
    if (pace_.limit() == before) return std::nullopt;
    return pace_.limit();
}

}  // namespace starling::peer
