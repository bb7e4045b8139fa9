#pragma once

// The SPEC syntax of the command line: `name?key=value&key=value` or `name:path?key=value`. In a path
// `%3F` stands for a `?`, and `%25` for a `%` that would else be taken so.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling {

struct Spec {
    std::string name;
    std::string path;  ///< the text after the first colon; empty if there is none
    std::map<std::string, std::string, std::less<>> options;

    /// Errors    Usage (empty name, option without '=', a key that is given twice)
    [[nodiscard]] static Result<Spec> parse(std::string_view text);

    /// Returns the canonical text, with the options sorted by key.
    [[nodiscard]] std::string to_string() const;

    /// Return the value of an option, or `fallback` where it is not given.
    /// Errors    Usage (no such number, or out of range); it names spec, key, value and the range
    [[nodiscard]] Result<std::int64_t> integer(
        std::string_view key, std::int64_t fallback, std::int64_t low, std::int64_t high
    ) const;
    [[nodiscard]] Result<double> real(
        std::string_view key, double fallback, double low, double high
    ) const;
    [[nodiscard]] std::string text(std::string_view key, std::string_view fallback) const;

    /// Fails if an option is not in `known`, which is a comma-separated list.
    /// Errors    Usage; it names the option and lists the known ones
    [[nodiscard]] Result<void> only(std::string_view known) const;
};

/// Returns the shortest decimal text that reads back as the same number.
[[nodiscard]] std::string shortest_text(double value);

}  // namespace starling
