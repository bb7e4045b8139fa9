#pragma once

// Says which action of a scenario is due, as a machine without I/O. The driver tells it the time and
// what it sees of the peers, carries out the orders, and answers whether that was possible. The plan
// remembers what has to be undone. A fault that cannot be carried out fails the run.
//
// A run has phases. Forming: until all peers train. Storm: the steps. Calm: all faults are undone,
// and peers that were not killed for good run; what must hold is judged here. Over.

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/scenario/scenario.hpp"
#include "peer/scenario/view.hpp"

namespace starling::scenario {

enum class Phase : std::uint8_t { Forming, Storm, Calm, Over };

[[nodiscard]] std::string_view to_string(Phase phase);

/// A step and what has become of it.
struct Entry {
    enum class State : std::uint8_t { Waiting, Asked, Done, Undoing, Undone, Skipped, Failed };

    Step step;
    State state = State::Waiting;
    std::optional<Instant> since;  ///< from here its deadline counts
    std::optional<Instant> asked;
    std::optional<Instant> done;
    std::optional<Instant> undone;
    std::string why;  ///< why it was skipped or failed

    /// Returns whether the step changes something that can be undone, and it is not undone yet.
    [[nodiscard]] bool holds() const;
};

[[nodiscard]] std::string_view to_string(Entry::State state);

/// What the driver has to do now: carry out the action of an entry, or undo it.
struct Order {
    std::size_t entry = 0;
    bool undo = false;
};

class Plan {
public:
    /// `steps` come from expand().
    Plan(const Scenario& scenario, std::vector<Step> steps);

    /// Notes that a peer has printed an event.
    void handle_event(std::size_t peer, const std::string& event);

    /// Returns what is due now. Carry it out, call answer(), and ask again until nothing is due.
    /// `now` never decreases.
    [[nodiscard]] std::optional<Order> poll(Instant now, const View& view);

    /// From now on steps come one by one, by add(), and the storm lasts until close(). It begins at once. A
    /// step that cannot be done is marked as failed, and the others go on.
    void open(Instant now);

    void close() { open_ = false; }

    /// Takes a step whose names are resolved.
    void add(Step step);

    /// Says whether an order was carried out.
    void answer(Instant now, const Order& order, const Result<void>& result);

    /// From now on deadlines are so many times as long.
    void slow_down(double factor) { slowness_ = factor; }

    [[nodiscard]] Phase phase() const { return phase_; }

    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

    [[nodiscard]] const Action& action(const Order& order) const {
        return entries_[order.entry].step.action;
    }

    /// Returns whether all train and the storm has not begun.
    [[nodiscard]] bool quiet() const { return phase_ == Phase::Forming && quiet_; }

    /// Returns whether no fault goes on.
    [[nodiscard]] bool settled() const;

    /// Returns why the run has failed, or an empty text.
    [[nodiscard]] const std::string& failure() const { return failure_; }

    /// Returns when the storm has begun; times of the file count from there.
    [[nodiscard]] std::optional<Instant> storm_began() const { return storm_; }

private:
    void fail_run(std::string why);
    void fail_entry(Entry& entry, const char* what, const std::string& why);
    void advance(Instant now, const View& view);
    [[nodiscard]] std::optional<Order> undo_due(Instant now);
    [[nodiscard]] Duration scaled(Duration duration) const;
    [[nodiscard]] bool for_ever(const Entry& entry) const;
    [[nodiscard]] std::optional<Order> step_due(Instant now, const View& view, std::size_t index);
    [[nodiscard]] bool begun(const Entry& entry, std::size_t index, Instant now) const;
    [[nodiscard]] std::string missing(const std::vector<Term>& terms, const View& view) const;
    [[nodiscard]] bool holds(const Term& term, const View& view) const;
    [[nodiscard]] bool after(const std::string& name) const;
    [[nodiscard]] static std::string obstacle(const Action& action, const View& view);
    void supersede(const Entry& by);

    const Scenario& scenario_;
    std::vector<Entry> entries_;
    Phase phase_ = Phase::Forming;
    bool open_ = false;
    bool live_ = false;  ///< it was open
    std::optional<Instant> began_;
    std::optional<Instant> quiet_;  ///< since then all train, and the storm has not begun
    std::optional<Instant> storm_;
    double slowness_ = 1;
    std::optional<Instant> calm_;
    std::set<std::pair<std::size_t, std::string>> wanted_events_;
    std::set<std::pair<std::size_t, std::string>> said_;
    std::string failure_;
};

}  // namespace starling::scenario
