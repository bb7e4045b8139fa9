#include "peer/members/bootstrap.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/machine/resolve.hpp"

namespace starling::peer {

namespace {

/// Addresses taken from one look-up of a name, which may stand for thousands.
constexpr std::size_t kAnswersMax = 8;
constexpr std::size_t kHintsMax = 1024;

}  // namespace

Bootstrap::Bootstrap(Loop& loop, Links& links, BootstrapHandler& handler, Duration resolve_every)
    : loop_(loop),
      links_(links),
      handler_(handler),
      resolve_every_(resolve_every),
      schedule_(Rng(std::random_device{}())),
      dial_timer_(loop_, [this] { dial_due(); }),
      resolve_timer_(loop_, [this] { resolve_names(); }) {}

void Bootstrap::begin(
    const Endpoint& self,
    const std::vector<std::string>& names,
    const std::vector<Endpoint>& addresses
) {
    self_ = self;
    names_ = names;
    for (const auto& text : names) {
        if (const auto literal = Endpoint::parse(text)) named_.insert(*literal);
    }
    add(addresses);
    resolve_names();
}

void Bootstrap::add(const std::vector<Endpoint>& addresses) {
    for (const auto& address : addresses) schedule_.add(real_now(), address);
    dial_due();
}

void Bootstrap::add_answers(const std::vector<Endpoint>& addresses) {
    for (const auto& address : addresses) answers_[address] = addresses;
    add(addresses);
}

void Bootstrap::stop() {
    stopped_ = true;
}

void Bootstrap::hint(const PeerId& peer, const Endpoint& at) {
    if (!hints_.insert_or_assign(peer, at).second) return;
    hinted_.push_back(peer);
    if (hinted_.size() <= kHintsMax) return;
    hints_.erase(hinted_.front());
    hinted_.pop_front();
}

std::optional<Endpoint> Bootstrap::hint_of(const PeerId& peer) const {
    const auto found = hints_.find(peer);
    if (found == hints_.end()) return std::nullopt;
    return found->second;
}

/// Dials the addresses that are due, again and again, unless their peers are known to be alive.
void Bootstrap::dial_due() {
    if (stopped_ || schedule_.empty()) return;
    const auto due = schedule_.take_due(real_now(), [this](const Endpoint& address) {
        return address == self_ || lives_at(address);
    });
    for (const auto& address : due) introduce(address);
    dial_timer_.arm(schedule_.next());
}

void Bootstrap::introduce(const Endpoint& address) {
    links_.introduce(address, [this, address](const Result<PeerId>& greeted) {
        if (!stopped_) on_greeted(address, greeted);
    });
}

void Bootstrap::on_greeted(const Endpoint& address, const Result<PeerId>& greeted) {
    if (greeted.has_error()) {
        const auto& fault = greeted.error();
        if (fault.code == FaultCode::SwarmMismatch && named_.erase(address) > 0) {
            return handler_.on_other_swarm(address, fault.message);
        }
        // Who holds another key does not say of which swarm it is.
        if (fault.code == FaultCode::Refused && named_.erase(address) > 0) {
            const auto ours = links_.introduction().ours.swarm.short_string();
            return handler_.on_other_swarm(
                address, fault.message + ": it does not belong to swarm " + ours
            );
        }
        failed_.insert(address);
        // People read this only once per address; the dialling goes on.
        const bool alone = handler_.table().alive_count() == 1;
        if (alone && !has_better(address) && unreachable_.insert(address).second) {
            handler_.on_unreachable(greeted.error().message);
        }
        return;
    }
    failed_.erase(address);
    greeters_[address] = *greeted;
    hint(*greeted, address);
    handler_.on_greeted(*greeted);
}

/// Returns whether another address of the same name answers, or may answer yet.
bool Bootstrap::has_better(const Endpoint& address) const {
    const auto found = answers_.find(address);
    if (found == answers_.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [this](const Endpoint& other) {
        return !failed_.contains(other);
    });
}

/// Returns whether the peer at this address is a live member: the one that answered there, or one
/// that advertises the address. A seed may advertise another address than the one that we dial.
bool Bootstrap::lives_at(const Endpoint& address) const {
    const auto up = [](const membership::Member& member) {
        return member.state <= membership::MemberState::Suspect;
    };
    const auto& swim = handler_.table();
    const auto greeter = greeters_.find(address);
    if (greeter != greeters_.end()) {
        const auto member = swim.find(greeter->second);
        if (member && up(*member)) return true;
    }
    const auto members = swim.members();
    return std::any_of(members.begin(), members.end(), [&](const auto& member) {
        return member.address == address && up(member);
    });
}

/// Looks names up, and again now and then, because the machine behind a name may have been
/// replaced. A name server that does not answer is not asked a second time meanwhile.
void Bootstrap::resolve_names() {
    if (stopped_) return;
    for (const auto& text : names_) {
        if (Endpoint::parse(text) || !asked_.insert(text).second) continue;
        resolve_later(loop_, text, [this, text](Result<std::vector<Endpoint>> found) {
            if (!stopped_) on_resolved(text, std::move(found));
        });
    }
    resolve_timer_.arm_after(resolve_every_);
}

void Bootstrap::on_resolved(const std::string& name, Result<std::vector<Endpoint>> found) {
    asked_.erase(name);
    if (found.has_error()) {
        if (unknown_.insert(name).second) handler_.on_unreachable(found.error().message);
        return;
    }
    found->resize(std::min(found->size(), kAnswersMax));
    named_.insert(found->begin(), found->end());
    add_answers(*found);
}

}  // namespace starling::peer
