// Goal: no frames and no passing of time break the machine of an exchange, whatever rule and
// encoding: every call returns, what it keeps and has to send stays bounded, nothing that is not
// finite reaches the parameters, and every exchange ends once time passes. Method: two machines
// talk over wires in memory; the input says what happens next: a delivery, as it was sent or with
// bytes changed, twice, or not at all; a frame of the input's own; a step of the clock; a locked
// chunk; a broken stream; an exchange that begins.

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <vector>

#include "base/rng.hpp"
#include "gossip/averager.hpp"

namespace {

using namespace starling;
using namespace starling::gossip;

void require(bool holds) {
    if (!holds) std::abort();
}

/// The input, byte by byte; zeros when it is at its end.
class Script {
public:
    explicit Script(ByteView bytes) : rest_(bytes) {}

    [[nodiscard]] bool empty() const { return rest_.empty(); }

    std::uint8_t byte() {
        if (rest_.empty()) return 0;
        const auto value = std::to_integer<std::uint8_t>(rest_.front());
        rest_ = rest_.subspan(1);
        return value;
    }

    ByteView bytes(std::size_t count) {
        const auto taken = rest_.first(std::min(count, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }

private:
    ByteView rest_;
};

/// A few chunks, the last of which is an averaged buffer.
class Floats final : public ParameterVector {
public:
    explicit Floats(Rng rng) {
        for (auto& chunk : chunks_) {
            for (auto& value : chunk) value = static_cast<float>(rng.normal());
        }
    }

    [[nodiscard]] Element element() const override { return Element::F32; }

    [[nodiscard]] std::size_t chunk_count() const override { return chunks_.size(); }

    [[nodiscard]] std::size_t chunk_elements(std::size_t chunk) const override {
        return chunks_[chunk].size();
    }

    [[nodiscard]] bool is_buffer(std::size_t chunk) const override {
        return chunk + 1 == chunks_.size();
    }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override {
        if (locked > 0) return --locked, false;
        require(out.size() == chunks_[chunk].size() * sizeof(float));
        std::memcpy(out.data(), chunks_[chunk].data(), out.size());
        return true;
    }

    [[nodiscard]] bool try_add(std::size_t chunk, ByteView delta) override {
        if (locked > 0) return --locked, false;
        require(delta.size() == chunks_[chunk].size() * sizeof(float));
        for (std::size_t i = 0; i < chunks_[chunk].size(); ++i) {
            float value = 0.0F;
            std::memcpy(&value, delta.data() + i * sizeof(float), sizeof(float));
            // The store keeps an element whose sum would overflow; the delta itself is finite.
            require(std::isfinite(value));
            const float sum = chunks_[chunk][i] + value;
            if (std::isfinite(sum)) chunks_[chunk][i] = sum;
        }
        return true;
    }

    int locked = 0;

private:
    std::array<std::vector<float>, 4> chunks_{
        std::vector<float>(33),
        std::vector<float>(5),
        std::vector<float>(1),
        std::vector<float>(3)};
};

PeerId id_of(std::size_t index) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(index + 1);
    return id;
}

AveragerConfig config_from(Script& script) {
    constexpr std::array<const char*, 3> rules{"pairwise", "push-sum", "noloco"};
    constexpr std::array<Encoding, 4> encodings{
        Encoding::F32, Encoding::Bf16, Encoding::Lattice8, Encoding::Lattice4};
    AveragerConfig config;
    const auto choice = script.byte();
    config.mix = *Mix::parse(rules[choice % rules.size()]);
    config.encoding = encodings[choice / 4 % encodings.size()];
    // Push-sum has no lattice.
    if (config.mix.rule == Rule::PushSum && choice / 4 % encodings.size() > 1) {
        config.encoding = Encoding::Bf16;
    }
    config.parts = 1 + choice / 64;
    config.window_bytes = 200;
    config.strikes = script.byte() % 4;
    return config;
}

class Pair {
public:
    explicit Pair(const AveragerConfig& config) {
        for (std::size_t i = 0; i < 2; ++i) {
            vectors_.push_back(std::make_unique<Floats>(Rng(i + 1)));
            machines_.emplace_back(config, id_of(i), LayoutHash{}, *vectors_[i], Rng(i + 3));
        }
        for (std::size_t i = 0; i < 2; ++i) machines_[i].peer_up(now_, id_of(1 - i));
    }

    void turn(Script& script) {
        const auto what = script.byte();
        const std::size_t who = what & 1U;
        auto& machine = machines_[who];
        switch (what / 2 % 8) {
            case 0:
                (void)machine.begin_exchange(now_);
                break;
            case 1:
                pass(std::chrono::microseconds(1U << script.byte() % 24U));
                break;
            case 2:
                frame_of(script.bytes(script.byte()), who);
                break;
            case 3:
                deliver_changed(who, script);
                break;
            case 4:
                vectors_[who]->locked = script.byte() % 4;
                break;
            case 5:
                command(machine, script.byte());
                break;
            case 6:
                deliver(who, true);
                break;
            default:
                deliver(who, false);
                break;
        }
        drain();
    }

    /// All that was begun ends, if only time passes.
    void finish_exchanges() {
        for (auto& vector : vectors_) vector->locked = 0;
        for (auto& wire : wires_) wire.clear();
        for (int turns = 0; turns < 10000; ++turns) {
            std::optional<Instant> next;
            for (const auto& machine : machines_) {
                const auto timeout = machine.poll_timeout();
                if (timeout && (!next || *timeout < *next)) next = timeout;
            }
            if (!next) return;
            now_ = std::max(now_, *next);
            pass(Duration::zero());
            for (auto& wire : wires_) wire.clear();
        }
        std::abort();
    }

private:
    void pass(Duration time) {
        now_ += time;
        for (auto& machine : machines_) machine.handle_timeout(now_);
        drain();
    }

    void frame_of(ByteView frame, std::size_t to) {
        (void)machines_[to].handle_frame(now_, id_of(1 - to), frame);
    }

    void deliver(std::size_t to, bool twice) {
        if (wires_[to].empty()) return;
        const Bytes frame = std::move(wires_[to].front());
        wires_[to].pop_front();
        frame_of(frame, to);
        if (twice) frame_of(frame, to);
    }

    void deliver_changed(std::size_t to, Script& script) {
        if (wires_[to].empty()) return;
        Bytes frame = std::move(wires_[to].front());
        wires_[to].pop_front();
        for (int changes = 1 + script.byte() % 4; changes > 0 && !frame.empty(); --changes) {
            const std::size_t at = script.byte() % frame.size();
            frame[at] ^= static_cast<std::byte>(script.byte());
        }
        frame_of(frame, to);
    }

    void command(Averager& machine, std::uint8_t which) {
        const auto index = static_cast<std::size_t>(&machine - machines_.data());
        switch (which % 8) {
            case 0:
                machine.set_ghost((which & 8U) != 0);
                break;
            case 1:
                machine.set_settling((which & 8U) != 0);
                break;
            case 2:
                machine.set_accepting((which & 8U) != 0);
                break;
            case 3:
                machine.peer_down(now_, id_of(1 - index));
                machine.peer_up(now_, id_of(1 - index));
                break;
            case 4:
                machine.adopt_parameters();
                break;
            case 5:
                (void)machine.begin_round(now_, which / 8);
                break;
            default:
                for (auto& wire : wires_) wire.clear();
                for (std::size_t i = 0; i < 2; ++i) {
                    machines_[i].handle_disconnect(now_, id_of(1 - i));
                }
                break;
        }
    }

    void drain() {
        for (std::size_t i = 0; i < 2; ++i) {
            while (auto out = machines_[i].poll_transmit()) {
                require(out->to == id_of(1 - i));
                wires_[1 - i].push_back(std::move(out->frame));
            }
            while (const auto event = machines_[i].poll_event()) {
                require(event->chunks_half_applied <= event->chunks_applied);
            }
            // Four chunks in three parts, requests, answers: a few frames each, not one a turn.
            if (wires_[i].size() > 500) wires_[i].pop_front();
        }
    }

    Instant now_{};
    std::vector<std::unique_ptr<Floats>> vectors_;
    std::vector<Averager> machines_;
    std::array<std::deque<Bytes>, 2> wires_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Script script(std::as_bytes(std::span(data, size)));
    Pair pair(config_from(script));
    for (int turns = 0; turns < 2000 && !script.empty(); ++turns) pair.turn(script);
    pair.finish_exchanges();
    return 0;
}
