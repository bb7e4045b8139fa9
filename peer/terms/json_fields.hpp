#pragma once

// The fields of one JSON object, read by name. The first thing that is wrong is kept with its place and spoils all that
// follows, as a ByteReader does; so a caller looks once, at the end.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace starling::peer {

/// Thread    any one at a time
class JsonFields {
public:
    /// `wrong` stays empty while all is well. It and `object` outlive the fields.
    JsonFields(const nlohmann::json& object, std::string where, std::string& wrong);

    [[nodiscard]] bool has(const char* key) const;

    /// Return a field that must be there.
    [[nodiscard]] std::string text(const char* key);
    [[nodiscard]] std::uint32_t whole(const char* key, std::uint32_t largest);
    [[nodiscard]] float real(const char* key);
    [[nodiscard]] bool flag(const char* key);
    /// A list of at most so many items; an empty one if anything is wrong.
    [[nodiscard]] std::vector<std::string> texts(const char* key, std::size_t most);
    [[nodiscard]] std::vector<float> reals(const char* key, std::size_t most);
    /// Returns an object's fields.
    [[nodiscard]] JsonFields object(const char* key);

    /// Calls `each` with the fields of each object in a list.
    template <class Each>
    void objects(const char* key, std::size_t most, const Each& each) {
        const auto* list = list_of(key, most);
        for (std::size_t i = 0; list != nullptr && i < list->size() && wrong_.empty(); ++i) {
            each(JsonFields((*list)[i], place(key) + "[" + std::to_string(i) + "]", wrong_));
        }
    }

    /// Returns the value that a name stands for.
    template <class Value>
    [[nodiscard]] Value choice(
        const char* key, std::span<const std::pair<const char*, Value>> names
    ) {
        const auto given = text(key);
        std::string known;
        for (const auto& [name, value] : names) {
            if (given == name) return value;
            known += (known.empty() ? "" : ", ") + std::string(name);
        }
        complain(key, "one of " + known + " is wanted");
        return names.front().second;
    }

    /// Complains about fields that nobody has asked for: a slip in a name must not go unnoticed.
    void done();

    void complain(const std::string& key, const std::string& what);

private:
    [[nodiscard]] std::string place(const std::string& key) const;
    [[nodiscard]] const nlohmann::json* find(const char* key);
    [[nodiscard]] const nlohmann::json* list_of(const char* key, std::size_t most);
    [[nodiscard]] float real_of(const nlohmann::json& value, const std::string& key);

    const nlohmann::json& object_;
    std::string where_;
    std::string& wrong_;
    std::vector<std::string> known_;  ///< the fields that were asked for
};

}  // namespace starling::peer
