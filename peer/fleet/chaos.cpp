#include "peer/fleet/chaos.hpp"

#include <algorithm>

namespace starling::peer {
namespace {

/// Returns the survivor whose address a newcomer gets: the one that started last, to show that any
/// peer can be the seed.
const PeerView* pick_seed(const std::vector<PeerView>& peers) {
    const auto found = std::find_if(peers.rbegin(), peers.rend(), [](const PeerView& peer) {
        return peer.living() && !peer.final_report && !peer.listen.empty();
    });
    return found == peers.rend() ? nullptr : &*found;
}

}  // namespace

Result<ChaosOptions> ChaosOptions::parse(std::string_view text) {
    ChaosOptions options;
    while (!text.empty()) {
        const auto comma = text.find(',');
        const auto name = text.substr(0, comma);
        if (name == "founder-crash") {
            options.founder_crash = true;
        } else if (name == "late-join") {
            options.late_join = true;
        } else {
            return fail(
                FaultCode::Usage,
                "--chaos: there is no '" + std::string(name) +
                    "'; use founder-crash, late-join, or both with a comma"
            );
        }
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    return options;
}

void ChaosPlan::handle_failed(std::size_t observer, const std::string& id) {
    // A survivor may also fail for a reason of its own. Only the peer that we killed counts here.
    if (killed_at_ && id == killed_id_) observers_.insert(observer);
}

std::optional<ChaosAction> ChaosPlan::poll_action(Instant now, const std::vector<PeerView>& peers) {
    if (options_.founder_crash && !killed_at_) {
        if (!all_train(peers) || !peers.front().living()) return {};
        killed_at_ = now;
        killed_id_ = peers.front().id;
        return ChaosAction{ChaosAction::Kind::Kill, peers.front().index};
    }
    if (!options_.late_join || joined_) return {};
    const bool ready = options_.founder_crash ? crash_noticed(now, peers) : all_train(peers);
    const PeerView* seed = ready ? pick_seed(peers) : nullptr;
    if (seed == nullptr) return {};
    joined_ = true;
    return ChaosAction{ChaosAction::Kind::Join, seed->index};
}

std::string ChaosPlan::missing() const {
    if (options_.founder_crash && !killed_at_) return "founder-crash";
    if (options_.late_join && !joined_) return "late-join";
    return {};
}

bool ChaosPlan::all_train(const std::vector<PeerView>& peers) const {
    if (peers.size() < expected_peers_) return false;
    return std::all_of(peers.begin(), peers.end(), [](const PeerView& peer) {
        // A peer that owns no shard makes no steps, but it averages: that is all its training.
        const bool busy = peer.steps >= kChaosSteps || peer.shards == 0;
        return peer.exit || (peer.state == "training" && busy);
    });
}

bool ChaosPlan::crash_noticed(Instant now, const std::vector<PeerView>& peers) const {
    if (now - *killed_at_ >= kChaosNoticeMax) return true;
    return std::all_of(peers.begin(), peers.end(), [this](const PeerView& peer) {
        return !peer.living() || observers_.contains(peer.index);
    });
}

}  // namespace starling::peer
