#include "peer/transfer/descriptor_fetch.hpp"

#include <algorithm>
#include <utility>

#include "base/printable.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

namespace {

/// How long one seed may take, from the dial to the last byte.
constexpr Duration kAttemptTimeout = 2 * DescriptorFetch::kStreamTimeout;
constexpr Duration kPause = std::chrono::milliseconds(300);
/// How often people read that a founder is not ready.
constexpr Duration kTellEvery = std::chrono::seconds(5);

}  // namespace

DescriptorFetch::DescriptorFetch(
    Instant now,
    const std::vector<Endpoint>& seeds,
    const PeerId& self,
    Duration patience,
    data::HashFunction sha256,
    std::size_t names
)
    : self_(self),
      patience_(patience),
      until_(now + patience),
      longest_(now + std::max(patience, kLongPatience)),
      pause_(kPause),
      sha256_(sha256),
      names_(names),
      last_(
          names == 0 ? fail(FaultCode::Unreachable, "no seed address was given")
                     : fail(FaultCode::Unreachable, "no name server says where the seeds are")
      ),
      blob_(kDescriptorMax) {
    for (const auto& at : seeds) add(at);
    go_on(now);
}

void DescriptorFetch::handle_name(Instant now, const Result<std::vector<Endpoint>>& found) {
    if (outcome_) return;
    --names_;
    if (found.has_error()) {
        last_ = found.error();
        if (names_ > 0 || !seeds_.empty()) notes_.push_back(last_.message);
    } else {
        for (const auto& at : *found) add(at);
    }
    go_on(now);
}

void DescriptorFetch::handle_greeted(
    Instant now, const Endpoint& at, const PeerId& id, const SwarmId& swarm
) {
    auto* seed = find(at);
    if (outcome_ || seed == nullptr || seed->stage != Stage::Dialling) return;
    if (id == self_) {
        give_up(*seed, fail(FaultCode::Refused, at.to_string() + " is this very peer"));
        return;
    }
    seed->stage = Stage::Greeted;
    seed->swarm = swarm;
    go_on(now);
}

void DescriptorFetch::handle_piece(Instant /*now*/, const Endpoint& from, ByteView payload) {
    auto* seed = find(from);
    if (outcome_ || seed == nullptr || seed->stage != Stage::Asking) return;
    ByteReader reader(payload);
    const auto total = reader.take<std::uint32_t>();
    const auto offset = reader.take<std::uint32_t>();
    const auto data = reader.take_bytes(reader.remaining());
    if (!reader.ok() || !blob_.take(total, offset, data)) {
        give_up(*seed, fail(FaultCode::BadFormat, from.to_string() + " sent a broken descriptor"));
        return;
    }
    if (!blob_.complete()) return;
    if (SwarmId{sha256_(blob_.bytes())} != seed->swarm) {
        give_up(
            *seed,
            fail(
                FaultCode::Corrupt,
                from.to_string() + " sent a descriptor of another swarm than its own"
            )
        );
        return;
    }
    end(FetchedDescriptor{blob_.release(), seed->swarm, from, seed->small});
}

void DescriptorFetch::handle_not_yet(
    Instant now, const Endpoint& from, const std::string& progress
) {
    auto* seed = find(from);
    if (outcome_ || seed == nullptr || seed->stage != Stage::Asking) return;
    until_ = std::max(until_, now + patience_);
    longest_ = std::max(longest_, now + kLongPatience);
    last_ = fail(
        FaultCode::Unreachable, from.to_string() + " is founding its swarm: " + in_quotes(progress)
    );
    if (!told_not_yet_ || now - *told_not_yet_ >= kTellEvery) {
        told_not_yet_ = now;
        notes_.push_back(last_.message);
    }
    // It is dialled again in the next round.
    seed->stage = Stage::Closing;
    seed->deadline.reset();
    commands_.push_back({Command::Kind::Close, seed->at});
    go_on(now);
}

void DescriptorFetch::handle_closed(Instant now, const Endpoint& at, const Fault& why) {
    auto* seed = find(at);
    if (outcome_ || seed == nullptr) return;
    if (seed->stage == Stage::Due || seed->stage >= Stage::Failed) return;
    const bool hopeless = why.code == FaultCode::BadVersion || why.code == FaultCode::Refused;
    // A seed that was given up keeps the reason for which it was.
    if (seed->stage != Stage::Closing) failed(*seed, why, !hopeless);
    seed->stage = hopeless ? Stage::Hopeless : Stage::Failed;
    seed->deadline.reset();
    go_on(now);
}

void DescriptorFetch::handle_timeout(Instant now) {
    if (outcome_) return;
    for (auto& seed : seeds_) {
        // One that has greeted waits without a deadline until it is asked.
        if (seed.stage == Stage::Greeted || !seed.deadline || now < *seed.deadline) continue;
        seed.small = seed.stage == Stage::Asking && blob_.bytes().empty();
        give_up(seed, fail(FaultCode::Timeout, "no descriptor from " + seed.at.to_string()));
    }
    go_on(now);
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

std::optional<Instant> DescriptorFetch::poll_timeout() const {
    if (outcome_) return std::nullopt;
    std::optional<Instant> next = pause_until_;
    for (const auto& seed : seeds_) {
        if (seed.stage == Stage::Greeted || !seed.deadline) continue;
        next = std::min(next.value_or(*seed.deadline), *seed.deadline);
    }
    // While only names are looked up, the patience is the bound.
    if (!next && open() == 0) next = until_;
    return next;
}

DescriptorFetch::Seed* DescriptorFetch::find(const Endpoint& at) {
    const auto found =
        std::find_if(seeds_.begin(), seeds_.end(), [&](const Seed& seed) { return seed.at == at; });
    return found == seeds_.end() ? nullptr : &*found;
}

void DescriptorFetch::add(const Endpoint& at) {
    if (find(at) == nullptr && seeds_.size() < kSeedsMax) seeds_.push_back({at});
}

std::size_t DescriptorFetch::open() const {
    return static_cast<std::size_t>(std::count_if(
        seeds_.begin(),
        seeds_.end(),
        [](const Seed& seed) { return seed.stage > Stage::Due && seed.stage < Stage::Failed; }
    ));
}

bool DescriptorFetch::any(Stage stage) const {
    return std::any_of(seeds_.begin(), seeds_.end(), [stage](const Seed& seed) {
        return seed.stage == stage;
    });
}

/// Does what is due: a new round, an end, a question, dials.
void DescriptorFetch::go_on(Instant now) {
    if (outcome_) return;
    const bool over = this->over(now);
    if (pause_until_ && now >= *pause_until_) {
        pause_until_.reset();
        for (auto& seed : seeds_) {
            if (!over && seed.stage == Stage::Failed) seed.stage = Stage::Due;
        }
    }
    if (!any(Stage::Asking)) ask(now);
    dial(now);
    if (open() > 0 || pause_until_) return;
    const bool hope = names_ > 0 || any(Stage::Failed);
    if (!hope || (over && seeds_.empty())) {
        end(last_);
    } else if (over) {
        end(fail(
            last_.code, last_.message + "; is the seed's address right, and does a peer run there?"
        ));
    } else if (any(Stage::Failed)) {
        pause(now);
    }
}

/// Where nobody listens, or somebody else, the address is wrong, and people hear that soon. A seed that gives no
/// answer may be behind a link that is cut just now.
bool DescriptorFetch::over(Instant now) const {
    if (now < until_) return false;
    const bool cut = std::any_of(seeds_.begin(), seeds_.end(), [](const Seed& seed) {
        return seed.cut_off && seed.stage != Stage::Hopeless;
    });
    return !cut || now >= longest_;
}

void DescriptorFetch::pause(Instant now) {
    const bool told = std::exchange(told_, false);
    pause_until_ = now + pause_;
    if (now < until_) return;
    pause_ = std::min(2 * pause_, kPauseMax);
    pause_until_ = now + pause_;
    if (told) return;
    const auto whole = [](Duration duration) {
        return std::to_string(std::chrono::ceil<std::chrono::seconds>(duration).count()) + " s";
    };
    notes_.push_back(
        last_.message + "; trying again in " + whole(pause_) + ", for " + whole(longest_ - now) +
        " more"
    );
}

void DescriptorFetch::ask(Instant now) {
    for (auto& seed : seeds_) {
        if (seed.stage != Stage::Greeted) continue;
        seed.stage = Stage::Asking;
        seed.deadline = std::max(seed.deadline.value_or(now), now + kStreamTimeout);
        blob_.clear();
        commands_.push_back({Command::Kind::Ask, seed.at});
        return;
    }
}

void DescriptorFetch::dial(Instant now) {
    auto room = kAtOnce - open();
    for (auto& seed : seeds_) {
        if (room == 0) return;
        if (seed.stage != Stage::Due) continue;
        --room;
        seed.stage = Stage::Dialling;
        seed.deadline = now + kAttemptTimeout;
        commands_.push_back({Command::Kind::Dial, seed.at, seed.small});
    }
}

/// The seed is dialled again when the stream to it has ended.
void DescriptorFetch::give_up(Seed& seed, const Fault& why) {
    if (seed.stage == Stage::Asking) blob_.clear();
    failed(seed, why, true);
    seed.stage = Stage::Closing;
    seed.deadline.reset();
    commands_.push_back({Command::Kind::Close, seed.at});
}

void DescriptorFetch::failed(Seed& seed, const Fault& why, bool again) {
    last_ = why;
    const bool greeted = seed.stage == Stage::Greeted || seed.stage == Stage::Asking;
    seed.cut_off = why.code == FaultCode::Timeout || (why.code == FaultCode::Closed && greeted);
    if (!std::exchange(seed.failed_before, true) && again) {
        told_ = true;
        notes_.push_back(why.message + "; trying again");
    }
}

void DescriptorFetch::end(Result<FetchedDescriptor> outcome) {
    outcome_ = std::move(outcome);
    for (const auto& seed : seeds_) {
        const bool connected = seed.stage > Stage::Due && seed.stage < Stage::Closing;
        if (connected) commands_.push_back({Command::Kind::Close, seed.at});
    }
}

}  // namespace starling::peer
