#pragma once

// What a session knows of the thing that trains: it takes orders and gives reports. EngineTrainer is
// the one that computes.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/terms/training.hpp"

namespace starling::peer {

class Trainer {
public:
    /// The compute thread calls these from start() until stop() returns.
    struct Callbacks {
        /// There is a report. Post to the network thread, and call take_report() there.
        std::function<void()> report_ready;
        /// An exchange is due. Post here, too.
        std::function<void(std::uint64_t round)> mix_due;
        /// Takes what a checkpoint keeps, and returns. Calls `done` once, on any thread, when the file is on
        /// the disk or has failed; until then it is not called again. May be empty.
        std::function<void(
            const TrainerReport&,
            std::span<const float> optimizer_state,
            std::function<void(Result<void>)> done
        )>
            checkpoint;
        /// A checkpoint is due soon, with so many floats of optimizer state. May be empty.
        std::function<void(std::size_t state)> checkpoint_soon;
        /// The compute thread does nothing any more: the last checkpoint is written, or a fault was
        /// reported. Post here, too.
        std::function<void()> ended;
        /// Takes a line for people. Post here, too; may be empty.
        std::function<void(std::string line)> note;
    };

    Trainer() = default;
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;
    virtual ~Trainer() = default;

    /// Starts the compute thread.
    /// Thread    network, as all below
    virtual void start() = 0;

    /// Replaces the order.
    virtual void order(TrainerOrder order) = 0;

    /// Takes the newest report, if there is one.
    [[nodiscard]] virtual std::optional<TrainerReport> take_report() = 0;

    /// Tells the trainer that a round is over. A trainer that keeps in step with the exchanges waits
    /// for this.
    virtual void mixed(std::uint64_t round) = 0;

    /// Where exchanges go by time: the next one is due when a step ends at this instant or later. Each call
    /// asks for one.
    virtual void mix_from(Instant from) = 0;

    /// From now on the learning rate is so many times what the schedule says.
    virtual void scale_rate(double factor) = 0;

    /// Tells the trainer that an exchange has just averaged the parameters with a partner's.
    virtual void averaged() = 0;

    /// Ends training at once. The compute thread still writes a last checkpoint, which may take long,
    /// and then calls `ended`.
    virtual void begin_stop() = 0;

    /// As begin_stop(), and blocks until the compute thread has ended.
    virtual void stop() = 0;
};

}  // namespace starling::peer
