// What a peer does when the swarm knows a later life of it, or another process has its identity.

#include <string>

#include "peer/crypto/epoch.hpp"
#include "peer/crypto/seal.hpp"
#include "peer/machine/files.hpp"
#include "peer/node/node.hpp"
#include "peer/start/local_state.hpp"

namespace starling::peer {

/// Keeps the epoch that the swarm has taught us, so that no later life of ours takes it again.
bool Node::on_epoch(std::uint64_t epoch) {
    owner_.check();
    if (epoch >= kLivesMax) {
        loop_.post([this] { end(worn_out(config_.state)); });
        return false;
    }
    // Without it the next life has to learn the epoch once more, which is no reason to end this one.
    if (config_.state.empty()) return true;
    const auto stored = raise_epoch(real_disk(), config_.state / "epoch", epoch);
    if (stored.has_error()) note_once("the boot epoch is not stored: " + stored.error().message);
    return true;
}

std::string Node::rival_at() const {
    const auto rival = table().rival();
    return "another process runs with the identity " + self_.short_string() +
           (rival ? " at " + rival->to_string() : "");
}

void Node::on_contested() {
    note_once(
        rival_at() + ": the younger of the two ends; was " +
        (config_.state.empty() ? std::string("its key") : config_.state.string()) + " copied?"
    );
}

/// Ends without a word to the others: what we say is said in the name of the process that stays.
void Node::end_displaced() {
    owner_.check();
    if (ending_) return;
    fault_ = fail(
        FaultCode::Busy,
        rival_at() + ", and it stays; if " + config_.state.string() +
            " is a copy, remove identity.key and epoch there to become a new peer"
    );
    membership_.stop();
    links_.close_all("another process runs with this identity");
    stop_session([this] { loop_.stop(); });
}

}  // namespace starling::peer
