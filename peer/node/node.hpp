#pragma once

// One peer. Node builds, connects, starts and stops all its components, in this order.
//
//   start   state directory and identity; the founder's data; sockets, then the "listening" line;
//           the descriptor (made, fetched or read back); membership; session; seeds
//   stop    session (the compute thread writes the last checkpoint and ends, while the network thread
//           goes on answering); goodbye through membership; streams; loop
//
// Thread    network

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/check.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "peer/http/http.hpp"
#include "peer/machine/loop.hpp"
#include "peer/machine/running.hpp"
#include "peer/members/bootstrap.hpp"
#include "peer/members/dial_back.hpp"
#include "peer/members/membership_driver.hpp"
#include "peer/members/membership_streams.hpp"
#include "peer/node/address_keeper.hpp"
#include "peer/node/session_driver.hpp"
#include "peer/observe/reporter.hpp"
#include "peer/observe/status.hpp"
#include "peer/start/kept_data_set.hpp"
#include "peer/start/local_state.hpp"
#include "peer/start/swarm_plan.hpp"
#include "peer/streams/links.hpp"
#include "peer/terms/config.hpp"

namespace starling::peer {

class Node final : private LinkHandler, private MembershipHandler, private BootstrapHandler {
public:
    explicit Node(PeerConfig config);
    ~Node() override;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Runs the peer. Blocks until it has finished, left, or failed. Call it once.
    /// Errors    those of starting (no file is left half-written), or of running
    [[nodiscard]] Result<void> run();

    /// Waits for lines that are not printed yet, at most one second.
    void flush_lines() { reporter_.flush(); }

private:
    void on_sent(FrameType type, Bytes payload) override;
    void on_broken(const PeerId& partner, const Fault& why) override;
    void on_lane_broken(const PeerId& partner, Lanes lanes, const Fault& why) override;
    void on_small_segments(const Endpoint& partner) override;
    void on_descriptor_wanted(Connection& asker, std::size_t piece) override;
    [[nodiscard]] std::optional<Endpoint> address_of(const PeerId& partner) override;
    void on_member_event(const membership::Event& event) override;
    void on_stream_request(const membership::StreamRequest& request) override;
    [[nodiscard]] bool on_epoch(std::uint64_t epoch) override;
    [[nodiscard]] const membership::Swim& table() const override;
    void on_greeted(const PeerId& peer) override;
    void on_unreachable(const std::string& line) override;
    void on_other_swarm(const Endpoint& seed, const std::string& line) override;

    [[nodiscard]] Result<void> live();
    void note_few_descriptors();
    [[nodiscard]] Result<void> open_state();
    [[nodiscard]] Result<void> look_up_names();
    [[nodiscard]] Result<void> bind_sockets();
    [[nodiscard]] Result<void> bind_streams_and_datagrams(const std::vector<Endpoint>& others);
    [[nodiscard]] Result<void> bind_at(const Endpoint& wanted);
    [[nodiscard]] Result<void> bind_both(const Endpoint& at);
    [[nodiscard]] Result<void> move_towards(const Endpoint& seed);
    [[nodiscard]] std::vector<Endpoint> others_at_start() const;
    [[nodiscard]] Result<void> choose_advertised();
    [[nodiscard]] Result<void> bind_http();
    void write_http_file();
    [[nodiscard]] Result<void> check_founding() const;
    [[nodiscard]] Result<void> read_founding();
    [[nodiscard]] Result<void> read_own(SwarmPlan& plan);
    [[nodiscard]] Result<void> read_own_again(SwarmPlan& plan);
    [[nodiscard]] Result<void> read_own_from(SwarmPlan& plan, const KeptDataSet* kept);
    void keep_data_set(const SwarmPlan& plan);
    [[nodiscard]] Result<Founding> read_files(std::function<Result<Founding>()> job);
    [[nodiscard]] Result<SwarmPlan> make_plan();
    [[nodiscard]] Result<void> become_member(SwarmPlan plan);
    void note_once(const std::string& line);
    [[nodiscard]] std::string rival_at() const;
    void on_signal();
    [[nodiscard]] Introduction introduction(ChannelKeys keys) const;
    void start_session(SwarmPlan plan);
    void start_membership(Start start, ChannelKeys keys);
    void on_contested();
    void end_displaced();
    void publish_watching();
    void end_in_wrong_swarm();
    void look_around();
    [[nodiscard]] AddressBook known_addresses() const;
    void leave(const std::string& why);
    void give_up(const std::string& why);
    void end(std::optional<Fault> fault);
    void stop_session(std::function<void()> stopped);
    void say_goodbye();
    [[nodiscard]] HttpReply serve(const HttpRequest& request);
    [[nodiscard]] StatusInputs status_inputs() const;

    ThreadOwner owner_;
    PeerConfig config_;
    Reporter reporter_;
    Loop loop_;
    LocalState local_;
    PeerId self_;
    std::string life_ = random_life();    ///< which requests over HTTP mean us and no other life
    std::string token_ = random_token();  ///< what requests over HTTP that order us about must know
    std::uint64_t process_ =
        std::random_device{}() | 1U;  ///< tells our streams from those of a copy
    SwarmKey key_;                    ///< the key of our swarm
    std::shared_ptr<const membership::Notary> notary_;
    std::string reading_;  ///< how far a founder has read its data; empty before
    std::optional<Founding> founding_;
    Links links_;
    MembershipDriver membership_;
    MembershipStreams membership_streams_;
    DialBack dial_back_;
    HttpServer http_;
    RunningMark mark_;
    std::unique_ptr<SessionDriver> session_;
    Bootstrap bootstrap_;
    AddressKeeper addresses_;
    Timer lonely_timer_;
    Timer wrong_swarm_timer_;
    Timer stop_timer_;
    Timer run_timer_;

    struct Wanted {
        Endpoint listen, http, advertise;
    };

    Wanted wanted_;  ///< what the flags say, with names looked up
    Endpoint listen_;
    Endpoint advertised_;
    Endpoint http_address_;
    SwarmId swarm_;
    Bytes blob_;
    std::unordered_set<std::string> noted_;  ///< the lines of note_once()
    std::string wrong_swarm_;            ///< what to say if no member of the resumed swarm answers
    Reach told_reach_ = Reach::Unknown;  ///< in the record of a peer that trains nothing
    bool resumed_ = false;
    bool started_ = false;
    bool ending_ = false;
    std::optional<Fault> fault_;
};

}  // namespace starling::peer
