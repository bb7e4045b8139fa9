#include "gossip/outcome.hpp"

namespace starling::gossip {

std::string_view to_string(Outcome outcome) {
    switch (outcome) {
        case Outcome::Committed:
            return "committed";
        case Outcome::Busy:
            return "busy";
        case Outcome::Collapsed:
            return "collapsed";
        case Outcome::Refused:
            return "refused";
        case Outcome::TimedOut:
            return "timed out";
        case Outcome::Disconnected:
            return "disconnected";
        case Outcome::Violated:
            return "violated";
    }
    return "unknown";
}

std::string_view to_string(Misdeed misdeed) {
    constexpr std::array<std::string_view, kMisdeeds> names{
        "none", "malformed", "size", "values", "norm", "order", "lie", "flood", "stall", "own"};
    const auto index = static_cast<std::size_t>(misdeed);
    return index < names.size() ? names[index] : "unknown";
}

bool is_strike(Misdeed misdeed) {
    return misdeed != Misdeed::None && misdeed != Misdeed::Own && misdeed != Misdeed::Stall;
}

}  // namespace starling::gossip
