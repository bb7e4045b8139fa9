#pragma once

// A look at the headers of an Ogg file before libsndfile sees it. libsndfile 1.2 loses some 6 kB for
// good with each Vorbis file whose headers it refuses; a folder of damaged files, read once an epoch,
// would eat the machine. What is cut short or has a wrong checksum in its headers ends here.

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

/// Checks that the header packets of one Vorbis or Opus stream stand at the beginning, whole.
///
/// Errors    Truncated, Corrupt (checksum), BadFormat (no Ogg pages, several streams at once, packets
///           out of order), Unsupported (neither Vorbis nor Opus)
/// Thread    any (pure)
/// Source    RFC 3533 section 6 (pages); Vorbis I section 4.2.1; RFC 7845 section 5
[[nodiscard]] Result<void> check_ogg_headers(ByteView bytes);

}  // namespace starling::data
