#include "compute/gpu/weight_mirror.hpp"

#include <algorithm>
#include <utility>

namespace starling::compute::gpu {

WeightMirror::WeightMirror(
    Backend& backend, std::size_t chunks, std::unique_ptr<DeviceMemory> memory
)
    : backend_(backend),
      memory_(std::move(memory)),
      seen_(chunks, kNever) {}

Result<std::shared_ptr<WeightMirror>> WeightMirror::make(
    Backend& backend, const ParameterLayout& layout
) {
    auto memory = backend.allocate(layout.elements());
    if (!memory) return memory.error();
    return std::make_shared<WeightMirror>(backend, layout.chunks().size(), std::move(*memory));
}

void WeightMirror::attend(const ParameterStore& store) {
    if (store_ == &store) return;
    STARLING_CHECK(store.layout().elements() == memory_->size());
    store_ = &store;
    std::fill(seen_.begin(), seen_.end(), kNever);
}

Result<void> WeightMirror::refresh(ParameterStore& store) {
    attend(store);
    for (std::size_t c = 0; c < seen_.size(); ++c) {
        if (store.version(c) == seen_[c]) continue;
        Result<void> done;
        const auto offset = store.layout().chunks()[c].offset * sizeof(float);
        store.visit(c, [&](std::span<const float> floats, std::uint64_t version) {
            done = backend_.write(std::as_bytes(floats), *memory_, offset);
            seen_[c] = done ? version : kNever;
        });
        if (!done) return done;
    }
    return {};
}

}  // namespace starling::compute::gpu
