// The part of Session that has batch norm's statistics drawn anew before the last evaluation.

#include "peer/session/session.hpp"

namespace starling::peer {

/// Returns whether the end waits for them. Who has no partner has nobody to join them with; who has lost the last one
/// takes what has come.
bool Session::draws_norms() const {
    const auto stage = norms_.stage();
    const bool begun = stage != NormDraw::Stage::Idle;
    return norms_.wanted() && ending_.phase() == EndingPhase::Settle && settled() &&
           (begun || !roster_.partners().empty()) && stage != NormDraw::Stage::Done;
}

/// Those that come later get our part even when we have gone on.
void Session::update_norms(Instant now) {
    const auto before = norms_.stage();
    if (draws_norms()) norms_.begin(ending_.round(), roster_.partners());
    norms_.update(now, roster_.partners());
    const auto phase = ending_.phase();
    if (phase != EndingPhase::Settle && phase != EndingPhase::Train && norms_.give_up()) {
        notes_.emplace_back(
            "batch norm's statistics were not drawn anew in time: they stay as averaging has left "
            "them"
        );
    }
    if (norms_.stage() != before) give_order();
}

void Session::take_norms(Instant now) {
    const auto before = norms_.stage();
    if (before == NormDraw::Stage::Drawing && report_.norms_drawn == norms_.number()) {
        norms_.handle_drawn(now, report_.norms ? *report_.norms : compute::NormMoments{});
    }
    if (before == NormDraw::Stage::Setting && report_.norms_set == norms_.number()) {
        norms_.handle_set();
    }
    if (norms_.stage() != before) view_due_ = now;
}

}  // namespace starling::peer
