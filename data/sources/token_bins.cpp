// bin:DIR: files of tokens that others have made, as nanoGPT's train.bin and val.bin or llm.c's.

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/check.hpp"
#include "data/sources/tokens.hpp"
#include "data/tokens/token_file.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

/// Each is held open.
constexpr std::size_t kTokenFilesMax = 512;

/// Returns the split that a file's name says: train.bin, fineweb_val_000000.bin.
std::optional<Split> split_of(const std::string& name) {
    if (!name.ends_with(".bin")) return std::nullopt;
    if (name.find("train") != std::string::npos) return Split::Train;
    if (name.find("val") != std::string::npos) return Split::Valid;
    if (name.find("test") != std::string::npos) return Split::Test;
    return std::nullopt;
}

class BinSource final : public TokenSource {
public:
    Result<void> scan(const Spec& spec, const KnownTokens* known) {
        if (auto allowed = spec.only("context,vocab"); !allowed) return allowed;
        name_ = spec.to_string();
        path_ = spec.path;
        const auto context = spec.integer("context", 64, 1, kContextMax);
        if (!context) return context.error();
        const auto vocab = spec.integer("vocab", 0, 0, kClassesMax);
        if (!vocab) return vocab.error();
        if (auto ok = open_files(); !ok) return ok;
        recipe_ = {Tokenizer::Numbers, {}, static_cast<std::uint32_t>(*context)};
        tokens_ = static_cast<std::uint32_t>(*vocab);
        if (known != nullptr) {
            recipe_ = known->recipe;
            tokens_ = known->tokens;
        }
        return check_tokens();
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t at, std::span<std::uint16_t> out)
        const override {
        for (const auto& file : files_[static_cast<std::size_t>(split)]) {
            const auto there = file.facts().tokens;
            if (at >= there) {
                at -= there;
                continue;
            }
            const auto count = std::min<std::uint64_t>(out.size(), there - at);
            auto got = file.read(at, out.first(static_cast<std::size_t>(count)));
            if (!got) return got;
            out = out.subspan(static_cast<std::size_t>(count));
            if (out.empty()) return {};
            at = 0;
        }
        STARLING_CHECK(out.empty());
        return {};
    }

    [[nodiscard]] std::vector<FileExtent> file_extents(
        Split split, std::uint64_t at, std::uint64_t count
    ) const override {
        std::vector<FileExtent> extents;
        const auto number = static_cast<std::size_t>(split);
        for (std::size_t i = 0; i < files_[number].size() && count > 0; ++i) {
            const auto& facts = files_[number][i].facts();
            if (at >= facts.tokens) {
                at -= facts.tokens;
                continue;
            }
            const auto here = std::min(count, facts.tokens - at);
            auto extent = whole_[number][i];
            extent.offset = facts.first_byte + at * sizeof(std::uint16_t);
            extent.length = static_cast<std::uint32_t>(here * sizeof(std::uint16_t));
            extents.push_back(std::move(extent));
            count -= here;
            at = 0;
        }
        return extents;
    }

private:
    Result<void> open_files() {
        std::vector<fs::path> paths;
        std::error_code error;
        if (!fs::is_directory(path_, error)) {
            return fail(FaultCode::NotFound, "'" + path_ + "': no such directory");
        }
        fs::directory_iterator at(path_, error);
        for (; !error && at != fs::directory_iterator(); at.increment(error)) {
            if (split_of(at->path().filename().string())) paths.push_back(at->path());
        }
        if (error) {
            return fail(FaultCode::Usage, path_ + ": cannot be listed: " + error.message());
        }
        std::sort(paths.begin(), paths.end());
        if (paths.size() > kTokenFilesMax) {
            return fail(FaultCode::Oversized, path_ + ": more than 512 files of tokens");
        }
        for (const auto& path : paths) {
            // Before it is read: what changes meanwhile is then noticed.
            const auto state = state_of_file(path.string());
            if (!state) return state.error();
            auto file = TokenFile::open(path);
            if (!file) return file.error();
            const auto split = static_cast<std::size_t>(*split_of(path.filename().string()));
            counts_[split] += file->facts().tokens;
            files_[split].push_back(std::move(*file));
            whole_[split].push_back({fs::absolute(path, error).string(), *state, 0, 0});
        }
        // What is there beside the training part has the final word.
        constexpr auto kTest = static_cast<std::size_t>(Split::Test);
        constexpr auto kValid = static_cast<std::size_t>(Split::Valid);
        if (counts_[kTest] == 0) {
            std::swap(counts_[kTest], counts_[kValid]);
            std::swap(files_[kTest], files_[kValid]);
            std::swap(whole_[kTest], whole_[kValid]);
        }
        if (counts_[0] > 0 && counts_[kTest] > 0) return {};
        return fail(
            FaultCode::Usage,
            path_ + ": there is no " + (counts_[0] == 0 ? "train.bin" : "val.bin") +
                " in it; names of files say train, val or test and end with .bin"
        );
    }

    /// Every token must be one of the vocabulary.
    Result<void> check_tokens() {
        std::uint32_t largest = 0;
        for (const auto& split : files_) {
            for (const auto& file : split) {
                const auto most = file.largest();
                if (!most) return most.error();
                largest = std::max<std::uint32_t>(largest, *most);
            }
        }
        if (tokens_ == 0) {
            tokens_ = std::max<std::uint32_t>(2, largest + 1);
            notes_.lines.push_back(
                path_ + ": the largest token is " + std::to_string(largest) + ", so there are " +
                std::to_string(tokens_) + " unless vocab=N says more"
            );
        }
        if (largest < tokens_) return {};
        return fail(
            FaultCode::Usage,
            path_ + ": has token " + std::to_string(largest) + ", and the vocabulary " +
                std::to_string(tokens_) + " tokens"
        );
    }

    std::string path_;
    std::array<std::vector<TokenFile>, kSplits> files_;
    std::array<std::vector<FileExtent>, kSplits> whole_;  ///< where each file lies
};

}  // namespace

Result<TokenSourcePointer> open_bins(const Spec& spec, const KnownTokens* known) {
    auto source = std::make_unique<BinSource>();
    if (auto ok = source->scan(spec, known); !ok) return ok.error();
    return TokenSourcePointer(std::move(source));
}

bool is_token_spec(const Spec& spec) {
    if (spec.name == "bin") return true;
    if (spec.name == "jsonl") return spec.options.contains("text");
    return spec.name == "text";
}

Result<TokenSourcePointer> open_tokens(
    const Spec& spec, const ScanOptions& options, const KnownTokens* known
) {
    if (spec.path.empty()) {
        return fail(FaultCode::Usage, "'" + spec.to_string() + "': no path; write it behind the :");
    }
    return spec.name == "bin" ? open_bins(spec, known) : open_texts(spec, options, known);
}

}  // namespace starling::data
