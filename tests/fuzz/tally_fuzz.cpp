// Goal: no bytes harm the reader of tallies, and each tally has one form.
// Method: libFuzzer mutates small tallies of each kind. What is read is written again, which must
// give the same bytes; it answers for each quality, and merges with itself.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "compute/metrics/tally.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::compute;  // NOLINT(google-build-using-namespace) one function
    const auto bytes = std::as_bytes(std::span(data, size));
    auto tally = decode_tally(bytes);
    if (tally.has_error()) return 0;
    const auto again = encode(*tally);
    STARLING_CHECK(again.size() == size && std::equal(again.begin(), again.end(), bytes.begin()));
    for (int i = 0; i <= static_cast<int>(QualityKind::Mae); ++i) {
        const auto kind = static_cast<QualityKind>(i);
        const auto value = quality(*tally, kind);
        if (!value) continue;
        STARLING_CHECK(*value >= 0.0 && (!higher_is_better(kind) || *value <= 1.0 + 1e-9));
    }
    const auto before = count(*tally);
    const auto copy = *tally;
    if (merge(*tally, copy).has_value()) {
        STARLING_CHECK(count(*tally) == 2 * before);
        STARLING_CHECK(decode_tally(encode(*tally)).has_value());
    }
    return 0;
}
