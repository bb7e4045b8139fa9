#include "data/archive/entry_name.hpp"

#include <algorithm>

#include "base/rng.hpp"

namespace starling::data {

namespace {

std::uint64_t hash_of(std::string_view name) {
    std::uint64_t hash = mix64(name.size());
    for (const char c : name) hash = mix64(hash ^ static_cast<unsigned char>(c));
    return hash == 0 ? 1 : hash;
}

}  // namespace

Result<std::string> plain_name(std::string_view name) {
    if (name.size() > kEntryNameBytesMax) {
        return fail(FaultCode::Oversized, "a name of " + std::to_string(name.size()) + " bytes");
    }
    if (name.starts_with('/')) return fail(FaultCode::BadFormat, "an absolute path");
    std::string plain;
    while (!name.empty()) {
        const auto length = std::min(name.find('/'), name.size());
        const auto component = name.substr(0, length);
        name.remove_prefix(std::min(length + 1, name.size()));
        if (component == "..") return fail(FaultCode::BadFormat, "a path with ..");
        if (component.empty() || component == ".") continue;
        if (!plain.empty()) plain += '/';
        plain += component;
    }
    return plain;
}

bool NameSet::insert(std::string_view name) {
    const auto hash = hash_of(name);
    const auto place = place_of(hash);
    if (slots_[place] == hash) return false;
    slots_[place] = hash;
    ++count_;
    if (count_ * 2 > slots_.size()) grow();
    return true;
}

std::size_t NameSet::place_of(std::uint64_t hash) const {
    const auto mask = slots_.size() - 1;
    auto place = static_cast<std::size_t>(hash) & mask;
    while (slots_[place] != 0 && slots_[place] != hash) place = (place + 1) & mask;
    return place;
}

void NameSet::grow() {
    std::vector<std::uint64_t> old(slots_.size() * 2);
    old.swap(slots_);
    for (const auto hash : old) {
        if (hash != 0) slots_[place_of(hash)] = hash;
    }
}

}  // namespace starling::data
