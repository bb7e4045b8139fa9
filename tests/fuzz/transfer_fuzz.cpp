// Goal: a seed that sends a descriptor in any pieces, in any order, with any totals, costs a newcomer no
// more memory than it has sent, and gives it only a blob that has the swarm's hash. Method: the input is
// what a seed does, one step after the other: it greets, sends a piece with any numbers, says that it is
// not ready, closes, or lets time pass.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "peer/terms/descriptor.hpp"
#include "peer/transfer/descriptor_fetch.hpp"

namespace {

using namespace starling;
using namespace starling::peer;
using Command = DescriptorFetch::Command;

constexpr int kStepsMax = 256;

void require(bool holds) {
    if (!holds) std::abort();
}

/// No hash: a seed that knows this one could send anything. It stands for one that nobody can turn back.
std::array<std::uint8_t, 32> sum_of(ByteView blob) {
    std::array<std::uint8_t, 32> sum{};
    for (std::size_t i = 0; i < blob.size(); ++i) {
        sum[i % sum.size()] = static_cast<std::uint8_t>(
            sum[i % sum.size()] * 31 + std::to_integer<std::uint8_t>(blob[i])
        );
    }
    return sum;
}

class Seed {
public:
    explicit Seed(ByteView script)
        : script_(script),
          fetch_(now_, {at_}, PeerId{}, std::chrono::seconds(10), sum_of) {}

    void play() {
        for (int step = 0; step < kStepsMax && script_.ok() && !fetch_.outcome(); ++step) {
            carry_out();
            if (!fetch_.outcome()) act(script_.take<std::uint8_t>() % 6);
            require(fetch_.held_bytes() <= sent_ && fetch_.held_bytes() <= kDescriptorMax);
        }
        carry_out();
        if (!fetch_.outcome() || fetch_.outcome()->has_error()) return;
        const auto& got = **fetch_.outcome();
        require(SwarmId{sum_of(got.blob)} == got.swarm);
    }

private:
    void carry_out() {
        while (fetch_.poll_note()) {
        }
        while (const auto command = fetch_.poll_command()) {
            if (command->kind == Command::Kind::Ask) sent_ = 0;
            if (command->kind == Command::Kind::Dial) require(!std::exchange(open_, true));
            if (command->kind == Command::Kind::Close) close();
        }
    }

    void close() {
        if (!std::exchange(open_, false)) return;
        fetch_.handle_closed(now_, at_, fail(FaultCode::Closed, "closed"));
    }

    void act(unsigned what) {
        if (what == 0) {
            PeerId id;
            id.bytes[0] = 1;
            fetch_.handle_greeted(now_, at_, id, SwarmId{script_.take_array<32>()});
        } else if (what == 1) {
            fetch_.handle_not_yet(now_, at_, script_.take_text());
        } else if (what == 2) {
            close();
        } else if (what == 3) {
            now_ += std::chrono::milliseconds(script_.take<std::uint16_t>());
            fetch_.handle_timeout(now_);
        } else {
            // A piece as it comes: total, offset, bytes.
            const auto size =
                std::min<std::size_t>(script_.take<std::uint8_t>(), script_.remaining());
            const auto payload = script_.take_bytes(size);
            sent_ += payload.size();
            fetch_.handle_piece(now_, at_, payload);
        }
    }

    Endpoint at_ = Endpoint::v4(0x7f000001, 1);
    Instant now_{std::chrono::seconds(1)};
    ByteReader script_;
    DescriptorFetch fetch_;
    std::size_t sent_ = 0;  ///< bytes of pieces since we were asked
    bool open_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Seed(std::as_bytes(std::span(data, size))).play();
    return 0;
}
