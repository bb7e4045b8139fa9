#include "peer/transfer/donor_trial.hpp"

#include <algorithm>

namespace starling::peer {

namespace {

/// How long a trial takes: enough answers, and enough round trips.
Duration length_of(std::span<const DonorTrial::Donor> donors) {
    double sum = 1.0;
    std::size_t piece = 0;
    Duration far{};
    for (const auto& donor : donors) {
        sum += donor.rate;
        piece = std::max(piece, donor.piece);
        far = std::max(far, donor.round_trip);
    }
    const auto answers = from_seconds(DonorTrial::kAnswers * static_cast<double>(piece) / sum);
    return std::max({DonorTrial::kLeast, 4 * far, answers});
}

std::span<const DonorTrial::Donor>::iterator slowest_of(std::span<const DonorTrial::Donor> donors) {
    return std::min_element(donors.begin(), donors.end(), [](const auto& a, const auto& b) {
        return a.rate < b.rate;
    });
}

}  // namespace

void DonorTrial::changed(Instant now) {
    rests_.reset();
    fell_ = false;
    let_go_at_ = 0.0;
    measure(now, Stage::Idle);
    due_ = now + kFirstAfter;
}

void DonorTrial::measure(Instant now, Stage stage) {
    stage_ = stage;
    since_ = now;
    bytes_ = 0;
    due_ = now + length_;
}

double DonorTrial::measured(Instant now) const {
    return static_cast<double>(bytes_) / std::max(to_seconds(now - since_), 1e-9);
}

std::optional<PeerId> DonorTrial::advance(Instant now, std::span<const Donor> donors) {
    if (stage_ == Stage::Drain) {
        const auto at = std::find_if(donors.begin(), donors.end(), [this](const Donor& donor) {
            return donor.id == rests_;
        });
        if (at == donors.end()) {
            changed(now);
        } else if (at->in_flight == 0) {
            measure(now, Stage::Without);
        }
    }
    if (due_ > now) return std::nullopt;
    switch (stage_) {
        case Stage::Idle:
            return begin(now, donors);
        case Stage::With:
            with_ = measured(now);
            if (donors.size() >= 2) rests_ = slowest_of(donors)->id;
            measure(now, donors.size() < 2 ? Stage::Idle : Stage::Drain);
            return std::nullopt;
        case Stage::Drain:  // it keeps what it was asked for; its silence is no business of ours
            rests_.reset();
            measure(now, Stage::Idle);
            due_ = now + kRest * length_;
            return std::nullopt;
        case Stage::Without:
            return judge(now);
    }
    return std::nullopt;
}

std::optional<PeerId> DonorTrial::begin(Instant now, std::span<const Donor> donors) {
    fell_ = let_go_at_ > 0.0 && measured(now) < let_go_at_ / 2.0;
    const double sum = measured(now);
    length_ = length_of(donors);
    measure(now, donors.size() < 2 ? Stage::Idle : Stage::With);
    if (donors.size() < 2) return std::nullopt;
    // What is far slower than the others together need not rest to show it.
    double others = 0.0;
    const auto slowest = slowest_of(donors);
    for (const auto& donor : donors) others += donor.rate;
    others -= slowest->rate;
    if (slowest->rate <= 0.0 || slowest->rate >= kWorth * others) return std::nullopt;
    measure(now, Stage::Idle);
    let_go_at_ = sum;
    return slowest->id;
}

std::optional<PeerId> DonorTrial::judge(Instant now) {
    const double without = measured(now);
    const auto rested = rests_;
    rests_.reset();
    measure(now, Stage::Idle);
    if (with_ < (1.0 + kWorth) * without) {
        let_go_at_ = without;
        return rested;
    }
    due_ = now + kRest * length_;
    return std::nullopt;
}

}  // namespace starling::peer
