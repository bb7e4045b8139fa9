#pragma once

// How a peer gets to know others. It dials the addresses that it was given (seeds and the members
// of its last life), looks their names up again, and remembers which peer answered where.
//
// Thread    network

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "peer/machine/loop.hpp"
#include "peer/members/membership_driver.hpp"
#include "peer/members/membership_streams.hpp"
#include "peer/members/seed_schedule.hpp"
#include "peer/streams/links.hpp"

namespace starling::peer {

class Bootstrap {
public:
    using Note = std::function<void(const std::string&)>;

    /// Requires  `links`, `membership` and `streams` outlive this
    Bootstrap(
        Loop& loop,
        Links& links,
        MembershipDriver& membership,
        MembershipStreams& streams,
        Note note
    );

    /// Starts to dial `addresses` and goes on until stop(); sends our table to whoever answers.
    /// `names` are the seeds as the user wrote them. Returns at once; `note` is called later.
    void begin(
        const Endpoint& self,
        const std::vector<std::string>& names,
        const std::vector<Endpoint>& addresses
    );

    void stop();

    /// Remembers where a peer outside the table can be dialled.
    void hint(const PeerId& peer, const Endpoint& at);

    /// Returns where a peer outside the table can be dialled, if hint() or an answer has told us.
    [[nodiscard]] std::optional<Endpoint> hint_of(const PeerId& peer) const;

private:
    void dial_due();
    void introduce(const Endpoint& address);
    void on_greeted(const Endpoint& address, const Result<PeerId>& greeted);
    void resolve_names();
    [[nodiscard]] bool lives_at(const Endpoint& address) const;

    Loop& loop_;
    Links& links_;
    MembershipDriver& membership_;
    MembershipStreams& streams_;
    Note note_;
    Endpoint self_;
    std::vector<std::string> names_;
    SeedSchedule schedule_;
    std::unordered_set<Endpoint> unreachable_;       ///< seeds reported as unreachable
    std::unordered_map<Endpoint, PeerId> greeters_;  ///< who answered at an address that we dialled
    std::unordered_map<PeerId, Endpoint> hints_;     ///< addresses outside the table
    Timer dial_timer_;
    Timer resolve_timer_;
    bool stopped_ = false;
};

}  // namespace starling::peer
