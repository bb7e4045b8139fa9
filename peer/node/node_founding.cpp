// The part of Node that reads a founder's data while it listens already.

#include <optional>
#include <utility>

#include "peer/node/node.hpp"
#include "peer/start/founding_reader.hpp"
#include "peer/terms/data_set.hpp"
#include "peer/transfer/descriptor_transfer.hpp"

namespace starling::peer {

namespace {

constexpr Duration kTellEvery = std::chrono::seconds(1);

}  // namespace

/// What needs no reading is checked before anybody hears of us.
Result<void> Node::check_founding() const {
    if (!founds(config_, local_.checkpoint)) return {};
    return check_data_set(config_.dataset);
}

/// Reads the data set of a new swarm. Meanwhile whoever wants to join is told how far that is, and tries
/// again by itself.
/// Errors    those of load_founding; Cancelled
Result<void> Node::read_founding() {
    if (!founds(config_, local_.checkpoint)) return {};
    links_.open_early(hello());
    FoundingReader reader(config_, [post = loop_.poster()] { post([] {}); });
    reading_ = reader.progress();
    reporter_.busy(reading_);
    std::optional<Timer> timer;
    timer.emplace(loop_, [&] {
        const auto line = reader.progress();
        if (line != std::exchange(reading_, line)) reporter_.busy(line);
        timer->arm_after(kTellEvery);
    });
    timer->arm_after(kTellEvery);
    std::optional<Result<Founding>> outcome;
    loop_.run_until([&] {
        outcome = reader.take();
        return outcome.has_value();
    });
    if (!outcome) return fault_ ? *fault_ : fail(FaultCode::Cancelled, "interrupted");
    if (outcome->has_error()) return outcome->error();
    founding_ = std::move(**outcome);
    for (const auto& note : founding_->notes) reporter_.note(note);
    return {};
}

void Node::on_descriptor_wanted(Connection& asker) {
    owner_.check();
    if (!blob_.empty()) return send_descriptor(asker, blob_);
    send_not_yet(asker, reading_);
}

}  // namespace starling::peer
