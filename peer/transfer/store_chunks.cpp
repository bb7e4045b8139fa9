#include "peer/transfer/store_chunks.hpp"

#include <cstring>
#include <vector>

#include "base/finite.hpp"
#include "base/rng.hpp"

namespace starling::peer {

namespace {

constexpr std::uint64_t kInitPurpose = 1;

}  // namespace

std::size_t StoreChunks::chunk_count() const {
    return store_.layout().chunks().size();
}

std::size_t StoreChunks::chunk_bytes(std::size_t chunk) const {
    return store_.layout().chunks()[chunk].elements * sizeof(float);
}

bool StoreChunks::try_read(std::size_t chunk, std::span<std::byte> out) {
    return store_.try_read(chunk, out);
}

bool StoreChunks::write(std::size_t chunk, ByteView bytes) {
    std::vector<float> values(store_.layout().chunks()[chunk].elements);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    if (!all_finite(values)) return false;
    store_.write(chunk, values);
    return true;
}

void StoreChunks::initialize() {
    store_.initialize(Rng(seed_).fork(kInitPurpose));
}

}  // namespace starling::peer
