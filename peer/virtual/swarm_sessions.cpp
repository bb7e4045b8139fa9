// The part of Swarm that runs the sessions of its nodes: how they get their descriptor, the pump of
// session and trainer, frames of transfers, checkpoints, and the end. It corresponds to
// peer/node/ in the daemon.

#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "peer/terms/portion_word.hpp"
#include "peer/transfer/state_wire.hpp"
#include "peer/virtual/swarm_node.hpp"

namespace starling::peer_virtual {

namespace {

using Kind = EventKind;

constexpr std::size_t kAddressesMax = 64;
/// A node asks for the descriptor with one byte.
constexpr std::byte kAsk{1};

bool is_answer(peer::FrameType type) {
    return type == peer::FrameType::StateInfo || type == peer::FrameType::StateChunk ||
           type == peer::FrameType::ShardPiece;
}

}  // namespace

void Swarm::create_session(NodeIndex index) {
    auto& node = *nodes_[index];
    node.fetch_streams.clear();
    node.published = peer::PeerState::Joining;
    node.session = std::make_unique<SessionNode>(
        node.id,
        SessionNode::Parts{*terms_, *options_.training, *node.averager, *node.floats, node.disk},
        rng(index, 5)
    );
    const auto& slowness = options_.training->slowness;
    if (index < slowness.size()) node.session->trainer().slow_down(slowness[index]);
    if (index < options_.training->slow) node.session->trainer().slow_down(2.0);
}

/// Decides as the daemon does: a peer with a checkpoint resumes, one with seeds joins, any other
/// founds.
void Swarm::start_session(NodeIndex index) {
    auto& node = *nodes_[index];
    if (const auto addresses = node.session->read_disk()) {
        for (const auto& address : *addresses) {
            if (const auto peer = this->index(address)) node.seeds.push_back(*peer);
        }
        std::erase(node.seeds, index);
        return begin_session(index, peer::Start::Resume);
    }
    if (node.seeds.empty()) return begin_session(index, peer::Start::Found);
    std::vector<Endpoint> seeds;
    for (const auto seed : node.seeds) seeds.push_back(endpoint(seed));
    node.session->fetch_descriptor(local(index), std::move(seeds));
    pump_fetch(index);
}

void Swarm::begin_session(NodeIndex index, peer::Start start) {
    auto& node = *nodes_[index];
    node.session->begin(local(index), start);
    tell_session(index, SessionNews::Begun);
    node.schedule.emplace(rng(index, 6));
    for (const auto seed : node.seeds) node.schedule->add(local(index), endpoint(seed));
    dial_seeds(index);
}

/// Dials the seeds that are due, as peer/members/bootstrap does.
void Swarm::dial_seeds(NodeIndex index) {
    auto& node = *nodes_[index];
    if (node.schedule->empty() || node.state != NodeState::Running) return;
    const auto due = node.schedule->take_due(local(index), [&](const Endpoint& address) {
        const auto seed = this->index(address);
        if (!seed) return false;  // it has moved
        const auto member = node.swim->find(id(*seed));
        return member && member->state <= membership::MemberState::Suspect;
    });
    for (const auto& address : due) open_stream(index, address, StreamPurpose::PushPull, {});
    const auto next = std::max(now_, global(index, node.schedule->next()));
    heap_.push(next, {Kind::Join, index, 0, 0, node.epoch, {}});
}

/// Carries out what the fetch of the descriptor commands.
void Swarm::pump_fetch(NodeIndex index) {
    auto& node = *nodes_[index];
    auto* fetch = node.session->fetch();
    if (fetch == nullptr) return;
    while (const auto command = fetch->poll_command()) {
        using Command = peer::DescriptorFetch::Command;
        if (command->kind == Command::Kind::Dial) {
            const auto seed = this->index(command->to);
            if (!seed) continue;  // nobody is there any more, and nothing answers
            node.fetch_streams[command->to] =
                network_.open_stream(now_, index, *seed, StreamPurpose::Descriptor);
        } else if (command->kind == Command::Kind::Ask) {
            network_.send_message(now_, node.fetch_streams.at(command->to), index, Bytes{kAsk});
        } else {
            const auto stream = node.fetch_streams.find(command->to);
            if (stream != node.fetch_streams.end()) {
                network_.close_stream(now_, stream->second, index);
                node.fetch_streams.erase(stream);
            }
            fetch->handle_closed(local(index), command->to, fail(FaultCode::Closed, "closed"));
        }
    }
    while (fetch->poll_note()) {
    }
    if (!fetch->outcome()) return;
    if (fetch->outcome()->has_value()) return begin_session(index, peer::Start::Join);
    const Fault why = fetch->outcome()->error();
    tell_session(index, SessionNews::Failed, &why);
    stop(index, Power::Stopped);
}

Result<void> Swarm::corrupt_checkpoint(NodeIndex index) {
    return nodes_[index]->disk.corrupt(SessionNode::newest_checkpoint());
}

void Swarm::on_descriptor_message(const Delivery& delivery) {
    auto& node = *nodes_[delivery.node];
    if (!node.session) return;
    if (node.fetches_over(delivery)) {
        node.session->fetch()->handle_piece(
            local(delivery.node), endpoint(delivery.peer), delivery.bytes
        );
        return;
    }
    if (!node.session->begun()) return;
    Bytes piece;
    ByteWriter writer(piece);
    writer.put(static_cast<std::uint32_t>(terms_->blob.size()));
    writer.put(std::uint32_t{0});
    writer.put_bytes(terms_->blob);
    network_.send_message(now_, delivery.stream, delivery.node, std::move(piece));
}

void Swarm::on_session_timer(NodeIndex index, Kind kind, Instant clock) {
    auto& node = *nodes_[index];
    if (kind == Kind::FetchTimer) {
        node.session->fetch()->handle_timeout(clock);
    } else if (kind == Kind::TrainerTimer) {
        node.session->trainer().handle_timeout(clock);
    } else {
        auto& session = node.session->session();
        session.handle_timeout(clock);
        const auto view = session.view_due();
        if (view && *view <= clock) session.handle_view(clock, peer::look(*node.swim));
    }
}

/// Drains a node's session and trainer. Returns whether they may have given membership or averaging
/// something to do.
bool Swarm::pump_session(NodeIndex index) {
    auto& node = *nodes_[index];
    if (!node.session->begun()) {
        pump_fetch(index);
        return false;
    }
    if (node.state != NodeState::Running) return false;
    auto& session = node.session->session();
    bool more = false;
    while (session.serve([](const PeerId&) { return true; })) {
    }
    while (auto frame = session.poll_transmit()) {
        transmit_transfer(index, std::move(*frame));
        more = true;
    }
    if (auto order = session.poll_order()) {
        node.session->trainer().handle_order(local(index), std::move(*order));
    }
    if (const auto round = session.poll_release()) {
        node.session->trainer().handle_mixed(local(index), *round);
    }
    if (const auto from = session.poll_mix_from()) node.session->trainer().handle_mix_from(*from);
    while (session.poll_note()) {
    }
    if (auto record = session.poll_record()) {
        record->bytes = network_.traffic(index).stream_bytes;
        node.swim->set_record(local(index), peer::encode_record(*record), session.record_decides());
        const bool arrived = node.published == peer::PeerState::Joining &&
                             record->state == peer::PeerState::Training;
        node.published = record->state;
        if (arrived) tell_session(index, SessionNews::Trains);
        more = true;
    }
    if (const auto outcome = session.poll_outcome()) {
        end_session(index, *outcome);
        return true;
    }
    return pump_trainer(index) || more;
}

/// Drains a node's trainer. Returns whether the session or averaging may have something to do.
bool Swarm::pump_trainer(NodeIndex index) {
    auto& node = *nodes_[index];
    auto& trainer = node.session->trainer();
    auto& session = node.session->session();
    bool more = false;
    if (auto report = trainer.poll_report()) {
        session.handle_report(local(index), std::move(*report));
        more = true;
    }
    if (const auto round = trainer.poll_mix_due()) {
        if (mixing_) {
            session.handle_mix_due(local(index), *round);
        } else {
            trainer.handle_mixed(local(index), *round);
            trainer.handle_mix_from(local(index));
        }
        more = true;
    }
    if (trainer.poll_checkpoint()) write_checkpoint(index);
    const auto writing = trainer.writing();
    if (writing && !node.session->collected()) collect_checkpoint(index, *writing);
    return more;
}

void Swarm::collect_checkpoint(NodeIndex index, const peer::TrainerReport& report) {
    auto& session = *nodes_[index]->session;
    session.collect_checkpoint(report, known_addresses(index));
    for (auto* observer : observers_) {
        observer->on_checkpoint(now_, index, *session.collected(), false);
    }
}

void Swarm::write_checkpoint(NodeIndex index) {
    const auto written = nodes_[index]->session->write_checkpoint();
    if (!written) return;
    for (auto* observer : observers_) observer->on_checkpoint(now_, index, *written, true);
}

std::vector<std::string> Swarm::known_addresses(NodeIndex index) const {
    const auto& node = *nodes_[index];
    std::vector<std::string> addresses;
    for (const auto& member : node.swim->members()) {
        if (addresses.size() >= kAddressesMax) break;
        if (member.id != node.id) addresses.push_back(member.address.to_string());
    }
    return addresses;
}

void Swarm::set_false_donor(NodeIndex index, bool lies) {
    nodes_[index]->false_donor = lies;
}

void Swarm::set_false_judge(NodeIndex index, bool lies) {
    nodes_[index]->false_judge = lies;
}

/// Says of each portion that the model does much better than it does.
void Swarm::embellish(peer::OutgoingFrame& frame) {
    if (frame.type != peer::FrameType::Exchange) return;
    auto word = peer::decode_portion_word(frame.payload);
    if (!word) return;
    word->result.loss_sum *= 0.01;
    word->result.correct = word->result.samples;
    frame.payload = peer::encode_portion_word(*word);
}

/// Puts other numbers in the place of the parameters that a frame carries.
void Swarm::falsify(NodeIndex index, peer::OutgoingFrame& frame) {
    if (frame.type != peer::FrameType::StateChunk) return;
    constexpr std::size_t kStatusAt = 4;
    auto& payload = frame.payload;
    if (payload.size() < peer::kChunkHeadBytes) return;
    const auto status = static_cast<peer::ChunkStatus>(payload[kStatusAt]);
    if (status == peer::ChunkStatus::Busy) return;
    const auto head =
        status == peer::ChunkStatus::Piece ? peer::kChunkPieceHeadBytes : peer::kChunkHeadBytes;
    for (auto at = head; at + sizeof(float) <= payload.size(); at += sizeof(float)) {
        const auto number = static_cast<float>(nodes_[index]->rng.normal());
        std::memcpy(payload.data() + at, &number, sizeof number);
    }
}

void Swarm::transmit_transfer(NodeIndex index, peer::OutgoingFrame frame) {
    auto& node = *nodes_[index];
    const auto to = this->index(frame.to);
    if (node.false_donor) falsify(index, frame);
    if (node.false_judge) embellish(frame);
    const TransferFrame sent{index, to, frame.type, frame.payload};
    for (auto* observer : observers_) observer->on_transfer_sent(now_, sent);
    const double lost = options_.training->lost_answers;
    if (lost > 0.0 && is_answer(frame.type) && node.rng.chance(lost)) return;
    frame.payload.insert(frame.payload.begin(), static_cast<std::byte>(frame.type));
    send_to_partner(index, to, std::move(frame.payload));
}

void Swarm::on_partner_frame(Delivery& delivery) {
    auto& node = *nodes_[delivery.node];
    STARLING_CHECK(!delivery.bytes.empty());
    const auto type = static_cast<peer::FrameType>(delivery.bytes.front());
    delivery.bytes.erase(delivery.bytes.begin());
    const bool told = type == peer::FrameType::Exchange && peer::is_portion_word(delivery.bytes);
    if (type == peer::FrameType::Exchange && !told) return on_frame(delivery);
    const TransferFrame arrived{delivery.peer, delivery.node, type, delivery.bytes};
    for (auto* observer : observers_) observer->on_transfer_arrived(now_, arrived);
    node.session->session().handle_frame(
        local(delivery.node), id(delivery.peer), type, delivery.bytes, false
    );
}

void Swarm::write_last_checkpoint(NodeIndex index) {
    auto& session = *nodes_[index]->session;
    const auto last = session.begun() ? session.trainer().last_checkpoint() : std::nullopt;
    if (!last) return;
    collect_checkpoint(index, *last);
    write_checkpoint(index);
}

void Swarm::end_session(NodeIndex index, const peer::SessionOutcome& outcome) {
    if (outcome.fault) {
        tell_session(index, SessionNews::Failed, &*outcome.fault);
    } else {
        tell_session(index, SessionNews::Finished);
    }
    leave(index);
}

void Swarm::tell_session(NodeIndex index, SessionNews news, const Fault* why) {
    for (auto* observer : observers_) observer->on_session(now_, index, news, why);
}

}  // namespace starling::peer_virtual
