#pragma once

// The SPEC syntax of the command line: `name?key=value&key=value` or `name:path?key=value`.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling {

struct Spec {
    std::string name;
    std::string path;  ///< after the first colon, empty without one
    std::map<std::string, std::string, std::less<>> options;

    /// Errors    Usage (empty name, option without '=', key given twice)
    [[nodiscard]] static Result<Spec> parse(std::string_view text);

    /// Returns the canonical text: options in order of key.
    [[nodiscard]] std::string to_string() const;

    /// Typed options with a default. Errors Usage, naming spec, key, value and what is allowed.
    [[nodiscard]] Result<std::int64_t> integer(
        std::string_view key, std::int64_t fallback, std::int64_t low, std::int64_t high
    ) const;
    [[nodiscard]] Result<double> real(
        std::string_view key, double fallback, double low, double high
    ) const;
    [[nodiscard]] std::string text(std::string_view key, std::string_view fallback) const;

    /// Fails when an option is not in `known` (comma-separated), naming what is allowed.
    [[nodiscard]] Result<void> only(std::string_view known) const;
};

/// Returns the shortest decimal text that reads back as the same number.
[[nodiscard]] std::string shortest_text(double value);

}  // namespace starling
