#include "compute/graph/node.hpp"

namespace starling::compute {

namespace {

template <class T>
const T* find_as(
    const std::map<std::string, Attribute, std::less<>>& entries, std::string_view key
) {
    const auto found = entries.find(key);
    return found == entries.end() ? nullptr : std::get_if<T>(&found->second);
}

}  // namespace

std::int64_t Attributes::integer(std::string_view key, std::int64_t fallback) const {
    const auto* found = find_as<std::int64_t>(entries_, key);
    return found == nullptr ? fallback : *found;
}

double Attributes::real(std::string_view key, double fallback) const {
    const auto* found = find_as<double>(entries_, key);
    return found == nullptr ? fallback : *found;
}

std::string Attributes::text(std::string_view key, std::string_view fallback) const {
    const auto* found = find_as<std::string>(entries_, key);
    return found == nullptr ? std::string(fallback) : *found;
}

std::vector<std::int64_t> Attributes::integers(
    std::string_view key, std::vector<std::int64_t> fallback
) const {
    const auto* found = find_as<std::vector<std::int64_t>>(entries_, key);
    if (found == nullptr) return fallback;
    return *found;
}

std::vector<double> Attributes::reals(std::string_view key) const {
    const auto* found = find_as<std::vector<double>>(entries_, key);
    return found == nullptr ? std::vector<double>() : *found;
}

}  // namespace starling::compute
