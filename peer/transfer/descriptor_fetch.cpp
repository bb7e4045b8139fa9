#include "peer/transfer/descriptor_fetch.hpp"

#include <utility>

#include "peer/terms/descriptor.hpp"

namespace starling::peer {

namespace {

/// How long one seed may take, from the dial to the last byte.
constexpr Duration kAttemptTimeout = 2 * DescriptorFetch::kStreamTimeout;
constexpr Duration kPause = std::chrono::milliseconds(300);

/// Trying again helps while a seed is still starting, but not when it has another version.
bool is_final(FaultCode code) {
    return code == FaultCode::BadVersion || code == FaultCode::Cancelled;
}

}  // namespace

DescriptorFetch::DescriptorFetch(
    Instant now,
    std::vector<Endpoint> seeds,
    const PeerId& self,
    Duration patience,
    data::HashFunction sha256
)
    : seeds_(std::move(seeds)),
      self_(self),
      until_(now + patience),
      sha256_(sha256),
      last_(fail(FaultCode::Unreachable, "no seed address was given")) {
    begin_round(now);
}

void DescriptorFetch::handle_greeted(Instant /*now*/, const PeerId& id, const SwarmId& swarm) {
    if (stage_ != Stage::Dialling) return;
    if (id == self_) {
        give_up_seed(fail(FaultCode::Refused, seed().to_string() + " is this very peer"));
        return;
    }
    stage_ = Stage::Asking;
    swarm_ = swarm;
    blob_.clear();
    commands_.push_back({Command::Kind::Ask, seed()});
}

void DescriptorFetch::handle_piece(Instant /*now*/, ByteView payload) {
    if (stage_ != Stage::Asking) return;
    ByteReader reader(payload);
    const auto total = reader.take<std::uint32_t>();
    const auto offset = reader.take<std::uint32_t>();
    const auto data = reader.take_bytes(reader.remaining());
    const bool fits = reader.ok() && total <= kDescriptorMax && offset == blob_.size() &&
                      !data.empty() && data.size() <= total - offset;
    if (!fits) {
        give_up_seed(fail(FaultCode::BadFormat, seed().to_string() + " sent a broken descriptor"));
        return;
    }
    blob_.insert(blob_.end(), data.begin(), data.end());
    if (blob_.size() < total) return;
    if (SwarmId{sha256_(blob_)} != swarm_) {
        give_up_seed(fail(
            FaultCode::Corrupt,
            seed().to_string() + " sent a descriptor of another swarm than its own"
        ));
        return;
    }
    commands_.push_back({Command::Kind::Close, seed()});
    end(FetchedDescriptor{std::move(blob_), swarm_, seed()});
}

void DescriptorFetch::handle_closed(Instant now, const Fault& why) {
    if (stage_ == Stage::Pausing || stage_ == Stage::Over) return;
    // A seed that was given up keeps the reason for which it was.
    if (stage_ != Stage::Closing) last_ = why;
    next_seed(now);
}

void DescriptorFetch::handle_timeout(Instant now) {
    if (!deadline_ || now < *deadline_) return;
    if (stage_ != Stage::Pausing) {
        give_up_seed(fail(FaultCode::Timeout, "no descriptor from " + seed().to_string()));
    } else if (now < until_) {
        first_round_ = false;
        begin_round(now);
    } else {
        end(fail(
            last_.code, last_.message + "; is the seed's address right, and does a peer run there?"
        ));
    }
}

std::optional<DescriptorFetch::Command> DescriptorFetch::poll_command() {
    if (commands_.empty()) return std::nullopt;
    const Command command = commands_.front();
    commands_.pop_front();
    return command;
}

std::optional<std::string> DescriptorFetch::poll_note() {
    if (notes_.empty()) return std::nullopt;
    std::string note = std::move(notes_.front());
    notes_.pop_front();
    return note;
}

void DescriptorFetch::begin_round(Instant now) {
    at_ = 0;
    dial(now);
}

/// Dials the next seed of the round, or pauses after the last one.
void DescriptorFetch::dial(Instant now) {
    if (at_ == seeds_.size()) {
        stage_ = Stage::Pausing;
        deadline_ = now + kPause;
        return;
    }
    stage_ = Stage::Dialling;
    deadline_ = now + kAttemptTimeout;
    commands_.push_back({Command::Kind::Dial, seed()});
}

/// The next seed has its turn when the stream to this one has ended.
void DescriptorFetch::give_up_seed(const Fault& why) {
    last_ = why;
    stage_ = Stage::Closing;
    deadline_.reset();
    commands_.push_back({Command::Kind::Close, seed()});
}

void DescriptorFetch::next_seed(Instant now) {
    if (is_final(last_.code)) {
        end(last_);
        return;
    }
    if (first_round_) notes_.push_back(last_.message + "; trying again");
    ++at_;
    dial(now);
}

void DescriptorFetch::end(Result<FetchedDescriptor> outcome) {
    stage_ = Stage::Over;
    deadline_.reset();
    outcome_ = std::move(outcome);
}

}  // namespace starling::peer
