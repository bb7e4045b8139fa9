#include "peer/virtual/session_log.hpp"

#include <utility>

namespace starling::peer_virtual {

void SessionLog::on_node_state(Instant now, NodeIndex at, NodeState state) {
    // A pause ends in the same state as a start; what it costs belongs to the time of the join.
    if (state == NodeState::Absent) started_[at] = {};
    if (state == NodeState::Running && started_[at] == Instant{}) started_[at] = now;
}

void SessionLog::on_session(Instant now, NodeIndex at, SessionNews news, const Fault* why) {
    switch (news) {
        case SessionNews::Begun:
            if (swarm_.session(at)->start() == peer::Start::Resume) ++resumed;
            break;
        case SessionNews::Trains:
            if (swarm_.session(at)->start() == peer::Start::Join) {
                join_seconds.push_back(to_seconds(now - started_[at]));
            }
            break;
        case SessionNews::Finished:
            finished_[at] = true;
            last_end = now;
            rounds = std::max(rounds, swarm_.session(at)->session().ending().round() + 1);
            break;
        case SessionNews::Failed:
            ++failures;
            last_fault = why->message;
            failed_.push_back(at);
            break;
    }
}

void SessionLog::on_checkpoint(
    Instant /*now*/, NodeIndex at, const peer::Checkpoint& checkpoint, bool whole
) {
    if (whole) last_[at] = {checkpoint.steps, checkpoint.samples};
}

std::vector<NodeIndex> SessionLog::take_failed() {
    return std::exchange(failed_, {});
}

SessionLog::Work SessionLog::work() const {
    Work sum;
    for (NodeIndex node = 0; node < swarm_.size(); ++node) {
        auto work = last_[node];
        const auto* session = swarm_.exists(node) ? swarm_.session(node) : nullptr;
        if (session != nullptr) {
            const auto& report = session->session().report();
            work = {report.steps, report.samples};
        }
        sum.steps += work.steps;
        sum.samples += work.samples;
    }
    return sum;
}

}  // namespace starling::peer_virtual
