#pragma once

// How a peer gets to know others. It dials the addresses that it was given (seeds and the members
// of its last life), looks their names up again, and remembers which peer answered where.
//
// Thread    network

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "membership/swim.hpp"
#include "peer/machine/loop.hpp"
#include "peer/members/seed_schedule.hpp"
#include "peer/streams/links.hpp"

namespace starling::peer {

/// What Bootstrap tells and asks its owner.
class BootstrapHandler {
public:
    virtual ~BootstrapHandler() = default;
    [[nodiscard]] virtual const membership::Swim& table() const = 0;
    /// A peer has answered: it is time to compare tables.
    virtual void on_greeted(const PeerId& peer) = 0;
    /// Nobody answers at a seed's address, or its name is not known; told once for each, with a
    /// line for people.
    virtual void on_unreachable(const std::string& line) = 0;
    /// A peer of another swarm lives where the user has named a seed; told once for each address.
    virtual void on_other_swarm(const Endpoint& seed, const std::string& line) = 0;
};

class Bootstrap {
public:
    /// Looks names up again every `resolve_every`.
    Bootstrap(
        Loop& loop,
        Links& links,
        BootstrapHandler& handler,
        Duration resolve_every = std::chrono::seconds(60)
    );

    /// Starts to dial `addresses`, and those that `names` stand for, and goes on until stop().
    /// `names` are the seeds as the user wrote them; literals among them are left out. Returns at
    /// once; the handler is called later.
    void begin(
        const Endpoint& self,
        const std::vector<std::string>& names,
        const std::vector<Endpoint>& addresses
    );

    /// Dials these as well from now on.
    void add(const std::vector<Endpoint>& addresses);

    /// Dials what one name stands for, as with add(). One of them that answers is enough, so people
    /// are told only when none does: "localhost" is ::1 and 127.0.0.1, and most peers listen on one.
    void add_answers(const std::vector<Endpoint>& addresses);

    void stop();

    /// Remembers where a peer outside the table can be dialled. Above 1,024 peers it forgets the
    /// one that came first.
    void hint(const PeerId& peer, const Endpoint& at);

    /// Returns where a peer outside the table can be dialled, if hint() or an answer has told us.
    [[nodiscard]] std::optional<Endpoint> hint_of(const PeerId& peer) const;

private:
    void dial_due();
    void introduce(const Endpoint& address);
    void on_greeted(const Endpoint& address, const Result<PeerId>& greeted);
    [[nodiscard]] bool has_better(const Endpoint& address) const;
    void resolve_names();
    void on_resolved(const std::string& name, Result<std::vector<Endpoint>> found);
    [[nodiscard]] bool lives_at(const Endpoint& address) const;

    Loop& loop_;
    Links& links_;
    BootstrapHandler& handler_;
    Duration resolve_every_;
    Endpoint self_;
    std::vector<std::string> names_;
    SeedSchedule schedule_;
    std::unordered_set<std::string> asked_;     ///< names whose look-up has not ended
    std::unordered_set<std::string> unknown_;   ///< names reported as unknown
    std::unordered_set<Endpoint> named_;        ///< addresses that the user has named
    std::unordered_set<Endpoint> failed_;       ///< seeds that did not answer
    std::unordered_set<Endpoint> unreachable_;  ///< seeds reported as unreachable
    std::unordered_map<Endpoint, std::vector<Endpoint>> answers_;  ///< all that a name stands for
    std::unordered_map<Endpoint, PeerId> greeters_;  ///< who answered at an address that we dialled
    std::unordered_map<PeerId, Endpoint> hints_;     ///< addresses outside the table
    std::deque<PeerId> hinted_;                      ///< the peers of `hints_`, oldest first
    Timer dial_timer_;
    Timer resolve_timer_;
    bool stopped_ = false;
};

}  // namespace starling::peer
