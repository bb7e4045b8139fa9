#pragma once

// The copies of weights that a plan keeps in the store's own order, in f32 or bf16. Forward and
// backward pass read these and never the store, so that a mix which lands mid-step cannot tear
// them. Because the order is the store's, whoever changes a chunk can write its copies on the way,
// while the chunk is in the nearest cache; what remains for the start of a step is the chunks that
// somebody else has changed since, which their versions tell.
//
// Thread    compute; write() and wrote() any that holds the chunk's lock

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "compute/arena/parameter_store.hpp"

namespace starling::compute {

class WeightCopies {
public:
    /// Requires  the layout outlives it
    explicit WeightCopies(const ParameterLayout& layout);

    /// Adds a copy of the parameter at `to`, rounded if `bf16`. Nothing is written yet.
    void add(const ParameterInfo& parameter, std::byte* to, bool bf16);

    /// Copies the store's floats from `at` on to wherever they belong.
    /// Requires  they lie in one chunk
    void write(std::size_t at, std::span<const float> values);

    /// Says that all of the chunk has been written as it is at `version`.
    void wrote(std::size_t chunk, std::uint64_t version) { seen_[chunk] = version; }

    /// Writes the chunks that have another version than the copies, each under its lock.
    void refresh(ParameterStore& store, int threads);

private:
    static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

    /// One copy of one parameter.
    struct Piece {
        std::size_t begin = 0;  ///< in the store, in floats
        std::size_t end = 0;
        std::byte* to = nullptr;
        bool bf16 = false;
    };

    [[nodiscard]] bool stale(const ParameterStore& store, std::size_t chunk) const {
        return copied_[chunk] && store.version(chunk) != seen_[chunk];
    }

    const ParameterLayout& layout_;
    std::vector<Piece> pieces_;        ///< ascending
    std::vector<std::uint64_t> seen_;  ///< by chunk, the version that the copies have
    std::vector<bool> copied_;         ///< by chunk, whether any of it has a copy
};

}  // namespace starling::compute
