// Goal: donors that answer anything, in any order, and newcomers that ask for anything, neither crash a peer
// nor write what is not finite, and what is complete is whole. Method: the input is what three candidates of a
// fetch do, one step after the other; a donor of ours answers requests that are made up.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "base/finite.hpp"
#include "peer/transfer/state_donor.hpp"
#include "peer/transfer/state_fetch.hpp"

namespace {

using namespace starling;
using namespace starling::peer;

constexpr int kStepsMax = 512;
constexpr std::size_t kFloats = 3000;  ///< of a chunk, so it has two units

void require(bool holds) {
    if (!holds) std::abort();
}

class Floats final : public ParameterChunks {
public:
    std::size_t chunk_count() const override { return 3; }

    std::size_t chunk_bytes(std::size_t chunk) const override {
        return (chunk == 2 ? 7 : kFloats) * sizeof(float);
    }

    bool try_read(std::size_t chunk, std::span<std::byte> out) override {
        require(chunk < 3 && out.size() == chunk_bytes(chunk));
        std::memset(out.data(), 0, out.size());
        return true;
    }

    bool write(std::size_t chunk, ByteView bytes) override {
        require(chunk < 3 && bytes.size() == chunk_bytes(chunk));
        std::vector<float> values(bytes.size() / sizeof(float));
        std::memcpy(values.data(), bytes.data(), bytes.size());
        require(all_finite(values));
        ++written;
        return true;
    }

    void initialize() override {}

    int written = 0;
};

PeerId id_of(unsigned n) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(n % 3 + 1);
    return id;
}

class Play {
public:
    explicit Play(ByteView script)
        : script_(script),
          fetch_(floats_, LayoutHash{}, 1, out_),
          donor_(floats_, LayoutHash{}, given_) {}

    void run() {
        const std::vector<PeerId> all{id_of(0), id_of(1), id_of(2)};
        fetch_.set_candidates(now_, all);
        for (int step = 0; step < kStepsMax && script_.ok(); ++step) {
            act(script_.take<std::uint8_t>());
            fetch_.set_candidates(now_, all);
            while (fetch_.poll_note()) {
            }
            if (fetch_.complete()) require(fetch_.chunks_done() == 3 && floats_.written >= 3);
            require(fetch_.complete() || fetch_.timeout().has_value());
        }
    }

private:
    void act(unsigned what) {
        const auto from = id_of(what >> 4U);
        switch (what & 7U) {
            case 0:
                fetch_.handle_info(now_, from, take());
                return;
            case 1:
                fetch_.handle_chunk(now_, from, take());
                return;
            case 2:
                fetch_.handle_broken(now_, from);
                return;
            case 3:
                now_ += std::chrono::milliseconds(script_.take<std::uint16_t>());
                fetch_.handle_timeout(now_);
                return;
            case 4:
                donor_.handle_request(from, take(), false);
                for (const auto& frame : given_)
                    require(frame.payload.size() <= frame_limit(frame.type));
                given_.clear();
                return;
            case 5:
                info(from);
                return;
            default:
                answer((what & 8U) != 0);
        }
    }

    ByteView take() {
        const auto size = std::min<std::size_t>(script_.take<std::uint8_t>(), script_.remaining());
        return script_.take_bytes(size);
    }

    /// One says that it gives.
    void info(const PeerId& from) {
        Bytes payload(40);
        payload.push_back(std::byte{1});
        payload.push_back(std::byte{script_.take<std::uint8_t>()});
        fetch_.handle_info(now_, from, payload);
    }

    /// Who was asked answers what was asked, or says that it is busy.
    void answer(bool busy) {
        if (out_.empty()) return;
        const auto asked = std::move(out_.front());
        out_.pop_front();
        if (asked.type != FrameType::StateRequest) return;
        donor_.handle_request(asked.to, asked.payload, busy);
        require(given_.size() == 1);
        fetch_.handle_chunk(now_, asked.to, given_.front().payload);
        given_.clear();
    }

    ByteReader script_;
    Floats floats_;
    Outbox out_;
    Outbox given_;
    StateFetch fetch_;
    StateDonor donor_;
    Instant now_{std::chrono::seconds(1)};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Play(std::as_bytes(std::span(data, size))).run();
    return 0;
}
