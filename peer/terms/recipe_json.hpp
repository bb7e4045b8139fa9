#pragma once

// What a manifest says about samples and labels, for programs: `starling data inspect --json` prints it,
// and an exported model carries it, so that another runtime can prepare samples as the swarm did.

#include <nlohmann/json_fwd.hpp>

#include "data/manifest.hpp"

namespace starling::peer {

/// Returns how a stored sample becomes what a model is fed: the recipe's constants and the shape. The
/// table of a byte-pair encoding is left out; its size is there.
/// Units    mean and deviation of bytes count in 1 / 255, of sounds of 16 bits in 1 / 32768
[[nodiscard]] nlohmann::json recipe_json(const data::Manifest& manifest);

/// Returns what a label is, with the names of the classes or numbers.
[[nodiscard]] nlohmann::json label_json(const data::Manifest& manifest);

}  // namespace starling::peer
