#pragma once

// The target of a swarm, in the form of --until and of the descriptor.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling::peer {

/// When training is over.
enum class UntilKind : std::uint8_t { Forever = 0, Samples, Steps, Epochs, Accuracy, Loss };

struct Until {
    UntilKind kind = UntilKind::Forever;
    double value = 0.0;

    /// Parses `samples=N|steps=N|epochs=N|accuracy=X|loss=X`, or nothing for Forever.
    /// Errors    Usage, which lists what is allowed
    [[nodiscard]] static Result<Until> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
};

}  // namespace starling::peer
