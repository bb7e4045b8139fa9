#pragma once

// One peer: builds, wires, starts and stops everything, in this order.
//
//   start   state directory and identity; the founder's data; sockets, then the "listening" line;
//           the descriptor (made, fetched or read back); session; membership; introductions
//   stop    session (the compute thread ends, the last checkpoint is written); goodbye through
//           membership; streams; loop
//
// Thread    network

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "data/dataset.hpp"
#include "peer/answers.hpp"
#include "peer/config.hpp"
#include "peer/files.hpp"
#include "peer/http.hpp"
#include "peer/identity.hpp"
#include "peer/introductions.hpp"
#include "peer/links.hpp"
#include "peer/loop.hpp"
#include "peer/membership_driver.hpp"
#include "peer/model_file.hpp"
#include "peer/reporter.hpp"
#include "peer/session.hpp"
#include "peer/status.hpp"
#include "peer/swarm_key.hpp"

namespace starling::peer {

class Node {
public:
    explicit Node(PeerConfig config);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Runs the peer until it has finished, left, or failed.
    /// Errors    of starting (nothing half-written), or of running
    [[nodiscard]] Result<void> run();

private:
    struct Plan {
        Descriptor descriptor;
        Bytes blob;
        compute::ParameterLayout layout;
        Start start = Start::Found;
        std::optional<Checkpoint> checkpoint;
        std::vector<Endpoint> introductions;
        std::string via;
    };

    [[nodiscard]] Result<void> load_state();
    [[nodiscard]] Result<void> load_key();
    [[nodiscard]] Result<void> settle_key(const Descriptor& descriptor, const SwarmId& swarm);
    [[nodiscard]] Result<void> load_founder_data();
    [[nodiscard]] Result<void> bind_sockets();
    [[nodiscard]] Result<Plan> make_plan();
    [[nodiscard]] Result<Plan> plan_founding();
    [[nodiscard]] Result<Plan> plan_joining(const std::vector<Endpoint>& seeds);
    [[nodiscard]] Result<Plan> plan_resuming();
    [[nodiscard]] Result<void> complete(Plan& plan) const;
    void start_session(Plan plan);
    void start_membership(const SwarmId& swarm);
    void introduce_all();
    void introduce(const Endpoint& address);
    void resolve_seeds();
    [[nodiscard]] bool lives_at(const Endpoint& address) const;
    void on_frame(const PeerId& from, FrameType type, ByteView payload);
    void on_member_event(const membership::Event& event);
    void send_pages(const PeerId& to, const std::vector<Bytes>& pages, bool wants_answer);
    void answer_page(const PeerId& from);
    void leave(const std::string& why);
    void end(std::optional<Fault> fault);
    [[nodiscard]] bool founds() const;
    [[nodiscard]] bool founds_members_only() const;
    [[nodiscard]] HttpReply serve(const HttpRequest& request);
    [[nodiscard]] StatusInputs status_inputs() const;
    [[nodiscard]] std::vector<std::string> known_addresses() const;

    PeerConfig config_;
    Reporter reporter_;
    Loop loop_;
    Identity identity_;
    std::optional<SwarmKey> given_key_;  ///< by the user, or kept from the last life
    SwarmKey key_;                       ///< of our swarm
    std::optional<StateLock> lock_;
    std::optional<Checkpoint> checkpoint_;
    std::optional<data::Sharded> founder_data_;
    ModelChoice founder_model_;
    Links links_;
    MembershipDriver membership_;
    HttpServer http_;
    std::unique_ptr<Session> session_;
    Timer introduce_timer_;
    Timer resolve_timer_;
    Timer stop_timer_;
    Timer run_timer_;
    Endpoint listen_;
    Endpoint advertised_;
    Endpoint http_address_;
    SwarmId swarm_;
    Bytes blob_;
    Introductions introductions_;
    Answers answers_;
    std::unordered_set<Endpoint> unreachable_;       ///< seeds whose silence was told
    std::unordered_map<Endpoint, PeerId> greeters_;  ///< who answered at an address that we dialled
    std::unordered_map<PeerId, Endpoint> hints_;     ///< addresses outside the table
    std::uint64_t bad_frames_ = 0;
    std::uint64_t unanswered_pages_ = 0;
    bool started_ = false;
    bool ending_ = false;
    std::optional<Fault> fault_;
};

}  // namespace starling::peer
