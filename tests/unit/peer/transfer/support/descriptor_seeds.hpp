#pragma once

// The seeds of a newcomer that fetches its descriptor, as scripts, and the clock.

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "peer/terms/descriptor.hpp"
#include "peer/transfer/descriptor_fetch.hpp"
#include "tests/support/peer_id.hpp"

namespace starling::peer {

inline std::array<std::uint8_t, 32> hash_of(ByteView blob) {
    return swarm_id_of(blob).bytes;
}

inline Endpoint seed_at(std::uint16_t port) {
    return Endpoint::v4(0x7f000001, port);
}

inline Bytes piece(std::size_t total, std::size_t offset, ByteView data) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.put(static_cast<std::uint32_t>(total));
    writer.put(static_cast<std::uint32_t>(offset));
    writer.put_bytes(data);
    return payload;
}

class DescriptorFetchTest : public ::testing::Test {
protected:
    static constexpr Duration kPatience = std::chrono::seconds(10);
    static inline const PeerId kSelf = peer_id(1);

    using Seed = std::function<void(DescriptorFetch::Command::Kind, const Endpoint&)>;

    void begin(const std::vector<Endpoint>& seeds) {
        fetch_.emplace(now_, seeds, kSelf, kPatience, hash_of);
        drain();
    }

    /// Carries out the commands, with the seeds as the other side.
    void drain() {
        while (true) {
            while (const auto note = fetch_->poll_note()) notes_.push_back(*note);
            const auto command = fetch_->poll_command();
            if (!command) return;
            if (command->kind == DescriptorFetch::Command::Kind::Dial) {
                EXPECT_TRUE(open_.insert(command->to).second) << "two streams to one seed";
                EXPECT_LE(open_.size(), DescriptorFetch::kAtOnce);
                dialled_.push_back(command->to);
            }
            EXPECT_TRUE(open_.contains(command->to));
            if (command->kind == DescriptorFetch::Command::Kind::Close) {
                ++closes_;
                close(command->to, "thank you", FaultCode::Closed);
            } else {
                seeds_.at(command->to)(command->kind, command->to);
            }
        }
    }

    void close(const Endpoint& at, const std::string& why, FaultCode code) {
        open_.erase(at);
        fetch_->handle_closed(now_, at, fail(code, why));
    }

    /// Fires one timer after the other until the fetch has an outcome or no timer is left.
    void run() {
        while (!fetch_->outcome() && fetch_->poll_timeout()) {
            now_ = std::max(now_, *fetch_->poll_timeout());
            fetch_->handle_timeout(now_);
            drain();
        }
    }

    [[nodiscard]] Fault fault() const { return fetch_->outcome()->error(); }

    Seed refusing() {
        return [this](DescriptorFetch::Command::Kind, const Endpoint& at) {
            close(at, "cannot reach it", FaultCode::Unreachable);
        };
    }

    /// A seed that greets and gives the blob in two pieces.
    Seed honest() {
        return [this](DescriptorFetch::Command::Kind kind, const Endpoint& at) {
            if (kind == DescriptorFetch::Command::Kind::Dial) {
                fetch_->handle_greeted(now_, at, peer_id(2), swarm_id_of(blob_));
            } else {
                const ByteView blob(blob_);
                fetch_->handle_piece(now_, at, piece(blob.size(), 0, blob.first(60)));
                fetch_->handle_piece(now_, at, piece(blob.size(), 60, blob.subspan(60)));
            }
        };
    }

    /// A seed that greets honestly and then answers with one payload.
    Seed answering(Bytes payload) {
        return [this, payload = std::move(payload)](
                   DescriptorFetch::Command::Kind kind, const Endpoint& at
               ) {
            if (kind == DescriptorFetch::Command::Kind::Dial) {
                fetch_->handle_greeted(now_, at, peer_id(2), swarm_id_of(blob_));
            } else {
                fetch_->handle_piece(now_, at, payload);
            }
        };
    }

    Instant now_{std::chrono::seconds(100)};
    Bytes blob_ = Bytes(100, std::byte{7});
    std::map<Endpoint, Seed> seeds_;
    std::optional<DescriptorFetch> fetch_;
    std::vector<Endpoint> dialled_;
    std::vector<std::string> notes_;
    int closes_ = 0;
    std::set<Endpoint> open_;  ///< streams
};

}  // namespace starling::peer
