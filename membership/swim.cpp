#include "membership/swim.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/planted_fault.hpp"
#include "base/queue.hpp"
#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Purposes of the forks of the generator that is passed in.
enum class Purpose : std::uint64_t { Timing = 1, Target = 2, ProbeId = 3, Order = 4 };

Rng fork(const Rng& rng, Purpose purpose) {
    return rng.fork(static_cast<std::uint64_t>(purpose));
}

}  // namespace

/// Packs messages into pages of at most kPageMax.
class Swim::Machine::Pager {
public:
    Pager(const PeerId& sender, std::uint32_t swarm_tag) : swarm_tag_(swarm_tag) {
        page_.sender = sender;
    }

    void add(const Message& message) {
        const auto size = wire_size(message);
        if (size_ + size > kPageMax) flush();
        page_.messages.push_back(message);
        size_ += size;
    }

    std::vector<Bytes> finish() {
        flush();
        return std::move(pages_);
    }

private:
    void flush() {
        pages_.push_back(encode(page_, swarm_tag_, kPageMax));
        page_.messages.clear();
        size_ = kPacketOverhead;
    }

    std::uint32_t swarm_tag_;
    Packet page_;
    std::size_t size_ = kPacketOverhead;
    std::vector<Bytes> pages_;
};

Swim::Machine::Machine(const SwimConfig& config, const Self& self, Rng rng, Instant now)
    : config_(config),
      self_(self.id),
      notary_(self.notary),
      workspace_(self.workspace ? self.workspace : std::make_shared<Workspace>()),
      address_(self.address),
      incarnation_{self.epoch, self.lived ? 0 : self.mark},
      mark_(self.mark),
      salt_(self.salt),
      life_since_(now),
      now_(now),
      heard_at_(now),
      timing_rng_(fork(rng, Purpose::Timing)),
      target_rng_(fork(rng, Purpose::Target)),
      probe_id_rng_(fork(rng, Purpose::ProbeId)),
      table_(self.pool ? self.pool : std::make_shared<ClaimPool>()),
      order_(fork(rng, Purpose::Order)),
      awareness_(config.awareness_levels) {
    STARLING_CHECK(config.validate().has_value());
    STARLING_CHECK(self.epoch < kCounterMax);
    STARLING_CHECK(notary_ != nullptr && notary_->id_of(notary_->key()) == self_);
    timers_.fill(Instant::max());
    if (self.founder) conflict_.note_contact(now);
    make_own_claim();
    table_.apply(now, own_claim_);
    rumours_.push(own_claim_);
    const auto phase = [&](Duration period) {
        return now + from_seconds(timing_rng_.uniform() * to_seconds(period));
    };
    arm(Timer::Period, phase(config_.probe_interval));
    if (config_.push_pull_interval > Duration::zero()) {
        arm(Timer::PushPull, phase(config_.push_pull_interval));
    }
}

void Swim::Machine::leave(Instant now) {
    advance(now);
    if (left_) return;
    if (armed(Timer::Tell)) on_tell(now);
    left_ = true;
    cycle_.drop();
    for (const auto timer :
         {Timer::Period, Timer::AckWait, Timer::PushPull, Timer::Rejoin, Timer::Tell}) {
        disarm(timer);
    }
    ++incarnation_.counter;
    make_own_claim();
    table_.apply(now, own_claim_);
    if (planted(PlantedFault::SilentLeave)) return;
    rumours_.push(own_claim_);
    // To all at once, or a large part: a rumour alone may spend its few rounds on members that are
    // gone, and then nobody is left to tell it.
    announce();
    on_gossip(now);
}

std::optional<Datagram> Swim::Machine::poll_transmit() {
    if (transmitted_ == transmits_.size()) {
        transmits_.clear();
        transmitted_ = 0;
        return std::nullopt;
    }
    return std::move(transmits_[transmitted_++]);
}

std::optional<StreamRequest> Swim::Machine::poll_stream() {
    return take_front(streams_);
}

std::optional<Event> Swim::Machine::poll_event() {
    return take_front(events_);
}

std::optional<Instant> Swim::Machine::poll_timeout() const {
    const Instant next = *std::min_element(timers_.begin(), timers_.end());
    if (next == Instant::max()) return std::nullopt;
    return next;
}

std::vector<Bytes> Swim::Machine::pages_for(const StreamRequest& request) const {
    Pager pager(self_, swarm_tag(config_.swarm));
    // Our own claim comes first: it tells where the page comes from.
    pager.add(own_claim_);
    if (request.kind == StreamRequest::Kind::Compare) {
        pager.add(slice_digests(false, request.refresh));
    } else {
        add_slices(pager, request.slices);
    }
    return pager.finish();
}

std::vector<Bytes> Swim::Machine::pages_for(const StreamAnswer& answer) const {
    Pager pager(self_, swarm_tag(config_.swarm));
    pager.add(own_claim_);
    add_slices(pager, answer.slices);
    // Last, so that the peer that asked compares when it has merged the rest.
    if (answer.compares) pager.add(slice_digests(true));
    return pager.finish();
}

void Swim::Machine::add_slices(Pager& pager, Slices slices) const {
    const auto wanted = [slices](const PeerId& id) {
        return (slices >> MemberTable::slice_of(id) & 1U) != 0;
    };
    for (const auto& member : table_.members()) {
        if (member.id == self_ || !wanted(member.id)) continue;
        pager.add(table_.claim_of(member.id));
        if (is_accusation(member.state)) pager.add(accusation_of(member));
    }
    for (const auto& [id, entry] : departed_.all()) {
        if (entry.verdict.state == MemberState::Failed && wanted(id)) {
            pager.add(Forgotten{id, entry.verdict.incarnation});
        }
    }
    records_.for_each([&](const ProgressRecord& record) {
        // What is not signed is for ourselves.
        if (record.is_signed && wanted(record.owner)) pager.add(record);
    });
}

/// Records are not in the digests, so now and then a slice is to be told again: it gets a wrong digest.
SliceDigests Swim::Machine::slice_digests(bool answer, Slices refresh) const {
    const auto digests = table_.slice_digests();
    SliceDigests told{answer, {digests.begin(), digests.end()}};
    for (std::size_t i = 0; i < kSlices; ++i) {
        if ((refresh >> i & 1U) != 0) told.values[i] = ~told.values[i];
    }
    return told;
}

Statement Swim::Machine::accusation(
    const Member& member, MemberState state, const PeerId& accuser
) {
    Statement statement;
    statement.subject = member.id;
    statement.incarnation = member.incarnation;
    statement.state = state;
    statement.accuser = accuser;
    return statement;
}

Statement Swim::Machine::accusation_of(const Member& member) const {
    // A suspicion is repeated in the name of its first accuser: hearsay must not pass for an
    // accusation of our own, or a single accuser would confirm itself through others.
    const PeerId* accuser = suspicions_.accuser(member.id);
    const bool suspect = member.state == MemberState::Suspect && accuser != nullptr;
    return accusation(member, member.state, suspect ? *accuser : self_);
}

void Swim::Machine::make_own_claim() {
    auto& claim = own_claim_;
    claim.subject = self_;
    claim.incarnation = incarnation_;
    claim.state = left_ ? MemberState::Left : MemberState::Alive;
    claim.address = address_;
    claim.key = notary_->key();
    claim.tail = make_tail(salt_);
    claim.signature = notary_->sign(signed_text(claim, config_.swarm));
    introduction_.clear();
    ByteWriter writer(introduction_);
    write_claim(writer, claim);
}

void Swim::Machine::advance(Instant now) {
    STARLING_CHECK(now >= now_);
    now_ = now;
}

Swim::Swim(const SwimConfig& config, const Self& self, Rng rng, Instant now)
    : machine_(std::make_unique<Machine>(config, self, rng, now)) {}

Swim::~Swim() = default;
Swim::Swim(Swim&&) noexcept = default;
Swim& Swim::operator=(Swim&&) noexcept = default;

void Swim::handle_datagram(Instant now, const Endpoint& from, ByteView bytes) {
    machine_->handle_datagram(now, from, bytes);
}

void Swim::handle_timeout(Instant now) {
    machine_->handle_timeout(now);
}

Result<StreamAnswer> Swim::handle_push_pull(
    Instant now, ByteView page, const std::optional<PeerId>& from
) {
    return machine_->handle_push_pull(now, page, from);
}

void Swim::handle_stream_pong(Instant now, const PeerId& peer) {
    machine_->handle_stream_pong(now, peer);
}

void Swim::handle_stream_lost(Instant now, const PeerId& peer) {
    machine_->handle_stream_lost(now, peer);
}

void Swim::handle_stream_refused(Instant now, const PeerId& peer) {
    machine_->handle_stream_refused(now, peer);
}

void Swim::handle_send_error(Instant now, const Endpoint& to) {
    machine_->handle_send_error(now, to);
}

void Swim::leave(Instant now) {
    machine_->leave(now);
}

void Swim::set_record(Instant now, ByteView record, bool decides) {
    machine_->set_record(now, record, decides);
}

std::optional<Datagram> Swim::poll_transmit() {
    return machine_->poll_transmit();
}

std::optional<StreamRequest> Swim::poll_stream() {
    return machine_->poll_stream();
}

std::optional<Event> Swim::poll_event() {
    return machine_->poll_event();
}

std::optional<Instant> Swim::poll_timeout() const {
    return machine_->poll_timeout();
}

void Swim::recycle(Bytes bytes) {
    machine_->recycle(std::move(bytes));
}

std::vector<Bytes> Swim::push_pull_pages() const {
    return machine_->pages_for(StreamRequest{});
}

std::vector<Bytes> Swim::pages_for(const StreamRequest& request) const {
    return machine_->pages_for(request);
}

std::vector<Bytes> Swim::pages_for(const StreamAnswer& answer) const {
    return machine_->pages_for(answer);
}

MemberList Swim::members() const {
    return machine_->table().members();
}

std::optional<Member> Swim::find(const PeerId& id) const {
    return machine_->table().find(id);
}

ByteView Swim::record(const PeerId& id) const {
    const auto* record = machine_->records().find(id);
    return record == nullptr ? ByteView{} : ByteView(record->bytes);
}

ByteView Swim::signed_record(const PeerId& id) const {
    const auto* record = machine_->records().find_signed(id);
    return record == nullptr ? ByteView{} : ByteView(record->bytes);
}

std::optional<Instant> Swim::record_heard(const PeerId& id) const {
    return machine_->records().heard(id);
}

Duration Swim::record_interval() const {
    return machine_->record_interval();
}

std::vector<PeerId> Swim::recorded_peers() const {
    return machine_->records().owners();
}

std::size_t Swim::unproven_count() const {
    return machine_->unproven().size();
}

std::size_t Swim::alive_count() const {
    return machine_->table().up_count();
}

const SwimCounters& Swim::counters() const {
    return machine_->counters();
}

const PeerId& Swim::self() const {
    return machine_->self();
}

Incarnation Swim::incarnation() const {
    return machine_->incarnation();
}

ByteView Swim::introduction() const {
    return machine_->introduction();
}

const Statement* Swim::claim_of(const ShortId& id) const {
    const auto& table = machine_->table();
    const auto* known = table.id_of(id);
    if (known != nullptr) return &table.claim_of(*known);
    const auto* apart = machine_->unproven().resolve(id);
    return apart == nullptr ? nullptr : &apart->claim;
}

std::optional<Endpoint> Swim::rival() const {
    return machine_->rival();
}

}  // namespace starling::membership
