#pragma once

// The weights in a card's memory, flat in the store's order, where plans read them and updates
// change them. All plans over one layout share one mirror. What an exchange adds lands in the
// store; refresh() brings it to the card before the next run, chunk by chunk, by the chunks'
// versions.
//
// Thread    compute

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compute/arena/parameter_store.hpp"
#include "compute/arena/weight_copies.hpp"
#include "compute/gpu/backend.hpp"

namespace starling::compute::gpu {

class WeightMirror final : public PlanCopies {
public:
    /// Errors    Oversized, Device
    [[nodiscard]] static Result<std::shared_ptr<WeightMirror>> make(
        Backend& backend, const ParameterLayout& layout
    );

    WeightMirror(Backend& backend, std::size_t chunks, std::unique_ptr<DeviceMemory> memory);

    [[nodiscard]] DeviceMemory& memory() { return *memory_; }

    /// Copies the chunks in that have changed since the mirror has seen them, each while it holds
    /// its lock.
    /// Errors    Device
    [[nodiscard]] Result<void> refresh(ParameterStore& store);

    /// Calls change() on the mirror's chunk while it holds the chunk's lock in the store, with what
    /// the store has, and hands the result back to the store.
    /// Errors    Device; the store's chunk is then as it was
    template <class Change>
    [[nodiscard]] Result<void> update(ParameterStore& store, std::size_t chunk, Change&& change) {
        Result<void> done;
        attend(store);
        const auto offset = store.layout().chunks()[chunk].offset * sizeof(float);
        store.update(chunk, [&](std::span<float> floats, std::uint64_t version) {
            if (seen_[chunk] != version - 1) {
                done = backend_.write(std::as_bytes(floats), *memory_, offset);
            }
            if (done) done = change();
            if (done) done = backend_.read(*memory_, offset, std::as_writable_bytes(floats));
            seen_[chunk] = done ? version : kNever;
        });
        return done;
    }

private:
    static constexpr std::uint64_t kNever = ~std::uint64_t{0};

    /// Forgets all versions when they are of another store.
    void attend(const ParameterStore& store);

    Backend& backend_;
    std::unique_ptr<DeviceMemory> memory_;
    const ParameterStore* store_ = nullptr;
    std::vector<std::uint64_t> seen_;  ///< by chunk
};

}  // namespace starling::compute::gpu
