#pragma once

// The target of a swarm, in the form of --until and of the descriptor.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "compute/metrics/quality.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

/// When training is over. The numbers stand in descriptors.
enum class UntilKind : std::uint8_t {
    Forever = 0,
    Samples = 1,
    Steps = 2,
    Epochs = 3,
    Accuracy = 4,
    Loss = 5,
    Auc = 6,
    Ap = 7,
    F1 = 8,
    Map50 = 9,
    Map = 10,
    Bpb = 11,
    Balanced = 12,
    Mae = 13,
};

inline constexpr UntilKind kUntilKindLast = UntilKind::Mae;

struct Until {
    UntilKind kind = UntilKind::Forever;
    double value = 0.0;

    /// Parses `samples=N|steps=N|epochs=N`, or a quality as `accuracy=X` or `auc=X` (compute/metrics/quality.hpp), or
    /// nothing for Forever.
    /// Errors    Usage, which lists what is allowed
    [[nodiscard]] static Result<Until> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

    /// Returns which quality of the model is to be reached; nothing where work is counted.
    [[nodiscard]] std::optional<compute::QualityKind> quality() const;
};

/// Returns the target as the peer with this manifest pursues it. Nobody knows how many private samples all peers
/// have together, so there epochs are counted by each peer over its own samples, as steps of `batch`.
[[nodiscard]] Until own_until(
    const Until& until, const data::Manifest& manifest, std::uint32_t batch
);

}  // namespace starling::peer
