#include "peer/session/speed.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace starling::peer {

namespace {

constexpr int kUnits = 8;          ///< of an octave
constexpr int kSpan = 6 * kUnits;  ///< 64 medians
constexpr int kWordMax = 64 * kUnits;
/// A word within this of the others' median becomes the median: equal peers keep equal shares.
constexpr int kNear = 1;
constexpr int kEndsMin = 4;
/// What a word may be off by: a factor of 1.5.
const double kOffMax = kUnits * std::log2(1.5);

/// 64 times 2^(i/8), rounded. Nothing is computed with floats that others must compute, too.
constexpr std::array<std::uint32_t, kUnits> kEighths = {64, 70, 76, 83, 91, 99, 108, 117};

constexpr int octave_of(int word) {
    return word >= 0 ? word / kUnits : -((-word + kUnits - 1) / kUnits);
}

}  // namespace

std::optional<std::int16_t> usual_speed(std::span<const TrainingPeer> peers) {
    std::vector<std::int16_t> words;
    for (const auto& peer : peers) {
        if (peer.speed) words.push_back(*peer.speed);
    }
    if (words.empty()) return std::nullopt;
    const auto middle = words.begin() + static_cast<std::ptrdiff_t>((words.size() - 1) / 2);
    std::nth_element(words.begin(), middle, words.end());
    return *middle;
}

std::vector<data::WeightedPeer> weigh(std::span<const TrainingPeer> peers) {
    const int usual = usual_speed(peers).value_or(0);
    std::vector<int> words;
    int least = usual + kSpan;
    for (const auto& peer : peers) {
        words.push_back(std::clamp<int>(peer.speed.value_or(usual), usual - kSpan, usual + kSpan));
        least = std::min(least, words.back());
    }
    // Weights are shifted by whole octaves, so the quotient of two depends on their words alone.
    const int lowest = octave_of(least);
    std::vector<data::WeightedPeer> weighted;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const int octave = octave_of(words[i]);
        const auto eighth = static_cast<std::size_t>(words[i] - octave * kUnits);
        weighted.push_back(
            {peers[i].id, kEighths.at(eighth) << static_cast<unsigned>(octave - lowest)}
        );
    }
    return weighted;
}

void SpeedWord::restart_window() {
    time_ = {};
    done_ = 0;
    ends_ = 0;
}

bool SpeedWord::update(Instant now, const Inputs& inputs) {
    const bool counts = trained_ && inputs.trains && now - seen_ <= kGapMax;
    const auto more = inputs.samples - std::min(inputs.samples, samples_);
    const auto passed = now - seen_;
    trained_ = inputs.trains;
    seen_ = now;
    samples_ = inputs.samples;
    since_word_ += more;
    if (!counts) return false;
    time_since_word_ += passed;
    if (!open_) {
        open_ = more > 0;
        return false;
    }
    time_ += passed;
    if (more == 0) return false;
    done_ += more;
    ++ends_;
    if (!warm_) {
        warm_ = time_ >= kWarm;
        if (warm_) restart_window();
        return false;
    }
    if (word_ && keeps_up(inputs)) return true;
    if (time_ < (word_ ? kLater : kFirst) || ends_ < kEndsMin) return false;
    const double rate = static_cast<double>(done_) / to_seconds(time_);
    restart_window();
    return says(kUnits * std::log2(rate), inputs);
}

/// Says a measured speed, if it is time to.
bool SpeedWord::says(double eighths, const Inputs& inputs) {
    eighths = std::clamp<double>(eighths, -kWordMax, kWordMax);
    if (word_) {
        const bool off = std::abs(eighths + trim_ - static_cast<double>(*word_)) > kOffMax;
        if (!off || since_word_ < inputs.duty) return false;
    }
    auto word = static_cast<std::int16_t>(std::lround(eighths));
    if (inputs.usual && std::abs(word - *inputs.usual) <= kNear) word = *inputs.usual;
    since_word_ = 0;
    time_since_word_ = {};
    trim_ = 0;
    word_ = word;
    return true;
}

/// Takes more or less than fits our speed, in proportion to how far our shards are from where the
/// others' are.
bool SpeedWord::keeps_up(const Inputs& inputs) {
    if (time_since_word_ < kTrimEvery || 2 * since_word_ < inputs.duty) return false;
    const double wanted = std::clamp<double>(kTrimPerEpoch * inputs.lead, -kTrimMax, kTrimMax);
    const auto trim = static_cast<int>(std::lround(wanted));
    if (std::abs(trim - trim_) < kTrimLeast) return false;
    word_ = static_cast<std::int16_t>(*word_ + trim - trim_);
    trim_ = trim;
    since_word_ = 0;
    time_since_word_ = {};
    return true;
}

}  // namespace starling::peer
