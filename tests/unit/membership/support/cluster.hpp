#pragma once

// A few Swims in one test, joined by a network that delivers at once, or never. Time jumps from
// deadline to deadline; streams are a swap of pages.

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "membership/swim.hpp"
#include "tests/unit/membership/support/samples.hpp"

namespace starling::membership {

class Cluster {
public:
    struct Node {
        std::unique_ptr<Swim> swim;
        Endpoint address;
        bool up = true;
        bool paused = false;
        std::vector<Event> events;
        std::deque<std::pair<Endpoint, Bytes>> socket;  ///< while paused

        [[nodiscard]] std::size_t count(EventKind kind) const {
            return static_cast<std::size_t>(std::count_if(
                events.begin(), events.end(), [&](const Event& e) { return e.kind == kind; }
            ));
        }

        [[nodiscard]] bool saw(EventKind kind, const PeerId& id) const {
            return std::any_of(events.begin(), events.end(), [&](const Event& e) {
                return e.kind == kind && e.id == id;
            });
        }
    };

    using Link = std::function<bool(std::size_t from, std::size_t to)>;

    explicit Cluster(std::uint64_t seed, SwimConfig config = {}) : rng_(seed), config_(config) {
        config_.swarm = sample_swarm();
    }

    /// Adds `count` nodes that all join through node 0.
    void grow(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const auto index = nodes_.size();
            nodes_.emplace_back();
            start(index, 1);
            if (index > 0) push_pull(index, 0);
        }
    }

    /// Starts node `index` as a new process of the same identity.
    void start(std::size_t index, std::uint64_t epoch, std::uint16_t port = 7000) {
        auto& node = nodes_[index];
        node.address = address_of(static_cast<std::uint8_t>(index + 1));
        node.address.port = port;
        node.up = true;
        node.events.clear();
        node.swim = std::make_unique<Swim>(
            config_, self_of(id(index), node.address, epoch), rng_.fork(index * 100 + epoch), now_
        );
        pump();
    }

    /// Adds the first node, which knows that it founds the swarm.
    void found() {
        grow(1);
        auto self = self_of(id(0), nodes_[0].address, 1);
        self.founder = true;
        nodes_[0].swim = std::make_unique<Swim>(config_, self, rng_.fork(1), now_);
    }

    /// Starts one more process, which has the identity of node `original`.
    void add_copy(std::size_t original, std::uint64_t epoch) {
        nodes_.emplace_back();
        auto& node = nodes_.back();
        node.address = address_of(static_cast<std::uint8_t>(nodes_.size()));
        node.swim = std::make_unique<Swim>(
            config_, self_of(id(original), node.address, epoch), rng_.fork(nodes_.size()), now_
        );
        pump();
    }

    /// Starts node `index` as a new process that may have lived before.
    void start_marked(std::size_t index, std::uint64_t epoch, std::uint64_t mark) {
        auto& node = nodes_[index];
        auto self = self_of(id(index), node.address, epoch);
        self.mark = mark;
        self.lived = true;
        node.up = true;
        node.events.clear();
        node.swim = std::make_unique<Swim>(config_, self, rng_.fork(mark), now_);
    }

    /// Node `a` sends its table to `b`, which answers, as over a stream.
    void meet(std::size_t a, std::size_t b) {
        StreamRequest request{id(b), nodes_[b].address};
        exchange(request, *nodes_[a].swim, *nodes_[b].swim);
        pump();
    }

    void crash(std::size_t index) { nodes_[index].up = false; }

    void pause(std::size_t index) { nodes_[index].paused = true; }

    void resume(std::size_t index) {
        auto& node = nodes_[index];
        node.paused = false;
        // The timer wins the race against the socket: the harder case.
        node.swim->handle_timeout(now_);
        for (auto& [from, bytes] : node.socket) node.swim->handle_datagram(now_, from, bytes);
        node.socket.clear();
        pump();
    }

    void push_pull(std::size_t a, std::size_t b) {
        if (!streams(a, b)) return;
        const auto ours = nodes_[a].swim->push_pull_pages();
        const auto theirs = nodes_[b].swim->push_pull_pages();
        for (const auto& page : ours) (void)nodes_[b].swim->handle_push_pull(now_, page);
        for (const auto& page : theirs) (void)nodes_[a].swim->handle_push_pull(now_, page);
        pump();
    }

    void run(Duration span) {
        const Instant end = now_ + span;
        while (true) {
            Instant next = end;
            for (const auto& node : nodes_) {
                if (!runs(node)) continue;
                if (const auto due = node.swim->poll_timeout()) next = std::min(next, *due);
            }
            now_ = std::max(now_, next);
            if (next >= end) return;
            for (auto& node : nodes_) {
                if (!runs(node)) continue;
                const auto due = node.swim->poll_timeout();
                if (due && *due <= now_) node.swim->handle_timeout(now_);
            }
            ++steps_;
            pump();
        }
    }

    /// Delivers and answers until nothing is left to say.
    void pump() {
        for (bool busy = true; busy;) {
            busy = false;
            for (std::size_t i = 0; i < nodes_.size(); ++i) busy = drain(i) || busy;
        }
    }

    static PeerId id(std::size_t index) { return peer(static_cast<std::uint8_t>(index + 1)); }

    Node& operator[](std::size_t index) { return nodes_[index]; }

    Swim& swim(std::size_t index) { return *nodes_[index].swim; }

    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    [[nodiscard]] Instant now() const { return now_; }

    [[nodiscard]] std::uint64_t steps() const { return steps_; }

    [[nodiscard]] std::optional<MemberState> view(std::size_t observer, std::size_t subject) const {
        const auto member = nodes_[observer].swim->find(id(subject));
        if (!member) return std::nullopt;
        return member->state;
    }

    /// True when every running node holds every running node alive, and nobody else.
    [[nodiscard]] bool whole() const {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            for (std::size_t k = 0; nodes_[i].up && k < nodes_.size(); ++k) {
                if ((view(i, k) == MemberState::Alive) != nodes_[k].up) return false;
            }
        }
        return true;
    }

    Link link = [](std::size_t, std::size_t) { return true; };
    /// What datagrams pass in addition to `link`.
    Link firewall = [](std::size_t, std::size_t) { return true; };
    double loss = 0.0;
    bool refuse_sends_to_down = false;

private:
    bool streams(std::size_t a, std::size_t b) const {
        return link(a, b) && link(b, a) && nodes_[a].up && nodes_[b].up;
    }

    static bool runs(const Node& node) { return node.up && !node.paused; }

    std::size_t index_of(const Endpoint& address) const {
        std::size_t i = 0;
        while (i < nodes_.size() && nodes_[i].address != address) ++i;
        return i;
    }

    bool drain(std::size_t index) {
        if (!runs(nodes_[index]) || !nodes_[index].swim) return false;
        bool busy = false;
        auto& swim = *nodes_[index].swim;
        while (auto datagram = swim.poll_transmit()) {
            busy = true;
            ++datagrams_;
            if (datagram->bytes.size() > kPacketMax) oversized_ = true;
            deliver(index, *datagram);
        }
        while (const auto request = swim.poll_stream()) {
            busy = true;
            const auto to = index_of(request->to);
            if (to == nodes_.size() || nodes_[to].paused) continue;
            ++requests_[static_cast<std::size_t>(request->kind)];
            if (!streams(index, to)) continue;
            if (request->kind == StreamRequest::Kind::Ping) {
                swim.handle_stream_pong(now_, id(to));
            } else {
                exchange(*request, swim, *nodes_[to].swim);
            }
        }
        while (const auto event = swim.poll_event()) nodes_[index].events.push_back(*event);
        return busy;
    }

    void exchange(const StreamRequest& request, Swim& asker, Swim& other) {
        StreamAnswer answer;
        for (const auto& page : asker.pages_for(request)) {
            answer = *other.handle_push_pull(now_, page);
        }
        if (!request.wants_answer()) return;
        for (const auto& page : other.pages_for(answer)) (void)asker.handle_push_pull(now_, page);
    }

    void deliver(std::size_t from, const Datagram& datagram) {
        const auto to = index_of(datagram.to);
        if (to == nodes_.size()) return;
        auto& target = nodes_[to];
        if (!target.up && refuse_sends_to_down) {
            nodes_[from].swim->handle_send_error(now_, datagram.to);
        }
        if (!target.up || !link(from, to) || !firewall(from, to) ||
            (loss > 0.0 && rng_.chance(loss)))
            return;
        if (target.paused) {
            target.socket.emplace_back(nodes_[from].address, datagram.bytes);
            return;
        }
        target.swim->handle_datagram(now_, nodes_[from].address, datagram.bytes);
    }

public:
    [[nodiscard]] bool oversized() const { return oversized_; }

    [[nodiscard]] std::uint64_t datagrams() const { return datagrams_; }

    [[nodiscard]] std::uint64_t requests(StreamRequest::Kind kind) const {
        return requests_[static_cast<std::size_t>(kind)];
    }

private:
    Rng rng_;
    SwimConfig config_;
    Instant now_{};
    std::deque<Node> nodes_;
    std::uint64_t steps_ = 0;
    std::uint64_t datagrams_ = 0;
    std::array<std::uint64_t, 4> requests_{};
    bool oversized_ = false;
};

}  // namespace starling::membership
