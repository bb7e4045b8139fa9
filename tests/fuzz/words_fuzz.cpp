// Goal: whatever a member says of a portion, it is a word or nothing, and whoever adds it up and compares it with its own
// findings ends with numbers. Method: the input is a frame, which a jury of each kind of labels takes beside a word of its
// own.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "peer/session/jury.hpp"

namespace {

using namespace starling;        // NOLINT(google-build-using-namespace) one file
using namespace starling::peer;  // NOLINT(google-build-using-namespace) one file

void judge(data::LabelKind kind, const PortionWord& word, ByteView bytes) {
    data::Manifest manifest;
    manifest.schema.label.kind = kind;
    manifest.schema.label.count = 2;
    for (std::uint8_t i = 0; i < 4; ++i) {
        data::ShardInfo info;
        info.id.bytes[0] = i;
        info.split = data::Split::Test;
        info.samples = 100;
        info.bytes = 100;
        manifest.shards.push_back(info);
    }
    const data::SplitShares shares(manifest, 0, 100);
    PeerId self;
    PeerId other;
    other.bytes[0] = 1;
    Outbox out;
    Jury jury(self, manifest, shares, Until{}, out);
    jury.follow(word.round);
    (void)jury.handle_frame(other, bytes);
    PortionWord own;
    own.portion = static_cast<std::uint16_t>(word.portion % shares.portions().size());
    own.result.samples = 100;
    own.result.correct = 50;
    own.result.loss_sum = 1.0;
    jury.handle_own(Instant{}, {own}, Duration{});
    Jury::Others others;
    others.all = {other};
    jury.update(Instant{}, others);
    jury.update(Instant{} + 2 * Jury::kGatherMin, others);
    STARLING_CHECK(jury.complete());
    const auto& found = jury.findings(data::Split::Test);
    STARLING_CHECK(std::isfinite(found.examined.result.loss()));
    STARLING_CHECK(found.examined.result.correct <= found.examined.result.samples);
    for (const auto& quality : found.examined.qualities) {
        STARLING_CHECK(std::isfinite(quality.value));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto word = decode_portion_word(bytes);
    if (word.has_error()) return 0;
    const auto again = encode_portion_word(*word);
    STARLING_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
    using enum data::LabelKind;
    for (const auto kind : {Class, Classes, Numbers}) judge(kind, *word, bytes);
    return 0;
}
