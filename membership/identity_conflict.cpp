#include "membership/identity_conflict.hpp"

namespace starling::membership {

namespace {

/// A newcomer hears of its earlier lives within this time, from its first page or from rumours.
constexpr Duration kArrival = std::chrono::seconds(15);
/// Claims further apart than this belong to different stories.
constexpr Duration kSilence = std::chrono::minutes(10);
/// So many claims make a newcomer yield: it may hear of two or three earlier lives from members that
/// knew different ones.
constexpr int kNewcomerYields = 4;
/// Who was here for so long when the two met stays for two claims more, from step to step. So the
/// younger yields while the elder still contests, unless their ages are alike.
constexpr Duration kAges[] = {
    std::chrono::milliseconds(250),
    std::chrono::seconds(1),
    std::chrono::seconds(4),
    kArrival,
};

}  // namespace

void IdentityConflict::note_contact(Instant now) {
    if (!contact_) contact_ = now;
}

bool IdentityConflict::arriving(Instant now) const {
    return !contact_ || now - *contact_ <= kArrival;
}

IdentityConflict::Verdict IdentityConflict::on_claim(
    Instant now, const Endpoint& ours, const Endpoint& theirs
) {
    if (claims_ > 0 && now - last_ > kSilence) claims_ = 0;
    if (claims_ == 0) age_ = contact_ ? now - *contact_ : Duration::zero();
    last_ = now;
    ++claims_;
    if (claims_ == 1 && age_ <= kArrival) return Verdict::EarlierLife;
    rival_ = theirs;
    int patience = kNewcomerYields;
    for (const auto step : kAges) patience += age_ > step ? 2 : 0;
    // Of two that are alike, the one with the smaller address stays.
    if (ours < theirs) ++patience;
    return claims_ >= patience ? Verdict::Yield : Verdict::Contest;
}

}  // namespace starling::membership
