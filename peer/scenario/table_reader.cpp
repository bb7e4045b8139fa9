#include "peer/scenario/table_reader.hpp"

#include <algorithm>

#include "base/printable.hpp"
#include "peer/scenario/words.hpp"

namespace starling::scenario {

Place place_of(const toml::source_region& region) {
    return {region.begin.line, region.begin.column};
}

void TableReader::fail_at(Place place, const std::string& message) {
    if (fault_) return;
    fault_ = fail(
        FaultCode::Usage, fmt::format("{}:{}:{}: {}", name_, place.line, place.column, message)
    );
}

void TableReader::only(
    const toml::table& table, std::string_view where, std::span<const std::string_view> known
) {
    for (const auto& [key, node] : table) {
        if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
        fail_at(
            place_of(key.source()),
            fmt::format(
                "{} has no '{}'; it has {}", where, excerpt(key.str()), fmt::join(known, ", ")
            )
        );
    }
}

const toml::table* TableReader::section(const toml::table& root, const char* key) {
    const auto* node = root.get(key);
    if (node == nullptr) return nullptr;
    if (!node->is_table()) {
        fail_at(place_of(node->source()), fmt::format("'{0}' is a table: [{0}]", key));
        return nullptr;
    }
    return node->as_table();
}

std::vector<const toml::table*> TableReader::sections(const toml::table& root, const char* key) {
    std::vector<const toml::table*> found;
    const auto* node = root.get(key);
    if (node == nullptr) return found;
    const auto* array = node->as_array();
    const bool right = array != nullptr && array->is_homogeneous(toml::node_type::table);
    if (!right || array->size() > kStepsMax) {
        fail_at(
            place_of(node->source()),
            fmt::format(
                "each '{0}' is a table with two brackets, [[{0}]], at most {1}", key, kStepsMax
            )
        );
        return found;
    }
    for (const auto& entry : *array) found.push_back(entry.as_table());
    return found;
}

void TableReader::text(const toml::table& table, const char* key, std::string& into) {
    const auto* node = table.get(key);
    if (node == nullptr) return;
    const auto* value = node->as_string();
    if (value == nullptr) {
        fail_at(place_of(node->source()), fmt::format("'{}' is a text in double quotes", key));
    } else {
        into = value->get();
    }
}

void TableReader::number(
    const toml::table& table,
    const char* key,
    std::uint64_t least,
    std::uint64_t most,
    std::uint64_t& into
) {
    const auto* node = table.get(key);
    if (node == nullptr) return;
    const auto* value = node->as_integer();
    const bool right = value != nullptr && value->get() >= 0 &&
                       static_cast<std::uint64_t>(value->get()) >= least &&
                       static_cast<std::uint64_t>(value->get()) <= most;
    if (!right) {
        fail_at(
            place_of(node->source()),
            fmt::format("'{}' is a whole number from {} to {}", key, least, most)
        );
    } else {
        into = static_cast<std::uint64_t>(value->get());
    }
}

void TableReader::duration(const toml::table& table, const char* key, Duration& into) {
    into = by(table, key, parse_duration).value_or(into);
}

void TableReader::truth(const toml::table& table, const char* key, bool& into) {
    const auto* node = table.get(key);
    if (node == nullptr) return;
    const auto* value = node->as_boolean();
    if (value == nullptr) {
        fail_at(place_of(node->source()), fmt::format("'{}' is true or false", key));
    } else {
        into = value->get();
    }
}

void TableReader::limit(const toml::table& table, const char* key, std::optional<Duration>& into) {
    std::string value;
    text(table, key, value);
    if (value == "no") {
        into.reset();
    } else if (auto limit = by(table, key, parse_duration)) {
        into = limit;
    }
}

}  // namespace starling::scenario
