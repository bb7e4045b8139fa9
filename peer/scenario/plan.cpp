#include "peer/scenario/plan.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/check.hpp"

namespace starling::scenario {
namespace {

/// Returns whether a fault of this kind lasts until it is undone. A kill is undone by `for` alone.
bool lasting(const Step& step) {
    const auto verb = step.action.verb;
    if (ends_peer(verb)) return step.lasts.has_value();
    return can_be_undone(verb);
}

bool includes(const std::vector<std::size_t>& all, const std::vector<std::size_t>& some) {
    return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace

std::string_view to_string(Phase phase) {
    static constexpr std::string_view kNames[] = {"forming", "storm", "calm", "over"};
    return kNames[static_cast<std::size_t>(phase)];
}

std::string_view to_string(Entry::State state) {
    static constexpr std::string_view kNames[] = {
        "waiting", "asked", "done", "undoing", "undone", "skipped", "failed"};
    return kNames[static_cast<std::size_t>(state)];
}

bool Entry::holds() const {
    return state == State::Done && lasting(step);
}

Plan::Plan(const Scenario& scenario, std::vector<Step> steps) : scenario_(scenario) {
    entries_.reserve(steps.size());
    for (auto& step : steps) add(std::move(step));
}

void Plan::add(Step step) {
    for (const auto* terms : {&step.when.terms, &step.action.terms}) {
        for (const auto& term : *terms) {
            if (term.kind == Term::Kind::Says) wanted_events_.insert({term.peer, term.name});
        }
    }
    entries_.emplace_back().step = std::move(step);
}

void Plan::open(Instant now) {
    open_ = true;
    live_ = true;
    began_ = now;
    storm_ = now;
    phase_ = Phase::Storm;
}

void Plan::handle_event(std::size_t peer, const std::string& event) {
    // Only what a condition waits for is kept, so the memory is bounded.
    if (wanted_events_.contains({peer, event})) said_.insert({peer, event});
}

void Plan::fail_run(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
    phase_ = Phase::Over;
}

void Plan::fail_entry(Entry& entry, const char* what, const std::string& why) {
    entry.state = Entry::State::Failed;
    entry.why = why;
    if (live_) return;
    fail_run(fmt::format(
        "line {}: '{}' could not be {}: {}",
        entry.step.place.line,
        to_string(entry.step.action),
        what,
        why
    ));
}

std::optional<Order> Plan::poll(Instant now, const View& view) {
    advance(now, view);
    if (phase_ == Phase::Storm || phase_ == Phase::Calm) {
        if (auto order = undo_due(now)) return order;
    }
    if (phase_ != Phase::Storm) return {};
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        if (auto order = step_due(now, view, i)) return order;
        if (phase_ != Phase::Storm) return {};
    }
    return {};
}

/// Goes to the next phase when the present one is over.
void Plan::advance(Instant now, const View& view) {
    using State = Entry::State;
    if (!began_) began_ = now;
    if (phase_ == Phase::Forming) {
        const Term all_train;
        if (!holds(all_train, view)) {
            quiet_.reset();
        } else if (!quiet_) {
            quiet_ = now;
        }
        if (quiet_ && now - *quiet_ >= scenario_.quiet) {
            phase_ = Phase::Storm;
            storm_ = now;
        } else if (now - *began_ > scenario_.start) {
            fail_run("not all peers train after " + to_text(scenario_.start));
        }
    }
    if (phase_ == Phase::Storm && !open_) {
        const bool over = std::all_of(entries_.begin(), entries_.end(), [](const Entry& entry) {
            // What has a `for` ends in its time. Everything else ends with the storm.
            if (entry.holds()) return !entry.step.lasts;
            return entry.state == State::Done || entry.state == State::Undone ||
                   entry.state == State::Skipped || entry.state == State::Failed;
        });
        if (over) phase_ = Phase::Calm;
    }
    if (phase_ != Phase::Calm) return;
    const bool undone = std::none_of(entries_.begin(), entries_.end(), [this](const Entry& entry) {
        return (entry.holds() && !for_ever(entry)) || entry.state == State::Undoing;
    });
    if (undone && !calm_) calm_ = now;
    if (!calm_ || now - *calm_ < scenario_.calm) return;
    // A calm that is shorter than what the peers may take to list all of them lasts until they do.
    const auto longest = scaled(scenario_.expect.whole_within.value_or(Duration{}));
    const bool ends = !scenario_.core.empty() || view.active() == 0;
    if (ends || view.whole() || now - *calm_ > longest) phase_ = Phase::Over;
}

/// Returns whether a fault hurts nobody of the core, so that the calm does not end it.
bool Plan::for_ever(const Entry& entry) const {
    const auto& action = entry.step.action;
    if (scenario_.core.empty() || action.who.peers.empty()) return false;
    return std::none_of(action.who.peers.begin(), action.who.peers.end(), [this](std::size_t peer) {
        const auto& core = scenario_.core;
        return std::find(core.begin(), core.end(), peer) != core.end();
    });
}

Duration Plan::scaled(Duration duration) const {
    return from_seconds(slowness_ * to_seconds(duration));
}

std::optional<Order> Plan::undo_due(Instant now) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        auto& entry = entries_[i];
        if (!entry.holds() || (phase_ == Phase::Calm && for_ever(entry))) continue;
        const bool due =
            phase_ == Phase::Calm || (entry.step.lasts && now - *entry.done >= *entry.step.lasts);
        if (!due) continue;
        entry.state = Entry::State::Undoing;
        return Order{i, true};
    }
    return {};
}

/// Returns whether the time of a step has come, apart from its condition.
bool Plan::begun(const Entry& entry, std::size_t index, Instant now) const {
    using State = Entry::State;
    const auto& when = entry.step.when;
    if (when.kind == When::Kind::At) return now - *storm_ >= when.time;
    if (index == 0) return when.kind != When::Kind::After || now - *storm_ >= when.time;
    const auto& before = entries_[index - 1];
    if (before.state == State::Waiting || before.state == State::Asked) return false;
    if (when.kind != When::Kind::After) return true;
    return now - before.done.value_or(*storm_) >= when.time;
}

std::optional<Order> Plan::step_due(Instant now, const View& view, std::size_t index) {
    using State = Entry::State;
    auto& entry = entries_[index];
    if (entry.state != State::Waiting || !begun(entry, index, now)) return {};
    if (!entry.since) entry.since = now;
    auto obstacle = missing(entry.step.when.terms, view);
    if (obstacle.empty()) obstacle = missing(entry.step.action.terms, view);
    if (obstacle.empty()) obstacle = Plan::obstacle(entry.step.action, view);
    if (obstacle.empty()) {
        entry.state = State::Asked;
        entry.asked = now;
        return Order{index, false};
    }
    if (entry.step.optional) {
        entry.state = State::Skipped;
        entry.why = obstacle;
    } else if (now - *entry.since >= scaled(entry.step.deadline)) {
        fail_entry(
            entry, "done", fmt::format("{} after {}", obstacle, to_text(entry.step.deadline))
        );
    }
    return {};
}

/// Returns the first part of a condition that does not hold, as a sentence.
std::string Plan::missing(const std::vector<Term>& terms, const View& view) const {
    for (const auto& term : terms) {
        if (!holds(term, view)) return "the condition '" + to_string(term) + "' did not hold";
    }
    return {};
}

bool Plan::holds(const Term& term, const View& view) const {
    using Kind = Term::Kind;
    switch (term.kind) {
        case Kind::AllTrain: {
            const auto first = view.peers.begin();
            const auto count =
                static_cast<std::ptrdiff_t>(std::min(scenario_.peers, view.peers.size()));
            const bool started = view.peers.size() >= scenario_.peers &&
                                 std::all_of(first, first + count, [](const PeerSeen& peer) {
                                     return peer.started;
                                 });
            return started && view.all_active([](const PeerSeen& peer) { return peer.trains; });
        }
        case Kind::Whole:
            return view.whole();
        case Kind::SpreadBelow:
            return view.all_active([&](const PeerSeen& peer) { return peer.spread < term.value; });
        case Kind::AccuracyAbove:
            return view.all_active([&](const PeerSeen& peer) {
                return peer.accuracy && *peer.accuracy > term.value;
            });
        case Kind::StepAbove:
            return view.all_active([&](const PeerSeen& peer) {
                // A peer that owns no shard makes no steps, but it averages: that is all its training.
                return peer.shards == 0 || static_cast<double>(peer.steps) > term.value;
            });
        case Kind::After:
            return after(term.name);
        case Kind::Says:
            return said_.contains({term.peer, term.name});
    }
    STARLING_UNREACHABLE("all kinds are above");
}

/// Returns whether all steps of this name that have begun are over.
bool Plan::after(const std::string& name) const {
    using State = Entry::State;
    bool any = false;
    for (const auto& entry : entries_) {
        // What a rate has made has the name of its verb, and no step waits for it.
        if (entry.step.name != name || entry.step.optional) continue;
        const bool over = entry.state == State::Undone || entry.state == State::Skipped ||
                          (entry.state == State::Done && !entry.step.lasts);
        if (!over && entry.state != State::Waiting) return false;
        any = any || over;
    }
    return any;
}

/// Returns why an action cannot be done as things stand, or an empty text.
std::string Plan::obstacle(const Action& action, const View& view) {
    for (const auto number : action.who.peers) {
        const auto name = fmt::format("peer {}", number);
        if (number > view.peers.size() || !view.peers[number - 1].started) {
            return name + " has not started";
        }
        const auto& peer = view.peers[number - 1];
        if (peer.leaving && action.verb != Verb::Restart && !is_cut(action.verb)) {
            return name + " is about to end";
        }
        switch (action.verb) {
            case Verb::Restart:
                if (peer.ended) return name + " has trained to its end";
                if (peer.running) return name + " still runs";
                break;
            case Verb::Resume:
                if (!peer.running || !peer.paused) return name + " is not paused";
                break;
            case Verb::Corrupt:
                if (peer.running) return name + " still runs";
                break;
            case Verb::Clock:
                if (peer.ended) return name + " has trained to its end";
                if (goes_back(action) && peer.running) {
                    return name + " runs, and a clock that runs never goes back";
                }
                break;
            case Verb::Kill:
            case Verb::PowerOff:
            case Verb::SeedsGone:
            case Verb::AddressChange:
                if (peer.ended) return name + " has trained to its end";
                if (!peer.running) return name + " does not run";
                break;
            case Verb::Cut:
            case Verb::Isolate:
            case Verb::OneWay:
            case Verb::BlockUdp:
            case Verb::BlockTcp:
            case Verb::Bridge:
            case Verb::MajoritiesRing:
            case Verb::DiskFull:
            case Verb::DiskReadOnly:
            case Verb::Reset:
            case Verb::HalfOpen:
            case Verb::Loss:
            case Verb::Delay:
            case Verb::Jitter:
            case Verb::Duplicate:
            case Verb::Reorder:
            case Verb::Rate:
            case Verb::Mtu:
                break;  // links can be cut whoever runs
            default:
                if (peer.ended) return name + " has trained to its end";
                if (!peer.running) return name + " does not run";
                if (peer.paused) return name + " is paused";
                break;
        }
    }
    return {};
}

bool Plan::settled() const {
    return std::none_of(entries_.begin(), entries_.end(), [this](const Entry& entry) {
        return entry.holds() && !(phase_ == Phase::Calm && for_ever(entry));
    });
}

void Plan::answer(Instant now, const Order& order, const Result<void>& result) {
    STARLING_CHECK(order.entry < entries_.size());
    auto& entry = entries_[order.entry];
    if (!result) {
        return fail_entry(entry, order.undo ? "undone" : "done", result.error().message);
    }
    if (order.undo) {
        entry.state = Entry::State::Undone;
        entry.undone = now;
        return;
    }
    entry.state = Entry::State::Done;
    entry.done = now;
    said_.clear();
    supersede(entry);
}

/// Marks the faults that this step has ended: they need not be undone any more.
void Plan::supersede(const Entry& by) {
    const auto verb = by.step.action.verb;
    const auto& who = by.step.action.who.peers;
    for (auto& entry : entries_) {
        if (!entry.holds() || &entry == &by) continue;
        const auto& victims = entry.step.action.who.peers;
        const auto fault = entry.step.action.verb;
        const bool ended =
            (verb == Verb::Heal && is_cut(fault)) ||
            (verb == Verb::Resume && fault == Verb::Pause && includes(who, victims)) ||
            (verb == Verb::Restart && includes(who, victims) &&
             (ends_peer(fault) || fault == Verb::Pause || fault == Verb::Slow)) ||
            ((ends_peer(verb) || verb == Verb::AddressChange) && includes(who, victims) &&
             (fault == Verb::Pause || fault == Verb::Slow));
        if (!ended) continue;
        entry.state = Entry::State::Undone;
        entry.undone = by.done;
    }
}

}  // namespace starling::scenario
