#pragma once

// Reads typed values out of the tables of one TOML file. The first fault ends it: whatever is asked after that does
// nothing. Faults say the file, line and column. The only home of toml++.

#include <cstdint>
#include <fmt/format.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/result.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

[[nodiscard]] Place place_of(const toml::source_region& region);

class TableReader {
public:
    /// `name` is how messages call the file.
    explicit TableReader(std::string_view name) : name_(name) {}

    void fail_at(Place place, const std::string& message);

    [[nodiscard]] const std::optional<Fault>& fault() const { return fault_; }

    /// Refuses keys that are not among `known`. `where` is how messages call the table.
    void only(
        const toml::table& table, std::string_view where, std::span<const std::string_view> known
    );

    /// Returns a table of the file, or null.
    const toml::table* section(const toml::table& root, const char* key);

    /// Returns the tables of an array of tables.
    std::vector<const toml::table*> sections(const toml::table& root, const char* key);

    // Each of these leaves `into` as it is if the key is not there.

    void text(const toml::table& table, const char* key, std::string& into);
    void number(
        const toml::table& table,
        const char* key,
        std::uint64_t least,
        std::uint64_t most,
        std::uint64_t& into
    );
    void truth(const toml::table& table, const char* key, bool& into);
    void duration(const toml::table& table, const char* key, Duration& into);
    /// "no" takes the limit away.
    void limit(const toml::table& table, const char* key, std::optional<Duration>& into);

    /// Reads a text by a function of words.hpp. Returns nothing if the key is not there.
    template <class Read>
    auto by(const toml::table& table, const char* key, Read reader)
        -> std::optional<typename decltype(reader(std::string_view()))::value_type> {
        const auto* node = table.get(key);
        if (node == nullptr || fault_) return {};
        std::string value;
        text(table, key, value);
        if (fault_) return {};
        auto result = reader(std::string_view(value));
        if (!result) {
            fail_at(place_of(node->source()), result.error().message);
            return {};
        }
        return *std::move(result);
    }

private:
    std::string name_;
    std::optional<Fault> fault_;
};

/// Reads `[expect]`.
void read_expect(TableReader& reader, const toml::table& table, Expect& into);

}  // namespace starling::scenario
