#include "compute/arena/parameter_store.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.hpp"
#include "compute/values/shape.hpp"

namespace starling::compute {

namespace {

void draw(std::span<float> tensor, const ParameterInfo& info, Rng rng) {
    switch (info.init) {
        case Init::Zero:
            std::fill(tensor.begin(), tensor.end(), 0.0F);
            return;
        case Init::One:
            std::fill(tensor.begin(), tensor.end(), 1.0F);
            return;
        case Init::Normal:
            for (auto& value : tensor) value = static_cast<float>(rng.normal() * info.deviation);
            return;
        case Init::Given:
            STARLING_CHECK(info.given != nullptr && info.given->size() == tensor.size());
            std::copy(info.given->begin(), info.given->end(), tensor.begin());
            return;
        case Init::UniformFanIn:
            break;
    }
    const double bound = 1.0 / std::sqrt(static_cast<double>(info.fan_in));
    for (auto& value : tensor) value = static_cast<float>((2.0 * rng.uniform() - 1.0) * bound);
}

}  // namespace

ParameterLayout::ParameterLayout(std::vector<ParameterInfo> parameters)
    : parameters_(std::move(parameters)) {
    std::stable_partition(parameters_.begin(), parameters_.end(), [](const ParameterInfo& info) {
        return !info.buffer;
    });
    std::size_t weights = 0;
    for (auto& info : parameters_) {
        info.elements = static_cast<std::size_t>(element_count(info.shape));
        STARLING_CHECK(info.elements > 0);
        info.offset = elements_;
        elements_ += info.elements;
        if (!info.buffer) weights = elements_;
    }
    const auto cut = [&](std::size_t begin, std::size_t end, bool buffer) {
        for (; begin < end; begin += kChunkElements) {
            chunks_.push_back({begin, std::min(kChunkElements, end - begin), buffer});
        }
    };
    cut(0, weights, false);
    cut(weights, elements_, true);
}

Bytes ParameterLayout::canonical_bytes() const {
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.put(static_cast<std::uint64_t>(kChunkElements));
    writer.put(static_cast<std::uint64_t>(parameters_.size()));
    for (const auto& info : parameters_) {
        writer.put_text(info.name);
        writer.put(static_cast<std::uint8_t>(info.buffer));
        writer.put(static_cast<std::uint64_t>(info.shape.size()));
        for (const auto dimension : info.shape) writer.put(dimension);
    }
    return bytes;
}

ParameterStore::ParameterStore(ParameterLayout layout, std::unique_ptr<ParameterHome> home)
    : layout_(std::move(layout)),
      home_(home ? std::move(home) : std::make_unique<HostHome>(layout_.elements())),
      host_(home_->host()),
      locks_(std::make_unique<std::mutex[]>(layout_.chunks().size())),
      versions_(std::make_unique<std::atomic<std::uint64_t>[]>(layout_.chunks().size())) {
    STARLING_CHECK(home_->size() == layout_.elements());
}

void ParameterStore::initialize(Rng rng) {
    // All values are drawn first and then copied in, so no two chunk locks are held together.
    std::vector<float> drawn(layout_.elements());
    for (std::size_t i = 0; i < layout_.parameters().size(); ++i) {
        const auto& info = layout_.parameters()[i];
        draw(std::span(drawn).subspan(info.offset, info.elements), info, rng.fork(i));
    }
    for (std::size_t c = 0; c < layout_.chunks().size(); ++c) {
        const auto& chunk = layout_.chunks()[c];
        write(c, std::span(drawn).subspan(chunk.offset, chunk.elements));
    }
}

bool ParameterStore::try_read(std::size_t chunk, std::span<std::byte> out) {
    const std::unique_lock lock(locks_[chunk], std::try_to_lock);
    if (!lock.owns_lock()) return false;
    const auto& place = layout_.chunks()[chunk];
    STARLING_CHECK(out.size() == place.elements * sizeof(float));
    home_->read(place.offset, out);
    return true;
}

bool ParameterStore::try_add(std::size_t chunk, ByteView delta) {
    const std::unique_lock lock(locks_[chunk], std::try_to_lock);
    if (!lock.owns_lock()) return false;
    const auto& place = layout_.chunks()[chunk];
    if (place.buffer && buffers_held_.load(std::memory_order_relaxed)) return true;
    STARLING_CHECK(delta.size() == place.elements * sizeof(float));
    home_->add(place.offset, delta);
    for (const auto& info : layout_.parameters()) {
        if (!place.buffer || !info.variance) continue;
        const auto begin = std::max(info.offset, place.offset);
        const auto end = std::min(info.offset + info.elements, place.offset + place.elements);
        if (begin < end) home_->clamp(begin, end - begin);
    }
    versions_[chunk].fetch_add(1, std::memory_order_relaxed);
    return true;
}

void ParameterStore::read(std::size_t chunk, std::span<float> out) {
    const std::scoped_lock lock(locks_[chunk]);
    const auto& place = layout_.chunks()[chunk];
    STARLING_CHECK(out.size() == place.elements);
    home_->read(place.offset, std::as_writable_bytes(out));
}

void ParameterStore::write(std::size_t chunk, std::span<const float> values) {
    const std::scoped_lock lock(locks_[chunk]);
    const auto& place = layout_.chunks()[chunk];
    STARLING_CHECK(values.size() == place.elements);
    home_->write(place.offset, std::as_bytes(values));
    versions_[chunk].fetch_add(1, std::memory_order_relaxed);
}

void ParameterStore::read_all(std::span<float> out) {
    STARLING_CHECK(out.size() == layout_.elements());
    for (std::size_t c = 0; c < layout_.chunks().size(); ++c) {
        read(c, out.subspan(layout_.chunks()[c].offset, layout_.chunks()[c].elements));
    }
}

void ParameterStore::write_all(std::span<const float> values) {
    STARLING_CHECK(values.size() == layout_.elements());
    for (std::size_t c = 0; c < layout_.chunks().size(); ++c) {
        write(c, values.subspan(layout_.chunks()[c].offset, layout_.chunks()[c].elements));
    }
}

bool ParameterStore::finite() {
    for (std::size_t c = 0; c < layout_.chunks().size(); ++c) {
        const std::scoped_lock lock(locks_[c]);
        const auto& place = layout_.chunks()[c];
        if (!home_->finite(place.offset, place.elements)) return false;
    }
    return true;
}

std::uint64_t ParameterStore::version_of(const ParameterInfo& parameter) const {
    // Versions only rise, so their sum changes whenever one of them does.
    std::uint64_t sum = 0;
    const auto last = chunk_of(parameter.offset + parameter.elements - 1);
    for (auto c = chunk_of(parameter.offset); c <= last; ++c) sum += version(c);
    return sum;
}

std::size_t ParameterStore::chunk_of(std::size_t offset) const {
    STARLING_CHECK(offset < layout_.elements());
    const auto& chunks = layout_.chunks();
    const auto after = std::upper_bound(
        chunks.begin(),
        chunks.end(),
        offset,
        [](std::size_t value, const ChunkInfo& chunk) { return value < chunk.offset; }
    );
    return static_cast<std::size_t>(after - chunks.begin()) - 1;
}

}  // namespace starling::compute
