#include "peer/start/founding_reader.hpp"

#include <exception>
#include <pthread.h>
#include <utility>

#include "data/reading.hpp"

namespace starling::peer {

FoundingReader::FoundingReader(const std::string& dataset, Job job, std::function<void()> done)
    : progress_("reading " + dataset),
      done_(std::move(done)),
      thread_([this, dataset, job = std::move(job)] { read(dataset, job); }) {}

FoundingReader::~FoundingReader() {
    stop_ = true;
    thread_.join();
}

std::string FoundingReader::progress() const {
    const std::scoped_lock lock(mutex_);
    return progress_;
}

std::optional<Result<Founding>> FoundingReader::take() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(outcome_, std::nullopt);
}

void FoundingReader::read(const std::string& dataset, const Job& job) {
    (void)::pthread_setname_np(::pthread_self(), "reading data");
    const data::Reading reading(
        [this](const std::string& line) {
            const std::scoped_lock lock(mutex_);
            progress_ = line;
        },
        &stop_
    );
    Result<Founding> outcome = Founding{};
    // Memory may be short. An exception that leaves a thread would end the process without a word.
    try {
        outcome = job();
    } catch (const std::exception& error) {
        outcome = fail(FaultCode::Io, "--dataset " + dataset + ": " + error.what());
    }
    {
        const std::scoped_lock lock(mutex_);
        outcome_ = std::move(outcome);
    }
    done_();
}

}  // namespace starling::peer
