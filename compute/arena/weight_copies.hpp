#pragma once

// The copies of weights that a plan keeps in the store's own order, in f32 or bf16. Forward and
// backward pass read the copies and never the store, so an exchange that changes the store in the
// middle of a step cannot tear them. Because the order is the store's, the optimizer can write the
// copies of a chunk while it updates the chunk, which is then in the nearest cache. At the start of
// a step only those chunks remain to be copied that somebody else has changed; their versions show
// it.
//
// Thread    compute; write() and wrote() also any thread that holds the chunk's lock

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "compute/arena/parameter_store.hpp"

namespace starling::compute {

/// What a plan keeps of the weights, which only its own device knows.
class PlanCopies {
public:
    PlanCopies() = default;
    PlanCopies(const PlanCopies&) = delete;
    PlanCopies& operator=(const PlanCopies&) = delete;
    virtual ~PlanCopies() = default;
};

class WeightCopies final : public PlanCopies {
public:
    /// Requires  the layout outlives it
    explicit WeightCopies(const ParameterLayout& layout);

    /// Adds a copy of the parameter at `to`, rounded if `bf16`. Nothing is written yet.
    void add(const ParameterInfo& parameter, std::byte* to, bool bf16);

    /// Writes the store's floats from offset `at` on into all copies that hold them.
    /// Requires  the floats lie in one chunk
    void write(std::size_t at, std::span<const float> values);

    /// Notes that the copies hold all of the chunk as it is at `version`.
    void wrote(std::size_t chunk, std::uint64_t version) { seen_[chunk] = version; }

    /// Copies the chunks whose version is not that of their copies, each while it holds its lock.
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
