#include "data/tokens/text_replay.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace starling::data {

TextReplay::TextReplay(
    const DocumentFiles& files,
    TextEncoder encoder,
    std::vector<DocumentPlace> documents,
    std::uint64_t tokens
)
    : files_(&files),
      encoder_(std::move(encoder)),
      documents_(std::move(documents)),
      tokens_(tokens) {
    STARLING_CHECK(!documents_.empty());
}

Result<void> TextReplay::read(std::uint64_t at, std::span<std::uint16_t> out) {
    STARLING_CHECK(at <= tokens_ && out.size() <= tokens_ - at);
    if (out.empty()) return {};
    const auto wanted = document_of(at);
    if (!reader_ || at < ready_begin_ || wanted > next_) begin_at(wanted);
    while (!out.empty()) {
        const auto end = ready_begin_ + ready_.size();
        if (at >= end) {
            if (auto more = fill(); !more) return more;
            continue;
        }
        const auto from = ready_.begin() + static_cast<std::ptrdiff_t>(at - ready_begin_);
        const auto count = std::min<std::uint64_t>(end - at, out.size());
        std::copy_n(from, count, out.begin());
        out = out.subspan(static_cast<std::size_t>(count));
        at += count;
    }
    return {};
}

/// Returns the document that a token is of; the mark behind a document counts as its own.
std::size_t TextReplay::document_of(std::uint64_t token) const {
    const auto after = std::upper_bound(
        documents_.begin(),
        documents_.end(),
        token,
        [](std::uint64_t at, const DocumentPlace& place) { return at < place.begin; }
    );
    return static_cast<std::size_t>(after - documents_.begin()) - 1;
}

void TextReplay::begin_at(std::size_t document) {
    reader_ = read_documents(*files_, documents_[document].file);
    next_ = document;
    files_begun_ = documents_[document].file;
    inside_ = false;
    fresh_ = true;
    ready_.clear();
    ready_begin_ = documents_[document].begin;
}

/// Replaces what is ready by what comes next.
Result<void> TextReplay::fill() {
    ready_begin_ += ready_.size();
    ready_.clear();
    while (true) {
        if (!inside_) {
            const auto more = reader_->next();
            if (!more) return more.error();
            if (!*more) return changed();
            ++files_begun_;
            inside_ = true;
            some_ = false;
        }
        const auto piece = reader_->piece();
        if (!piece) return piece.error();
        if (piece->empty()) {
            inside_ = false;
            continue;
        }
        if (!some_) {
            if (auto begun = begin_document(); !begun) return begun;
        }
        // The first pass has found every character that was there in the vocabulary.
        if (!encoder_.feed(*piece, ready_)) return changed();
        return {};
    }
}

/// Puts the mark before a document's first token, which must be where it was.
Result<void> TextReplay::begin_document() {
    some_ = true;
    if (next_ == documents_.size() || documents_[next_].file + 1 != files_begun_) return changed();
    // Where reading begins nothing is before the document, nor is its mark wanted.
    if (!std::exchange(fresh_, false) && encoder_.mark()) ready_.push_back(*encoder_.mark());
    if (ready_begin_ + ready_.size() != documents_[next_].begin) return changed();
    ++next_;
    return {};
}

Fault TextReplay::changed() const {
    const auto document = documents_[std::min(next_, documents_.size()) - (next_ > 0 ? 1 : 0)];
    return fail(
        FaultCode::Corrupt,
        files_->files[document.file] + ": it has changed since it was read first"
    );
}

}  // namespace starling::data
