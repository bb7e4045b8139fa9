#include "data/sources/name_pattern.hpp"

#include <algorithm>

namespace starling::data {

namespace {

constexpr std::size_t kFieldsMax = 16;

Fault bad_pattern(std::string_view text, const std::string& what) {
    return fail(
        FaultCode::Usage,
        "names=" + std::string(text) + ": " + what +
            "; write fields in braces with some text between them, as {digit}_{speaker}_{take}"
    );
}

/// Returns the name without its folders and its ending.
std::string_view without_ending(std::string_view path) {
    const auto slash = path.rfind('/');
    const auto dot = path.rfind('.');
    const bool ends = dot != std::string_view::npos && dot > 0 &&
                      (slash == std::string_view::npos || dot > slash + 1);
    return ends ? path.substr(0, dot) : path;
}

/// Returns the last folder of a path, or nothing.
std::string_view folder_of(std::string_view path) {
    const auto end = path.rfind('/');
    if (end == std::string_view::npos) return {};
    const auto begin = path.substr(0, end).rfind('/');
    return path.substr(0, end).substr(begin == std::string_view::npos ? 0 : begin + 1);
}

}  // namespace

Result<NamePattern> NamePattern::parse(std::string_view text) {
    NamePattern pattern;
    pattern.between_.emplace_back();
    std::optional<std::size_t> rest;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] != '{') {
            if (text[at] == '/') ++pattern.folders_;
            pattern.between_.back() += text[at++];
            continue;
        }
        const auto end = text.find('}', at);
        if (end == std::string_view::npos) return bad_pattern(text, "a { has no }");
        auto name = text.substr(at + 1, end - at - 1);
        if (name.ends_with('*')) {
            if (rest) return bad_pattern(text, "two fields cannot both take the rest");
            rest = pattern.fields_.size();
            name.remove_suffix(1);
        }
        if (name.empty() || name.find_first_of("{/") != std::string_view::npos) {
            return bad_pattern(text, "a field has no name");
        }
        if (pattern.field(name)) return bad_pattern(text, "a field is named twice");
        if (!pattern.fields_.empty() && pattern.between_.back().empty()) {
            return bad_pattern(text, "nothing stands between two fields");
        }
        pattern.fields_.emplace_back(name);
        pattern.between_.emplace_back();
        at = end + 1;
    }
    if (pattern.fields_.empty() || pattern.fields_.size() > kFieldsMax) {
        return bad_pattern(text, "1 to 16 fields are wanted");
    }
    pattern.rest_ = rest.value_or(pattern.fields_.size() - 1);
    return pattern;
}

std::optional<std::size_t> NamePattern::field(std::string_view name) const {
    const auto found = std::find(fields_.begin(), fields_.end(), name);
    if (found == fields_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - fields_.begin());
}

std::optional<std::vector<std::string_view>> NamePattern::read(std::string_view path) const {
    auto text = without_ending(path);
    // As many folders as the pattern has.
    auto begin = text.size();
    for (std::size_t i = 0; i <= folders_; ++i) {
        if (begin == 0) return std::nullopt;
        const auto slash = text.substr(0, begin).rfind('/');
        begin = slash == std::string_view::npos ? 0 : slash;
        if (i < folders_ && slash == std::string_view::npos) return std::nullopt;
    }
    text = text.substr(text.substr(begin).starts_with('/') ? begin + 1 : begin);
    if (!text.starts_with(between_.front()) ||
        text.size() < between_.front().size() + between_.back().size() ||
        !text.ends_with(between_.back())) {
        return std::nullopt;
    }
    text.remove_prefix(between_.front().size());
    text.remove_suffix(between_.back().size());
    std::vector<std::string_view> values(fields_.size());
    for (std::size_t i = 0; i < rest_; ++i) {
        const auto at = text.find(between_[i + 1]);
        if (at == std::string_view::npos) return std::nullopt;
        values[i] = text.substr(0, at);
        text.remove_prefix(at + between_[i + 1].size());
    }
    for (std::size_t i = fields_.size() - 1; i > rest_; --i) {
        const auto at = text.rfind(between_[i]);
        if (at == std::string_view::npos) return std::nullopt;
        values[i] = text.substr(at + between_[i].size());
        text = text.substr(0, at);
    }
    values[rest_] = text;
    const bool whole = std::none_of(values.begin(), values.end(), [](std::string_view value) {
        return value.empty() || value.find('/') != std::string_view::npos;
    });
    if (!whole) return std::nullopt;
    return values;
}

FileFields::FileFields(std::optional<NamePattern> pattern) : pattern_(std::move(pattern)) {
    if (pattern_) names_ = pattern_->fields();
    names_.emplace_back("folder");
    values_.resize(names_.size());
}

void FileFields::add(std::string_view name) {
    if (pattern_) {
        const auto values = pattern_->read(name);
        for (std::size_t i = 0; i + 1 < names_.size(); ++i) {
            values_[i].add(values ? (*values)[i] : std::string_view());
        }
    }
    values_.back().add(folder_of(name));
}

Result<Groups> FileFields::groups(
    const std::string& source, const std::string& field, const std::vector<std::string>& others
) const {
    const auto found = std::find(names_.begin(), names_.end(), field);
    if (found != names_.end()) {
        return values_[static_cast<std::size_t>(found - names_.begin())].groups(field);
    }
    auto known = names_;
    for (const auto& other : others) {
        if (std::find(known.begin(), known.end(), other) == known.end()) known.push_back(other);
    }
    auto fault = no_such_field(source, field, known);
    if (!pattern_) fault.message += "; names={digit}_{speaker} reads others in the files' names";
    return fault;
}

}  // namespace starling::data
