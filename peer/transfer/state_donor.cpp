#include "peer/transfer/state_donor.hpp"

#include <utility>

#include "base/checked.hpp"
#include "base/planted_fault.hpp"
#include "peer/transfer/state_wire.hpp"

namespace starling::peer {

void StateDonor::handle_info_request(const PeerId& from, bool ready, std::uint64_t schedule_step) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.put_array(layout_.bytes);
    writer.put(schedule_step);
    writer.put(static_cast<std::uint8_t>(ready ? 1 : 0));
    writer.put(kGivesPieces);
    out_.push_back({from, FrameType::StateInfo, std::move(payload)});
}

void StateDonor::handle_request(const PeerId& from, ByteView payload, bool overloaded) {
    if (planted(PlantedFault::SilentDonor)) return;
    ByteReader reader(payload);
    const auto chunk = reader.take<std::uint32_t>();
    if (!reader.ok() || chunk >= parameters_.chunk_count()) return;
    if (reader.finished()) return give_whole(from, chunk, overloaded);
    const auto offset = reader.take<std::uint32_t>();
    const auto bytes = reader.take<std::uint32_t>();
    const std::size_t size = parameters_.chunk_bytes(chunk);
    const bool floats = offset % sizeof(float) == 0 && bytes % sizeof(float) == 0;
    if (!reader.finished() || bytes == 0 || !floats || !lies_within(offset, bytes, size)) return;
    chunk_.resize(size);
    const bool given = !overloaded && parameters_.try_read(chunk, chunk_);
    Bytes answer;
    answer.reserve(kChunkPieceHeadBytes + (given ? bytes : 0));
    ByteWriter writer(answer);
    writer.put(chunk);
    writer.put(given ? ChunkStatus::Piece : ChunkStatus::Busy);
    writer.put(offset);
    if (given) writer.put_bytes(ByteView(chunk_).subspan(offset, bytes));
    out_.push_back({from, FrameType::StateChunk, std::move(answer)});
}

void StateDonor::give_whole(const PeerId& to, std::uint32_t chunk, bool overloaded) {
    const std::size_t size = parameters_.chunk_bytes(chunk);
    Bytes answer;
    answer.reserve(kChunkHeadBytes + size);
    ByteWriter writer(answer);
    writer.put(chunk);
    writer.put(ChunkStatus::Here);
    answer.resize(kChunkHeadBytes + size);
    if (overloaded || !parameters_.try_read(chunk, std::span(answer).subspan(kChunkHeadBytes))) {
        answer.resize(kChunkHeadBytes);
        answer[4] = static_cast<std::byte>(ChunkStatus::Busy);
    }
    out_.push_back({to, FrameType::StateChunk, std::move(answer)});
}

}  // namespace starling::peer
