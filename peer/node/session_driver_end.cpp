// How a session's driver ends: the machine first, then the trainer, then who waits for both.

#include <utility>

#include "peer/node/session_driver.hpp"

namespace starling::peer {

void SessionDriver::stop(std::function<void()> stopped) {
    owner_.check();
    when_stopped_.push_back(std::move(stopped));
    begin_stop();
    if (!trainer_ || trainer_ended_) around_.loop.post([this] { on_trainer_ended(); });
}

/// Exchanges in flight go on until the trainer has ended: their partners need not wait for us. Others
/// that ask us meanwhile hear Busy.
void SessionDriver::begin_stop() {
    if (stopped_) return;
    stopped_ = true;
    timer_.cancel();
    upload_timer_.cancel();
    session_.stop();
    gossip_.machine().set_accepting(false);
    if (trainer_) trainer_->begin_stop();
}

void SessionDriver::on_trainer_ended() {
    owner_.check();
    trainer_ended_ = true;
    if (!stopped_) return;  // because of a fault, which its report tells
    // Its last report came after the decisions of the session had ended.
    const auto report = trainer_ ? trainer_->take_report() : std::nullopt;
    if (report) {
        checkpoints_told_ = report->checkpoints;
        if (report->fault) checkpoints_told_.error = report->fault->message;
    }
    gossip_.stop();
    for (const auto& stopped : std::exchange(when_stopped_, {})) stopped();
}

}  // namespace starling::peer
