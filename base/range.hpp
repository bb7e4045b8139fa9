#pragma once

// Ranges of settings: the test whether a value is inside, and the message when it is not.

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.hpp"

namespace starling {

/// Returns whether the value lies between the bounds, both inclusive. A NaN lies in no range.
template <class T>
[[nodiscard]] constexpr bool within(
    T value, std::type_identity_t<T> low, std::type_identity_t<T> high
) {
    return value >= low && value <= high;
}

/// Returns a Usage fault that names a parameter and its value and says what to give instead.
[[nodiscard]] inline Fault out_of_range(
    std::string_view name, std::string_view value, std::string_view advice
) {
    std::string text(name);
    text.append(" is ").append(value).append("; ").append(advice);
    return fail(FaultCode::Usage, std::move(text));
}

}  // namespace starling
