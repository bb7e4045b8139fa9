#pragma once

// Peers with real streams on loopback, for the tests of Links. Every wait has a deadline.

#include <algorithm>
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <new>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "peer/machine/loop.hpp"
#include "peer/streams/dial.hpp"
#include "peer/streams/links.hpp"
#include "tests/support/introductions.hpp"
#include "tests/support/peer_id.hpp"

namespace starling::peer {

struct Received {
    PeerId from;
    FrameType type;
    Bytes payload;
};

/// One peer's streams, and a record of what has come.
class End final : public LinkHandler, public FrameReceiver {
public:
    /// `process` tells apart two with one id. Without a swarm it only accepts early.
    End(Loop& loop, std::uint8_t swarm, std::uint64_t process = 0)
        : End(loop, new_introduction(swarm, process)) {}

    End(Loop& loop, Introduction introduction)
        : id(introduction.ours.id),
          introduction_(introduction) {
        links = std::make_unique<Links>(loop, *this);
        links->route(FrameType::Exchange, *this);
        links->route(FrameType::StateInfoRequest, *this);
        const auto bound = links->bind(Endpoint::v4(0x7f000001, 0));
        EXPECT_TRUE(bound.has_value());
        address = *bound;
        introduction.ours.address = address;
        if (introduction.ours.swarm.is_zero()) {
            links->open_early(std::move(introduction));
        } else {
            links->open(std::move(introduction));
        }
    }

    /// Returns how another process with this identity introduces itself.
    [[nodiscard]] Introduction copy(std::uint64_t process) const {
        auto introduction = introduction_;
        introduction.ours.process = process;
        return introduction;
    }

    void handle_frame(const PeerId& from, FrameType type, ByteView payload) override {
        if (throws) throw std::bad_alloc();
        received.push_back({from, type, Bytes(payload.begin(), payload.end())});
    }

    void on_sent(FrameType, Bytes) override {}

    void on_broken(const PeerId& partner, const Fault&) override { broken.push_back(partner); }

    void on_lane_broken(const PeerId&, Lanes lanes, const Fault&) override {
        broken_lanes.push_back(lanes);
    }

    void on_descriptor_wanted(Connection& asker, std::size_t piece) override {
        ++descriptor_requests;
        if (piece < pieces) asker.send(FrameType::DescriptorPiece, Bytes(kPayloadMax));
        most_queued = std::max(most_queued, asker.queued_bytes());
    }

    std::optional<Endpoint> address_of(const PeerId& partner) override {
        const auto found = book.find(partner);
        if (found == book.end()) return std::nullopt;
        return found->second;
    }

    PeerId id;
    Endpoint address;
    std::map<PeerId, Endpoint> book;
    std::vector<Received> received;
    std::vector<PeerId> broken;
    std::vector<Lanes> broken_lanes;
    int descriptor_requests = 0;
    std::size_t pieces = 0;  ///< of the descriptor
    std::size_t most_queued = 0;
    bool throws = false;  ///< frames find no memory
    std::unique_ptr<Links> links;

private:
    Introduction introduction_;
};

/// A stream whose frames the test chooses.
class Raw final : public ConnectionHandler {
public:
    Raw(Loop& loop, const Endpoint& to, Introduction introduction) {
        dial(loop, to, std::chrono::seconds(5), *this, [this, introduction](auto dialled) {
            ASSERT_TRUE(dialled.has_value()) << dialled.error().message;
            connection = *dialled;
            connection->start(introduction, std::chrono::seconds(5));
        });
    }

    void on_hello(Connection&) override { greeted = true; }

    void on_greeted(Connection&) override {}

    void on_frame(Connection&, FrameType type, ByteView) override { frames.push_back(type); }

    void on_sent(Connection&, FrameType, Bytes) override {}

    void on_closed(Connection&, const Fault& why) override { closed = why; }

    ConnectionPtr connection;
    bool greeted = false;
    std::vector<FrameType> frames;
    std::optional<Fault> closed;
};

class LinksTest : public ::testing::Test {
protected:
    /// Runs the loop until `done` is true. Returns false after ten seconds.
    bool run_until(const std::function<bool()>& done) {
        bool late = false;
        Timer deadline(loop_, [&late] { late = true; });
        deadline.arm_after(std::chrono::seconds(10));
        loop_.run_until([&] { return done() || late; });
        return !late;
    }

    /// Returns a plain non-blocking socket that is connected to a peer.
    static int raw_socket(const Endpoint& to) {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(to.port);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        ::fcntl(fd, F_SETFL, O_NONBLOCK);
        return fd;
    }

    /// Returns how many bytes have come, -1 while none have, or 0 when the other side has closed.
    static ssize_t poll_socket(int fd) {
        char buffer[256];
        return ::recv(fd, buffer, sizeof(buffer), 0);
    }

    Loop loop_;
};

}  // namespace starling::peer
