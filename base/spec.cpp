#include "base/spec.hpp"

#include <charconv>
#include <cmath>

#include "base/check.hpp"

namespace starling {

namespace {

template <class Number>
bool parse_number(std::string_view text, Number& out) {
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, out);
    return error == std::errc{} && rest == end;
}

/// Puts a question mark for %3F and a percent sign for %25.
std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto code = text.substr(at, 3);
        const bool question = code == "%3F" || code == "%3f";
        plain += question ? '?' : text[at];
        if (question || code == "%25") at += 2;
    }
    return plain;
}

std::string escaped(std::string_view path) {
    std::string text;
    for (std::size_t at = 0; at < path.size(); ++at) {
        const auto code = path.substr(at, 3);
        const bool percent = code == "%3F" || code == "%3f" || code == "%25";
        if (path[at] == '?') {
            text += "%3F";
        } else {
            text += percent ? std::string("%25") : std::string(1, path[at]);
        }
    }
    return text;
}

Fault bad_value(
    const Spec& spec, std::string_view key, std::string_view value, const std::string& allowed
) {
    return fail(
        FaultCode::Usage,
        "'" + spec.name + "': " + std::string(key) + "=" + std::string(value) +
            " is not allowed; give " + allowed
    );
}

}  // namespace

Result<Spec> Spec::parse(std::string_view text) {
    Spec spec;
    const auto question = text.find('?');
    const auto head = text.substr(0, question);
    const auto colon = head.find(':');
    spec.name = std::string(head.substr(0, colon));
    if (colon != std::string_view::npos) spec.path = unescaped(head.substr(colon + 1));
    if (spec.name.empty()) {
        return fail(
            FaultCode::Usage,
            "'" + std::string(text) + "' names nothing; write name?key=value&key=value"
        );
    }
    if (question == std::string_view::npos) return spec;
    auto rest = text.substr(question + 1);
    while (!rest.empty()) {
        const auto ampersand = rest.find('&');
        const auto item = rest.substr(0, ampersand);
        rest =
            ampersand == std::string_view::npos ? std::string_view{} : rest.substr(ampersand + 1);
        const auto equals = item.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            return fail(
                FaultCode::Usage,
                "'" + std::string(text) + "': option '" + std::string(item) + "' wants key=value" +
                    (spec.path.empty() ? "" : "; in a path a ? is written %3F")
            );
        }
        const auto [place, added] = spec.options.emplace(
            std::string(item.substr(0, equals)), std::string(item.substr(equals + 1))
        );
        if (!added) {
            return fail(
                FaultCode::Usage, "'" + std::string(text) + "': " + place->first + " is given twice"
            );
        }
    }
    return spec;
}

std::string Spec::to_string() const {
    std::string text = name;
    if (!path.empty()) text += ":" + escaped(path);
    char separator = '?';
    for (const auto& [key, value] : options) {
        text += separator + key + "=" + value;
        separator = '&';
    }
    return text;
}

Result<std::int64_t> Spec::integer(
    std::string_view key, std::int64_t fallback, std::int64_t low, std::int64_t high
) const {
    const auto found = options.find(key);
    if (found == options.end()) return fallback;
    std::int64_t value = 0;
    if (!parse_number(found->second, value) || value < low || value > high) {
        return bad_value(
            *this,
            key,
            found->second,
            "a whole number from " + std::to_string(low) + " to " + std::to_string(high)
        );
    }
    return value;
}

Result<double> Spec::real(std::string_view key, double fallback, double low, double high) const {
    const auto found = options.find(key);
    if (found == options.end()) return fallback;
    double value = 0.0;
    if (!parse_number(found->second, value) || !std::isfinite(value) || value < low ||
        value > high) {
        return bad_value(
            *this,
            key,
            found->second,
            "a number from " + shortest_text(low) + " to " + shortest_text(high)
        );
    }
    return value;
}

std::string Spec::text(std::string_view key, std::string_view fallback) const {
    const auto found = options.find(key);
    return found == options.end() ? std::string(fallback) : found->second;
}

Result<void> Spec::only(std::string_view known) const {
    for (const auto& [key, value] : options) {
        const std::string padded = "," + std::string(known) + ",";
        if (padded.find("," + key + ",") == std::string::npos) {
            return fail(
                FaultCode::Usage,
                "'" + name + "' has no option '" + key + "'; it takes " +
                    (known.empty() ? std::string("none") : std::string(known))
            );
        }
    }
    return {};
}

std::string shortest_text(double value) {
    char buffer[32];
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
    STARLING_CHECK(error == std::errc{});
    return {buffer, end};
}

}  // namespace starling
