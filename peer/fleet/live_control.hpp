#pragma once

// Steps of a scenario that come line by line from standard input while it runs. Each line is answered
// by one JSON object when it has been done, and the next one is read then; so a script that reads the
// answers is in step with the run, and what it sends too early waits in its pipe.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/scenario/command.hpp"
#include "peer/scenario/judge.hpp"
#include "peer/scenario/plan.hpp"
#include "peer/scenario/schedule.hpp"
#include "peer/scenario/view.hpp"

namespace starling::peer {

/// Thread    the one that runs the io_context
class LiveControl {
public:
    /// Gets each answer.
    using OnAnswer = std::function<void(const std::string& json)>;

    LiveControl(
        boost::asio::io_context& io,
        const scenario::Scenario& scenario,
        scenario::Plan& plan,
        scenario::Judge& judge,
        OnAnswer on_answer
    );
    ~LiveControl();
    LiveControl(const LiveControl&) = delete;
    LiveControl& operator=(const LiveControl&) = delete;

    /// Opens the plan and reads standard input.
    /// Errors    Io (standard input cannot be read)
    Result<void> start(Instant now);

    /// Answers what is done and takes what comes next. The end of the input closes the plan.
    void poll(Instant now, const scenario::View& view);

    /// The run ends for another reason: whoever waits for an answer is told.
    void abandon(Instant now);

private:
    struct Input;

    bool next_line();
    void take(Instant now, const scenario::View& view);
    Result<void> add_step(scenario::Step step, const scenario::View& view);
    void answer_step(Instant now);
    void answer(Instant now, const std::string& why, nlohmann::ordered_json more);
    void end();

    const scenario::Scenario& scenario_;
    scenario::Plan& plan_;
    scenario::Judge& judge_;
    OnAnswer on_answer_;
    scenario::Resolver resolver_;
    std::shared_ptr<Input> input_;  ///< shared with the read that is under way
    std::size_t line_ = 0;
    std::string command_;                 ///< the line that is answered next
    std::optional<std::size_t> awaited_;  ///< the plan's entry that it became
    std::optional<Instant> began_;
    bool over_ = false;
};

}  // namespace starling::peer
