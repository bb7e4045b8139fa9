#include "peer/terms/json_fields.hpp"

#include <algorithm>
#include <cmath>

#include "base/printable.hpp"

namespace starling::peer {

using nlohmann::json;

namespace {

const json& no_object() {
    static const json kNone = json::object();
    return kNone;
}

}  // namespace

JsonFields::JsonFields(const json& object, std::string where, std::string& wrong)
    : object_(object.is_object() ? object : no_object()),
      where_(std::move(where)),
      wrong_(wrong) {
    if (!object.is_object()) complain("", "an object is wanted");
}

std::string JsonFields::place(const std::string& key) const {
    if (where_.empty() || key.empty()) return where_ + key;
    return where_ + "." + key;
}

void JsonFields::complain(const std::string& key, const std::string& what) {
    if (!wrong_.empty()) return;
    const auto at = printable(place(key));
    wrong_ = (at.empty() ? "" : at + ": ") + what;
}

bool JsonFields::has(const char* key) const {
    return object_.contains(key);
}

const json* JsonFields::find(const char* key) {
    known_.emplace_back(key);
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    complain(key, "it is missing");
    return nullptr;
}

std::string JsonFields::text(const char* key) {
    const auto* value = find(key);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    complain(key, "a text is wanted");
    return {};
}

std::uint32_t JsonFields::whole(const char* key, std::uint32_t largest) {
    const auto* value = find(key);
    if (value != nullptr && value->is_number_unsigned()) {
        const auto number = value->get<std::uint64_t>();
        if (number <= largest) return static_cast<std::uint32_t>(number);
    }
    complain(key, "a whole number from 0 to " + std::to_string(largest) + " is wanted");
    return 0;
}

float JsonFields::real_of(const json& value, const std::string& key) {
    if (value.is_number()) {
        const auto number = static_cast<float>(value.get<double>());
        if (std::isfinite(number)) return number;
    }
    complain(key, "a number is wanted");
    return 0.0F;
}

float JsonFields::real(const char* key) {
    const auto* value = find(key);
    return value != nullptr ? real_of(*value, key) : 0.0F;
}

bool JsonFields::flag(const char* key) {
    const auto* value = find(key);
    if (value != nullptr && value->is_boolean()) return value->get<bool>();
    complain(key, "true or false is wanted");
    return false;
}

const json* JsonFields::list_of(const char* key, std::size_t most) {
    const auto* value = find(key);
    if (value != nullptr && value->is_array() && value->size() <= most) return value;
    complain(key, "a list of at most " + std::to_string(most) + " is wanted");
    return nullptr;
}

std::vector<std::string> JsonFields::texts(const char* key, std::size_t most) {
    std::vector<std::string> all;
    const auto* list = list_of(key, most);
    if (list == nullptr) return all;
    for (const auto& value : *list) {
        if (!value.is_string()) {
            complain(key, "a list of texts is wanted");
            return {};
        }
        all.push_back(value.get<std::string>());
    }
    return all;
}

std::vector<float> JsonFields::reals(const char* key, std::size_t most) {
    std::vector<float> all;
    const auto* list = list_of(key, most);
    if (list == nullptr) return all;
    for (const auto& value : *list) all.push_back(real_of(value, key));
    return all;
}

JsonFields JsonFields::object(const char* key) {
    const auto* value = find(key);
    return {value != nullptr ? *value : no_object(), place(key), wrong_};
}

void JsonFields::done() {
    for (const auto& [key, value] : object_.items()) {
        if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
        complain(key, "no such field is known");
    }
}

}  // namespace starling::peer
