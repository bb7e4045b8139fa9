// text:FILE or DIR, and jsonl:FILE?text=FIELD: documents that are turned into tokens.

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "data/reading.hpp"
#include "data/sources/name_pattern.hpp"
#include "data/sources/record_files.hpp"
#include "data/sources/sources.hpp"
#include "data/sources/tokens.hpp"
#include "data/tokens/documents.hpp"
#include "data/tokens/text_encoder.hpp"
#include "data/tokens/text_replay.hpp"
#include "data/tokens/training_text.hpp"
#include "data/utf8.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesMax = std::size_t{1} << 20U;
constexpr std::size_t kPoints = 0x110000;
constexpr std::size_t kBytePoints = 0x80;  ///< which UTF-8 writes as one byte

/// What the first pass over the documents has found.
struct TextFacts {
    std::uint64_t documents = 0;   ///< that are not empty
    std::uint64_t characters = 0;  ///< of tokens=bytes: bytes
    std::vector<bool> points;      ///< which characters occur, where the tokens are characters
    /// Those of a text, with the characters before each; JSON lines may have too many.
    std::vector<DocumentPlace> places;
};

Result<std::vector<std::string>> files_in(const fs::path& folder) {
    std::vector<std::string> files;
    std::error_code error;
    fs::recursive_directory_iterator at(folder, error);
    for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
        if (at->path().filename().string().starts_with('.')) continue;
        std::error_code ignored;  // what cannot be looked at is no regular file
        if (!at->is_regular_file(ignored)) continue;
        if (files.size() == kFilesMax) {
            return fail(FaultCode::Oversized, folder.string() + ": more than 1048576 files");
        }
        files.push_back(at->path().string());
    }
    if (error) {
        return fail(FaultCode::Io, folder.string() + ": cannot be listed: " + error.message());
    }
    if (files.empty()) {
        return fail(FaultCode::Usage, folder.string() + ": there is no file in it; give texts");
    }
    std::sort(files.begin(), files.end());
    return files;
}

class TextSource final : public TokenSource {
public:
    Result<void> scan(const Spec& spec, const ScanOptions& options, const KnownTokens* known) {
        if (auto ok = read_options(spec, known); !ok) return ok;
        auto facts = first_pass(options.strict);
        if (!facts) return facts.error();
        const auto train =
            static_cast<std::uint64_t>(split_ * static_cast<double>(facts->characters));
        if (known != nullptr) {
            recipe_ = known->recipe;
        } else if (auto ok = choose_tokens(*facts, train); !ok) {
            return ok;
        }
        recipe_.context = known == nullptr ? context_ : known->recipe.context;
        auto encoder = TextEncoder::make(recipe_);
        if (!encoder) return fail(encoder.error().code, path_ + ": " + encoder.error().message);
        tokens_ = encoder->tokens();
        if (known != nullptr && tokens_ != known->tokens) {
            return fail(FaultCode::BadValue, path_ + ": the model's tokens contradict each other");
        }
        if (tokens_ < 2) {
            return fail(FaultCode::Usage, path_ + ": one character all along is nothing to learn");
        }
        if (replays()) return plan_replay(*facts, std::move(*encoder), train);
        if (auto ok = Reading::tell("encoding " + path_); !ok) return ok;
        return encode(*encoder, train);
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t at, std::span<std::uint16_t> out)
        const override {
        if (replay_)
            return replay_->read(at + (split == Split::Test ? count(Split::Train) : 0), out);
        Bytes bytes;
        const auto length = static_cast<std::uint32_t>(out.size_bytes());
        const auto file = files_of_tokens_[static_cast<std::size_t>(split)];
        auto got = records_.read({file, length, at * sizeof(std::uint16_t)}, bytes);
        if (!got) return got;
        // Tokens are little-endian in shards, and so is every machine that this is built for.
        std::copy(bytes.begin(), bytes.end(), std::as_writable_bytes(out).begin());
        return {};
    }

    /// The fields of a folder of texts: `file`, `folder`, and those that names= reads.
    [[nodiscard]] Result<TokenGroups> groups(const std::string& field) const override {
        if (documents_.files.size() < 2) return no_such_field(name_, field, {});
        TokenGroups found;
        GroupBuilder files;
        FileFields fields(names_);
        const auto documents = training_documents();
        for (const auto& document : documents) {
            const auto name = fs::relative(documents_.files[document.file], path_).generic_string();
            if (names_ && !names_->read(name)) {
                return fail(
                    FaultCode::Usage, path_ + ": " + name + ": its name is not as names= says"
                );
            }
            files.add(name);
            fields.add(name);
            found.begins.push_back(found.begins.empty() ? 0 : document.begin);
        }
        auto groups = field == "file" ? files.groups(field) : fields.groups(name_, field, {"file"});
        if (!groups) return groups.error();
        found.groups = std::move(*groups);
        auto& sizes = found.groups.sizes;
        sizes.assign(sizes.size(), 0);
        for (std::size_t i = 0; i < documents.size(); ++i) {
            const bool last = i + 1 == documents.size();
            const auto end = last ? count(Split::Train) : found.begins[i + 1];
            sizes[found.groups.of[i]] += end - found.begins[i];
        }
        return found;
    }

private:
    Result<void> read_options(const Spec& spec, const KnownTokens* known) {
        const bool json = spec.name == "jsonl";
        name_ = spec.to_string();
        path_ = spec.path;
        auto allowed = spec.only(
            json ? "text,context,split,tokens" : "context,split,tokens,newlines,encoding,names"
        );
        if (!allowed) return allowed;
        const auto context = spec.integer("context", 64, 1, kContextMax);
        if (!context) return context.error();
        context_ = static_cast<std::uint32_t>(*context);
        const auto split = spec.real("split", 0.9, 0.01, 0.99);
        if (!split) return split.error();
        split_ = *split;
        if (auto ok = read_tokens(spec, known); !ok) return ok;
        documents_.utf8 = tokenizer_ != Tokenizer::Bytes;
        if (auto ok = read_how(spec); !ok) return ok;
        documents_.field = spec.text("text", "");
        if (const auto names = spec.text("names", ""); !names.empty()) {
            auto pattern = NamePattern::parse(names);
            if (!pattern)
                return fail(FaultCode::Usage, "'" + name_ + "': " + pattern.error().message);
            names_ = std::move(*pattern);
        }
        std::error_code
            ignored;  // what is no directory is opened as a file, which says what is wrong
        documents_.files = {path_};
        if (json || !fs::is_directory(path_, ignored)) return {};
        auto files = files_in(path_);
        if (!files) return files.error();
        documents_.files = std::move(*files);
        return {};
    }

    /// Reads how a file's bytes become characters.
    Result<void> read_how(const Spec& spec) {
        const auto newlines = spec.text("newlines", "lf");
        const auto encoding = spec.text("encoding", "utf8");
        if ((newlines != "lf" && newlines != "keep") ||
            (encoding != "utf8" && encoding != "latin1")) {
            return fail(
                FaultCode::Usage,
                "'" + name_ +
                    "': give newlines=lf or newlines=keep, encoding=utf8 or "
                    "encoding=latin1"
            );
        }
        documents_.keep_line_ends = newlines == "keep";
        documents_.latin1 = encoding == "latin1";
        return {};
    }

    /// Reads `tokens=`; of a swarm that is there, its tokens are used whatever they are.
    Result<void> read_tokens(const Spec& spec, const KnownTokens* known) {
        const auto text = spec.text("tokens", "chars");
        constexpr std::string_view kBpe = "bpe:";
        if (text == "chars") {
            tokenizer_ = Tokenizer::Characters;
        } else if (text == "bytes") {
            tokenizer_ = Tokenizer::Bytes;
        } else if (text.starts_with(kBpe) && text.size() > kBpe.size()) {
            tokenizer_ = Tokenizer::Bpe;
            bpe_ = text.substr(kBpe.size());
        } else {
            return fail(
                FaultCode::Usage,
                "'" + name_ + "': tokens=" + text +
                    " is not allowed; give chars, bytes, bpe:N to learn N tokens, or bpe:FOLDER "
                    "with GPT-2's vocab.bpe"
            );
        }
        if (known == nullptr) return {};
        const auto theirs = known->recipe.tokenizer;
        if (spec.options.contains("tokens") && tokenizer_ != theirs) {
            return fail(
                FaultCode::Usage,
                "'" + name_ + "': tokens=" + text +
                    " are not the model's; leave it out, and the text is read as the model's was"
            );
        }
        tokenizer_ = theirs;
        return {};
    }

    Result<TextFacts> first_pass(bool strict) {
        TextFacts facts;
        const bool characters = tokenizer_ == Tokenizer::Characters;
        if (characters) facts.points.resize(kPoints);
        const auto reader = read_documents(documents_);
        for (std::uint32_t file = 0;; ++file) {
            const auto more = reader->next();
            if (!more) return more.error();
            if (!*more) break;
            bool some = false;
            while (true) {
                const auto piece = reader->piece();
                if (!piece) return piece.error();
                if (piece->empty()) break;
                if (!some && replays()) facts.places.push_back({file, facts.characters});
                some = true;
                std::uint64_t room = piece->size();
                (void)take_characters(*piece, room, documents_.utf8);
                facts.characters += piece->size() - room;
                if (characters) mark_points(*piece, facts.points);
            }
            if (some) ++facts.documents;
        }
        notes_.lines = reader->notes();
        note_wrong_lines(path_, reader->wrong(), notes_);
        if (auto ok = check_skipped(path_, notes_, facts.documents, strict); !ok) return ok.error();
        if (facts.documents == 0) {
            return fail(FaultCode::Usage, path_ + ": it is empty; give a text");
        }
        return facts;
    }

    static void mark_points(std::string_view text, std::vector<bool>& points) {
        // The flag of a byte is set without a look at a packed bit, as nearly all characters are bytes.
        std::array<bool, kBytePoints> bytes{};
        for (std::size_t at = 0; at < text.size();) {
            const auto byte = static_cast<unsigned char>(text[at]);
            if (byte < kBytePoints) {
                bytes[byte] = true;
                ++at;
                continue;
            }
            // Pieces have whole characters only.
            const auto character = utf8_at(text, at).value_or(Utf8Character{kCharacterMark, 1});
            points[character.point] = true;
            at += character.bytes;
        }
        for (std::size_t point = 0; point < kBytePoints; ++point) {
            if (bytes[point]) points[point] = true;
        }
    }

    Result<void> choose_tokens(TextFacts& facts, std::uint64_t train) {
        recipe_.tokenizer = tokenizer_;
        if (tokenizer_ == Tokenizer::Characters) {
            if (facts.documents > 1) facts.points[kCharacterMark] = true;
            std::size_t count = 0;
            for (std::size_t point = 0; point < kPoints; ++point) {
                if (!facts.points[point]) continue;
                append_utf8(recipe_.vocabulary, static_cast<char32_t>(point));
                ++count;
            }
            if (count <= kClassesMax) return {};
            return fail(
                FaultCode::Usage, path_ + ": more than 65536 distinct characters; is it a text?"
            );
        }
        if (tokenizer_ == Tokenizer::Bytes) return {};
        auto bpe = make_bpe(train);
        if (!bpe) return bpe.error();
        recipe_.vocabulary = std::string(as_text(bpe->serialize()));
        return {};
    }

    Result<Bpe> make_bpe(std::uint64_t train) {
        std::uint32_t wanted = 0;
        const auto* end = bpe_.data() + bpe_.size();
        const auto [after, error] = std::from_chars(bpe_.data(), end, wanted);
        if (after != end || error != std::errc{}) return load_bpe(bpe_);
        if (auto ok = Reading::tell("learning tokens from " + path_); !ok) return ok.error();
        const auto reader = read_documents(documents_);
        TrainingText text(*reader, train, path_);
        auto learned = Bpe::learn(text, wanted);
        if (learned.has_error() && learned.error().code == FaultCode::Usage) {
            return fail(FaultCode::Usage, "'" + name_ + "': " + learned.error().message);
        }
        if (learned && learned->tokens() < wanted) {
            notes_.lines.push_back(
                path_ + ": the text is enough for " + std::to_string(learned->tokens()) +
                " tokens only"
            );
        }
        return learned;
    }

    /// Whether tokens are encoded when they are read. How many there are is known without: one a
    /// character, and the marks.
    [[nodiscard]] bool replays() const {
        return tokenizer_ != Tokenizer::Bpe && documents_.field.empty();
    }

    /// Counts the tokens of both splits; `train` is of characters. A mark at the border is the training part's.
    Result<void> plan_replay(TextFacts& facts, TextEncoder encoder, std::uint64_t train) {
        if (auto known = check_points(facts, encoder); !known) return known;
        auto& places = facts.places;
        const std::uint64_t mark = encoder.mark() ? 1 : 0;
        const auto from = [](const DocumentPlace& place) { return place.begin; };
        const auto after = std::ranges::upper_bound(places, train, {}, from);
        const auto marks = mark * (static_cast<std::uint64_t>(after - places.begin()) - 1);
        const auto training = std::ranges::lower_bound(places, train, {}, from);
        training_documents_ = static_cast<std::size_t>(training - places.begin());
        const auto all = facts.characters + mark * (places.size() - 1);
        counts_[static_cast<std::size_t>(Split::Train)] = train + marks;
        counts_[static_cast<std::size_t>(Split::Test)] = all - train - marks;
        for (std::size_t i = 0; i < places.size(); ++i) places[i].begin += mark * i;
        replay_ =
            std::make_unique<TextReplay>(documents_, std::move(encoder), std::move(places), all);
        return {};
    }

    /// Every character must be in the vocabulary, which may be another swarm's.
    Result<void> check_points(const TextFacts& facts, TextEncoder& encoder) {
        std::string all;
        for (std::size_t point = 1; point < facts.points.size(); ++point) {
            if (facts.points[point]) append_utf8(all, static_cast<char32_t>(point));
        }
        std::vector<std::uint16_t> ignored;
        auto fed = encoder.feed(all, ignored);
        if (!fed) return fail(fed.error().code, path_ + ": " + fed.error().message);
        return {};
    }

    /// The documents of a folder that have training tokens.
    [[nodiscard]] std::span<const DocumentPlace> training_documents() const {
        const auto& all = replay_ ? replay_->documents() : places_;
        return std::span(all).first(training_documents_);
    }

    Result<void> encode(TextEncoder& encoder, std::uint64_t train) {
        for (const auto split : {Split::Train, Split::Test}) {
            const auto made = records_.add_unpacked();
            if (!made) return made.error();
            files_of_tokens_[static_cast<std::size_t>(split)] = *made;
        }
        split_now_ = Split::Train;
        left_ = train;
        bool some = false;
        const auto reader = read_documents(documents_);
        for (std::uint32_t document = 0;; ++document) {
            const auto more = reader->next();
            if (!more) return more.error();
            if (!*more) return flush();
            bool begun = false;
            while (true) {
                const auto piece = reader->piece();
                if (!piece) return piece.error();
                if (piece->empty()) break;
                // A mark stands between two documents that have text.
                if (!begun && some && encoder.mark()) ready_.push_back(*encoder.mark());
                if (!begun) note_training(document);
                begun = some = true;
                if (auto ok = encode_piece(encoder, *piece); !ok) return ok;
            }
            encoder.finish(ready_);
        }
    }

    /// Notes where the tokens of a file begin, if some of them are for training. The mark before it
    /// belongs to the one before.
    void note_training(std::uint32_t file) {
        if (documents_.files.size() < 2 || split_now_ != Split::Train || left_ == 0) return;
        places_.push_back({file, count(Split::Train) + ready_.size()});
        ++training_documents_;
    }

    Result<void> encode_piece(TextEncoder& encoder, std::string_view piece) {
        const bool training = split_now_ == Split::Train;
        const auto first = training ? take_characters(piece, left_, documents_.utf8) : piece.size();
        auto fed = encoder.feed(piece.substr(0, first), ready_);
        if (fed && first < piece.size()) {
            // The border: no token reaches across it.
            encoder.finish(ready_);
            if (auto ok = flush(); !ok) return ok;
            split_now_ = Split::Test;
            fed = encoder.feed(piece.substr(first), ready_);
        }
        if (!fed) return fail(fed.error().code, path_ + ": " + fed.error().message);
        return flush();
    }

    Result<void> flush() {
        const auto split = static_cast<std::size_t>(split_now_);
        const auto bytes = std::as_bytes(std::span<const std::uint16_t>(ready_));
        const auto put = records_.append(files_of_tokens_[split], bytes);
        if (!put) return put.error();
        counts_[split] += ready_.size();
        ready_.clear();
        return {};
    }

    std::string path_;
    DocumentFiles documents_;
    std::optional<NamePattern> names_;
    std::size_t training_documents_ = 0;
    std::uint32_t context_ = 0;
    double split_ = 0.9;
    Tokenizer tokenizer_ = Tokenizer::Characters;
    std::string bpe_;  ///< what stands behind tokens=bpe:

    std::unique_ptr<TextReplay> replay_;

    // Tokens that lie in files, of which there are only as many as are encoded:
    std::vector<DocumentPlace> places_;  ///< of a folder, those for training
    Split split_now_ = Split::Train;
    std::uint64_t left_ = 0;  ///< characters of the training part
    std::vector<std::uint16_t> ready_;

    RecordFiles records_;
    std::array<std::uint32_t, kSplits> files_of_tokens_{};
};

}  // namespace

Result<TokenSourcePointer> open_texts(
    const Spec& spec, const ScanOptions& options, const KnownTokens* known
) {
    auto source = std::make_unique<TextSource>();
    if (auto ok = source->scan(spec, options, known); !ok) return ok.error();
    return TokenSourcePointer(std::move(source));
}

}  // namespace starling::data
