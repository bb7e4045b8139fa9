// Goal: whatever a member says its batch norms have seen, it is moments or nothing, and joining it leaves numbers that a net
// can use. Method: the input is a frame, which two draws take among sound parts.

#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "peer/session/norm_draw.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling;        // NOLINT(google-build-using-namespace) one function
    using namespace starling::peer;  // NOLINT(google-build-using-namespace) one function
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto part = decode_norm_part(bytes);
    if (part.has_error()) return 0;
    const auto again = decode_norm_part(encode_norm_part(*part));
    STARLING_CHECK(again.has_value() && again->moments == part->moments);
    PeerId self;
    PeerId other;
    other.bytes[0] = 1;
    const std::array others{other};
    Outbox out;
    NormDraw draw(self, part->moments.means.size(), 16, out);
    draw.begin(part->round, others);
    compute::NormMoments own{1.0, part->moments.variances, part->moments.variances};
    draw.handle_drawn(Instant{}, own);
    const bool taken = draw.handle_frame(other, bytes);
    STARLING_CHECK(taken == draw.wanted());
    draw.update(Instant{}, others);
    if (draw.merged() == nullptr) return 0;
    for (const double variance : draw.merged()->variances) {
        STARLING_CHECK(std::isfinite(variance) && variance >= 0.0);
    }
    return 0;
}
