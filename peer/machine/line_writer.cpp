#include "peer/machine/line_writer.hpp"

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <poll.h>
#include <string_view>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace starling::peer {

namespace {

/// Blocks every signal in this thread while it lives, and in the threads that start meanwhile.
class BlockedSignals {
public:
    BlockedSignals() {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }

    ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;

private:
    sigset_t before_{};
};

}  // namespace

struct LineWriter::State {
    const int descriptor;
    const Notice notice;

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::string> queue;
    std::size_t queued_bytes = 0;
    std::uint64_t dropped = 0;
    std::uint64_t untold = 0;  ///< lines dropped since the last notice
    bool writing = false;
    bool ended = false;

    State(int where, Notice tell) : descriptor(where), notice(std::move(tell)) {}

    void push(std::string line) {
        queued_bytes += line.size();
        queue.push_back(std::move(line));
    }

    void run();
    [[nodiscard]] bool write_all(std::string_view bytes) const;
};

/// Returns false if a part could not be written: the reader is gone, or the log's disk is full.
bool LineWriter::State::write_all(std::string_view bytes) const {
    while (!bytes.empty()) {
        const auto put = ::write(descriptor, bytes.data(), bytes.size());
        if (put >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(put));
        } else if (errno == EAGAIN) {
            // Another process has made the descriptor non-blocking for all that share it.
            pollfd wanted{descriptor, POLLOUT, 0};
            (void)::poll(&wanted, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void LineWriter::State::run() {
    bool torn = false;  // the last line may lack its end
    std::unique_lock lock(mutex);
    while (true) {
        changed.wait(lock, [this] { return ended || !queue.empty(); });
        if (queue.empty()) return;
        std::string line = (torn ? "\n" : "") + queue.front() + "\n";
        queued_bytes -= queue.front().size();
        queue.pop_front();
        writing = true;
        lock.unlock();
        torn = !write_all(line);
        lock.lock();
        writing = false;
        if (torn) ++dropped;
        changed.notify_all();
    }
}

LineWriter::LineWriter(int descriptor, Notice notice)
    : state_(std::make_shared<State>(descriptor, std::move(notice))) {
    // A thread that blocks SIGTTOU may write to a terminal from the background, and one that blocks
    // SIGPIPE gets an error instead. Neither signal must stop or end training.
    const BlockedSignals none;
    std::thread([state = state_] { state->run(); }).detach();
}

LineWriter::~LineWriter() {
    const std::scoped_lock lock(state_->mutex);
    state_->ended = true;
    state_->changed.notify_all();
}

void LineWriter::put(std::string line, LineKind kind) {
    const std::scoped_lock lock(state_->mutex);
    auto& state = *state_;
    const bool full = state.queued_bytes >= kProgressBytesMax;
    const bool drops = kind == LineKind::Progress ? full
                       : kind == LineKind::Event  ? state.queued_bytes >= kEventBytesMax
                                                  : false;
    if (drops) {
        ++state.dropped;
        ++state.untold;
        return;
    }
    if (state.untold > 0 && !full) state.push(state.notice(std::exchange(state.untold, 0)));
    state.push(std::move(line));
    state.changed.notify_all();
}

bool LineWriter::drain(std::chrono::nanoseconds at_most) {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, at_most, [this] {
        return state_->queue.empty() && !state_->writing;
    });
}

std::uint64_t LineWriter::dropped() const {
    const std::scoped_lock lock(state_->mutex);
    return state_->dropped;
}

bool same_file(int one, int other) {
    struct stat first {};

    struct stat second {};

    if (::fstat(one, &first) != 0 || ::fstat(other, &second) != 0) return false;
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace starling::peer
