#include "peer/training/refused_batches.hpp"

namespace starling::peer {

namespace {

constexpr Duration kTellEvery = std::chrono::minutes(1);

}  // namespace

std::optional<std::string> RefusedBatches::handle_fault(Instant now, const Fault& fault) {
    ++untold_;
    if (told_ && now - *told_ < kTellEvery) return std::nullopt;
    told_ = now;
    auto line = untold_ == 1
                    ? std::string("a batch was not used: ")
                    : std::to_string(untold_) + " batches were not used, the last one because of ";
    line += fault.message;
    untold_ = 0;
    return line;
}

}  // namespace starling::peer
