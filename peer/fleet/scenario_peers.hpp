#pragma once

// The processes of a scenario, and what can be done to them: kill, end, start again, add, pause, slow
// down; and with networks of their own, power off. A peer keeps its number and its state directory through all
// its lives.
//
// A peer that is stopped when we die does not stay so (peer/machine/stop_guard).

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <vector>

#include "base/result.hpp"
#include "peer/fleet/launch.hpp"
#include "peer/fleet/peer_disks.hpp"
#include "peer/fleet/peer_view.hpp"
#include "peer/fleet/spaces.hpp"
#include "peer/machine/process.hpp"
#include "peer/machine/process_usage.hpp"
#include "peer/machine/stop_guard.hpp"
#include "peer/scenario/scenario.hpp"
#include "peer/scenario/view.hpp"

namespace starling::peer {

/// What the peers have that the machine has not. All of it outlives them.
struct Surroundings {
    Spaces* spaces = nullptr;    ///< networks of their own; null: they share loopback
    PeerDisks* disks = nullptr;  ///< disks of their own; null: they share ours
};

/// Thread    the one that runs the io_context
class ScenarioPeers {
public:
    /// What a peer does; slots count from 0. The views are already up to date.
    struct Events {
        std::function<void(std::size_t slot, std::string_view line, const PeerEvent&)> on_line;
        std::function<void(std::size_t slot, std::string_view line)> on_error_line;
        std::function<void(std::size_t slot, ProcessExit how, bool expected)> on_exit;
    };

    ScenarioPeers(
        boost::asio::io_context& io,
        const SwarmOptions& options,
        const Surroundings& surroundings,
        Events events
    )
        : io_(io),
          options_(options),
          spaces_(surroundings.spaces),
          disks_(surroundings.disks),
          events_(std::move(events)) {}

    /// Starts the next peer.
    /// Errors    NotFound, Io
    Result<void> start(const Entry& entry);

    /// Carries out an action. `added` gets the numbers of new peers.
    /// Errors    NotFound, Io (a peer cannot be started); Unsupported
    Result<void> act(const scenario::Action& action, std::vector<std::size_t>& added);

    /// Ends what an action does.
    /// Errors    NotFound, Io (a peer cannot be started)
    Result<void> undo(const scenario::Action& action);

    /// Starts those again whose address changes and that have ended. Call it now and then.
    /// Errors    NotFound, Io (a peer cannot be started); Refused (its network cannot be changed)
    Result<void> restart_moved();

    /// Stops and continues the slowed peers. Call it once every kSlice while slows() holds.
    void next_slice();
    [[nodiscard]] bool slows() const;

    /// A slowed peer runs for one slice of so many. All of them together are shorter than the timeout
    /// of a probe.
    static constexpr Duration kSlice = std::chrono::milliseconds(20);

    /// From now on all peers may end. Those that are stopped go on.
    void release();
    void signal_all(int signal);

    [[nodiscard]] bool anyone_running() const;

    /// Looks at what the processes use. It takes a few system calls for each, so not at every look.
    void look_at_usage();

    [[nodiscard]] const std::vector<PeerView>& views() const { return views_; }

    [[nodiscard]] scenario::View see() const;

private:
    /// A limit of the kernel for one process.
    struct Limit {
        __rlimit_resource resource;
        std::optional<std::uint64_t> before{};  ///< what it was, once we have changed it
    };

    struct Slot {
        std::unique_ptr<Process> process;
        bool paused = false;
        bool may_end = false;
        double slowed = 0;  ///< 0: not
        bool with_dataset = true;
        std::string listened;  ///< where it was last reached
        ProcessUsage uses;     ///< when we last looked
        bool moves = false;    ///< it is to be started again at another address
        Limit descriptors{RLIMIT_NOFILE};
        Limit memory{RLIMIT_DATA};
    };

    Result<void> spawn(std::size_t slot, Entry entry);
    Result<void> hit(const scenario::Action& action, std::size_t peer);
    void end(std::size_t peer, scenario::Verb verb);
    Result<void> release(scenario::Verb verb, std::size_t peer);
    Result<void> break_disk(scenario::Verb verb, std::size_t peer, bool broken);
    static Result<void> limit(const Slot& slot, Limit& limit, std::optional<std::uint64_t> most);
    Result<void> corrupt_checkpoint(std::size_t peer);
    Result<void> restart(std::size_t slot);
    [[nodiscard]] std::string address_of_another(std::size_t slot) const;
    Result<void> add(const scenario::Action& action, std::vector<std::size_t>& added);
    Result<void> guard(const Slot& slot);
    void go_on(Slot& slot);
    void handle_exit(std::size_t slot, ProcessExit how);

    boost::asio::io_context& io_;
    const SwarmOptions& options_;
    Spaces* spaces_;
    PeerDisks* disks_;
    Events events_;
    std::vector<PeerView> views_;
    std::vector<Slot> slots_;
    std::optional<StopGuard> guard_;  ///< once a peer is stopped
    std::string seeds_gone_;  ///< the address of a seed that is gone, and that all had; or empty
    std::uint64_t slice_ = 0;
    bool released_ = false;
};

}  // namespace starling::peer
