#pragma once

// What `starling data inspect` shows of a data set: one JSON object for programs, or lines and three
// samples for people.

#include <nlohmann/json.hpp>
#include <string>

#include "peer/terms/data_set.hpp"

namespace starling::peer {

/// Returns counts, shape, classes, preparation and notes.
[[nodiscard]] nlohmann::json data_facts(const LookedAt& data);

/// Returns the same for people, with three training samples: a picture in blocks, a row of a table,
/// 80 characters of a text. Text of the files is made printable.
[[nodiscard]] std::string data_page(const LookedAt& data);

}  // namespace starling::peer
