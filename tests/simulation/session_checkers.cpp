#include "tests/simulation/session_checkers.hpp"

#include <algorithm>
#include <string>

namespace starling::simulation {

namespace {

using peer::FrameType;
using peer_virtual::SessionNews;
using peer_virtual::TransferFrame;

/// An answer may take so long before somebody is asked anew: the shortest of the deadlines.
constexpr Duration kPatience = peer::DonorPace::kPatienceMin;
/// A tick of the session and the time to look, with a clock that is off by a hundredth.
constexpr Duration kTick = std::chrono::milliseconds(150);

/// Returns what a frame asks for or answers, in the bytes of the question.
std::optional<std::pair<FrameType, Bytes>> item_of(const TransferFrame& frame) {
    const auto first = [&](std::size_t bytes) {
        return Bytes(
            frame.payload.begin(), frame.payload.begin() + static_cast<std::ptrdiff_t>(bytes)
        );
    };
    ByteReader reader(frame.payload);
    switch (frame.type) {
        case FrameType::StateRequest:
            // Only copies that are compared are asked for by offset here: the chunks are small.
            if (frame.payload.size() != 4) return std::nullopt;
            return std::pair(FrameType::StateRequest, first(4));
        case FrameType::StateChunk:
            // One that is busy gives nothing, and a part belongs to a comparison.
            (void)reader.take<std::uint32_t>();
            if (reader.take<std::uint8_t>() != 0) return std::nullopt;
            return std::pair(FrameType::StateRequest, first(4));
        case FrameType::ShardRequest:
            return std::pair(FrameType::ShardRequest, first(36));
        case FrameType::ShardPiece:
            (void)reader.take_bytes(36);
            if (reader.take<std::uint32_t>() == 0) return std::nullopt;
            return std::pair(FrameType::ShardRequest, first(36));
        default:
            return std::nullopt;
    }
}

bool is_question(FrameType type) {
    return type == FrameType::StateRequest || type == FrameType::ShardRequest;
}

}  // namespace

SessionCheckers::SessionCheckers(Swarm& swarm, Checkers& checkers)
    : swarm_(swarm),
      checkers_(checkers),
      lives_(swarm.size()),
      begun_(swarm.size()),
      whole_(swarm.size()) {
    swarm.observe(*this);
}

bool SessionCheckers::trains(NodeIndex node) const {
    if (swarm_.state(node) != NodeState::Running) return false;
    const auto* session = swarm_.session(node);
    if (session == nullptr) return false;
    return session->session().has_parameters();
}

bool SessionCheckers::reachable_donor(NodeIndex node) const {
    for (NodeIndex other = 0; other < swarm_.size(); ++other) {
        if (other == node || !trains(other)) continue;
        auto& network = swarm_.network();
        if (network.connected(node, other) && network.connected(other, node)) return true;
    }
    return false;
}

void SessionCheckers::look() {
    for (NodeIndex node = 0; node < swarm_.size(); ++node) {
        look_at_join(node);
        look_at_partners(node);
    }
    look_at_duties();
}

void SessionCheckers::look_at_join(NodeIndex node) {
    auto& since = lives_[node].joining_since;
    const bool runs = swarm_.state(node) == NodeState::Running;
    const auto* session = runs ? swarm_.session(node) : nullptr;
    const bool joins = session != nullptr && session->session().state() == peer::PeerState::Joining;
    if (!joins || !reachable_donor(node)) {
        since.reset();
        return;
    }
    if (!since) since = swarm_.now();
    if (swarm_.now() - *since > kJoinMax) {
        checkers_.report("P1", node, "has reached donors for long and does not train");
    }
}

void SessionCheckers::look_at_partners(NodeIndex node) {
    if (!trains(node)) return;
    const auto& partners = swarm_.session(node)->session().roster().partners();
    for (const auto& [peer, since] : lives_[node].gone) {
        if (swarm_.now() - since < kTick) continue;
        if (std::binary_search(partners.begin(), partners.end(), swarm_.id(peer))) {
            checkers_.report(
                "P4", node, "still counts node " + std::to_string(peer) + " as an owner"
            );
        }
    }
}

/// Peers that all see the same owners must share out all shards.
void SessionCheckers::look_at_duties() {
    std::optional<std::vector<peer::TrainingPeer>> view;
    std::map<ShardId, NodeIndex> owners;
    std::size_t members = 0;
    for (NodeIndex node = 0; node < swarm_.size(); ++node) {
        if (!trains(node)) continue;
        const auto& session = swarm_.session(node)->session();
        auto peers = session.roster().counted();
        std::sort(peers.begin(), peers.end(), [](const auto& a, const auto& b) {
            return a.id < b.id;
        });
        if (view && *view != peers) return;
        view = std::move(peers);
        ++members;
        for (const auto& shard : session.roster().duties().train) {
            const auto [at, first] = owners.emplace(shard, node);
            if (first) continue;
            checkers_.report("P4", node, "owns a shard of node " + std::to_string(at->second));
        }
    }
    if (!view || view->size() != members) return;
    std::size_t shards = 0;
    for (const auto& shard : swarm_.terms().descriptor.manifest.shards) {
        shards += shard.split == data::Split::Train ? 1U : 0U;
    }
    if (owners.size() != shards) {
        checkers_.report("P4", 0, std::to_string(shards - owners.size()) + " shards have no owner");
    }
}

void SessionCheckers::on_member_event(
    Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about
) {
    using membership::EventKind;
    auto& gone = lives_[at].gone;
    if (kind == EventKind::Up || kind == EventKind::Refuted) gone.erase(about);
    if (kind == EventKind::Failed || kind == EventKind::Left) gone.emplace(about, now);
}

void SessionCheckers::on_node_state(Instant now, NodeIndex at, NodeState state) {
    auto& life = lives_[at];
    if (state == NodeState::Absent) life = {};
    life.joining_since.reset();
    // While it is paused it can learn nothing.
    if (state == NodeState::Running) {
        for (auto& [peer, since] : life.gone) since = now;
    }
}

void SessionCheckers::on_session(
    Instant now, NodeIndex at, SessionNews news, const Fault* /*why*/
) {
    auto& life = lives_[at];
    switch (news) {
        case SessionNews::Begun:
            life.since = now;
            check_resume(at);
            break;
        case SessionNews::Trains:
            if (swarm_.session(at)->start() == peer::Start::Join) {
                ++joined_;
                if (life.joining_since) {
                    longest_join_ = std::max(longest_join_, now - *life.joining_since);
                }
            }
            break;
        case SessionNews::Finished:
            check_end(now, at);
            break;
        case SessionNews::Failed:
            ++failed_;
            break;
    }
}

void SessionCheckers::check_end(Instant now, NodeIndex node) {
    const auto round = swarm_.session(node)->session().ending().round();
    finished_.insert(node);
    rounds_.insert(round);
    ended_.emplace(round, now);
    for (const auto& [other, first] : ended_) {
        // Who was away when the others ended cannot end with them.
        if (!ends_agree_ || other == round || lives_[node].since > first) continue;
        checkers_.report("P3", node, "lived when others ended, and ends in another round");
    }
}

void SessionCheckers::on_transfer_sent(Instant now, const TransferFrame& frame) {
    if (!is_question(frame.type)) return;
    const auto item = item_of(frame);
    if (!item) return;
    auto& life = lives_[frame.from];
    // Each recovery fetches the parameters anew, and what a donor gave that is refused is asked of others.
    const auto& session = swarm_.session(frame.from)->session();
    const auto fetches = (session.recovery().begun() << 8U) + session.transfers().donors_refused();
    if (fetches != life.fetches) {
        life.fetches = fetches;
        std::erase_if(life.arrived, [](const auto& one) {
            return one.first == FrameType::StateRequest;
        });
        std::erase_if(life.asked, [](const auto& one) {
            return one.first.second.first == FrameType::StateRequest;
        });
    }
    const auto to = std::to_string(frame.to);
    if (life.arrived.contains(*item)) {
        const std::string what = frame.type == FrameType::StateRequest ? "chunk" : "piece";
        checkers_.report("P2", frame.from, "asks node " + to + " for a " + what + " that is here");
    }
    const auto [at, first] = life.asked.try_emplace({frame.to, *item}, now);
    if (!first && now - at->second < kPatience * 98 / 100) {
        checkers_.report("P2", frame.from, "asks node " + to + " twice at once for one item");
    }
    at->second = now;
}

void SessionCheckers::on_transfer_arrived(Instant /*now*/, const TransferFrame& frame) {
    const bool chunk = frame.type == FrameType::StateChunk;
    if (!chunk && frame.type != FrameType::ShardPiece) return;
    auto& life = lives_[frame.to];
    if (const auto item = item_of(frame)) life.arrived.insert(*item);
    const auto* session = swarm_.session(frame.to);
    if (chunk && session->session().recovery().running() && session->trainer().steps_now()) {
        checkers_.report("P7", frame.to, "fetches parameters into a step that runs");
    }
    // A refusal answers the question, too, and says which one in its first bytes.
    const auto asked = chunk ? FrameType::StateRequest : FrameType::ShardRequest;
    std::erase_if(life.asked, [&](const auto& one) {
        const auto& [type, question] = one.first.second;
        return one.first.first == frame.from && type == asked &&
               frame.payload.size() >= question.size() &&
               std::equal(question.begin(), question.end(), frame.payload.begin());
    });
}

void SessionCheckers::on_partner_broken(Instant /*now*/, NodeIndex at, NodeIndex partner) {
    std::erase_if(lives_[at].asked, [&](const auto& one) { return one.first.first == partner; });
}

void SessionCheckers::on_checkpoint(
    Instant /*now*/, NodeIndex at, const peer::Checkpoint& checkpoint, bool whole
) {
    const auto& session = swarm_.session(at)->session();
    const bool arrives = session.state() == peer::PeerState::Joining &&
                         swarm_.session(at)->start() == peer::Start::Join;
    if (!whole && (arrives || session.recovery().running())) {
        checkers_.report("P5", at, "keeps parameters that are not whole");
    }
    if (whole) {
        whole_[at] = checkpoint.samples;
        // What was begun before can no longer be resumed.
        std::erase_if(begun_[at], [&](const Kept& kept) {
            return kept.samples < checkpoint.samples;
        });
    } else {
        begun_[at].push_back({checkpoint.samples, checkpoint.parameters});
    }
}

void SessionCheckers::check_resume(NodeIndex node) {
    const auto* session = swarm_.session(node);
    if (session->start() != peer::Start::Resume) return;
    ++resumed_;
    const auto& found = session->resumed();
    if (found->samples < whole_[node]) {
        checkers_.report("P5", node, "resumes a checkpoint that is older than the last");
    }
    const auto& begun = begun_[node];
    const bool known = std::any_of(begun.begin(), begun.end(), [&](const Kept& kept) {
        return kept.samples == found->samples && kept.parameters == found->parameters;
    });
    if (!known) checkers_.report("P5", node, "resumes what it never wrote");
}

}  // namespace starling::simulation
