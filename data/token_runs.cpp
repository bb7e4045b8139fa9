// Cuts tokens into runs: shards of version 2.

#include <algorithm>
#include <numeric>

#include "data/dataset.hpp"
#include "data/reading.hpp"
#include "data/shard_format.hpp"
#include "data/token_source.hpp"

namespace starling::data {

namespace {

/// As many as of samples, so that some ten peers of unlike speed get shares that fit them.
constexpr std::uint64_t kRunsWanted = 2048;
constexpr std::uint64_t kRunsMax = kShardsMax / 2;
constexpr std::uint64_t kTokensWanted = 1024;  ///< of a run, at least
constexpr std::uint64_t kWindowsWanted = 4;
constexpr std::uint64_t kTokensAtMost = std::uint64_t{2} << 20U;
constexpr std::uint64_t kTokensThatFit = (kShardBytesMax - kShardHeaderBytes) / kTokenBytes;

std::uint64_t runs_that_hold(std::uint64_t tokens) {
    return (tokens + kTokensAtMost - 1) / kTokensAtMost;
}

std::uint64_t runs_wanted(std::uint64_t tokens, std::uint32_t context) {
    const auto least = std::max(kTokensWanted, kWindowsWanted * context + 1);
    return std::max(std::min(kRunsWanted, tokens / least), runs_that_hold(tokens));
}

class RunCutter {
public:
    RunCutter(
        const TokenSource& source, Manifest& manifest, HashFunction sha256, const ShardSink& sink
    )
        : source_(source),
          manifest_(manifest),
          sha256_(sha256),
          sink_(sink) {
        for (const auto split : {Split::Train, Split::Test, Split::Valid}) {
            all_ += source.count(split);
        }
    }

    /// Cuts a split into runs whose lengths differ by at most one token.
    Result<void> cut(Split split, std::uint64_t runs) {
        const auto tokens = source_.count(split);
        if (tokens == 0) return {};
        // Each run has a window at least.
        const auto at_most = std::min(kRunsMax, tokens / (source_.recipe().context + 1));
        runs = std::clamp<std::uint64_t>(runs, 1, std::max<std::uint64_t>(1, at_most));
        if (tokens / runs >= kTokensThatFit) {
            return fail(FaultCode::Oversized, source_.name() + ": too many tokens for one swarm");
        }
        for (std::uint64_t i = 0; i < runs; ++i) {
            const auto begin = i * tokens / runs;
            const auto end = (i + 1) * tokens / runs;
            if (auto done = add(split, i, begin, end); !done) return done;
        }
        return {};
    }

private:
    Result<void> add(Split split, std::uint64_t run, std::uint64_t begin, std::uint64_t end) {
        tokens_.resize(static_cast<std::size_t>(end - begin));
        if (auto read = source_.read(split, begin, tokens_); !read) return read;
        Bytes bytes;
        bytes.reserve(kShardHeaderBytes + tokens_.size() * kTokenBytes);
        ByteWriter writer(bytes);
        writer.put(kShardMagic);
        writer.put(kShardVersionText);
        writer.put(static_cast<std::uint16_t>(split));
        writer.put(static_cast<std::uint32_t>(manifest_.shards.size()));
        writer.put(static_cast<std::uint32_t>(tokens_.size()));
        writer.put(static_cast<std::uint32_t>(kTokenBytes));
        writer.put_bytes(std::as_bytes(std::span<const std::uint16_t>(tokens_)));
        ShardInfo info;
        info.id.bytes = sha256_(bytes);
        info.split = split;
        info.samples =
            static_cast<std::uint32_t>(windows_in(tokens_.size(), source_.recipe().context));
        info.bytes = static_cast<std::uint32_t>(bytes.size());
        const bool divided = split == Split::Train && manifest_.partitions > 0;
        info.partition = divided ? static_cast<std::uint32_t>(run % manifest_.partitions) : 0;
        manifest_.shards.push_back(info);
        done_ += tokens_.size();
        const auto percent = std::to_string(100 * done_ / all_);
        auto told = Reading::tell(percent + " % of " + source_.name() + " cut into shards");
        if (!told) return told;
        return sink_(info.id, std::move(bytes));
    }

    const TokenSource& source_;
    Manifest& manifest_;
    HashFunction sha256_;
    const ShardSink& sink_;
    std::vector<std::uint16_t> tokens_;
    std::uint64_t all_ = 0;   ///< tokens of all splits
    std::uint64_t done_ = 0;  ///< tokens that were cut
};

Result<void> check_lengths(const TokenSource& source) {
    const auto least = std::uint64_t{source.recipe().context} + 1;
    for (const auto split : {Split::Train, Split::Test, Split::Valid}) {
        const auto tokens = source.count(split);
        if (tokens >= least || (tokens == 0 && split != Split::Train)) continue;
        return fail(
            FaultCode::Usage,
            source.name() + ": " + std::to_string(tokens) + " tokens " +
                (split == Split::Train ? "to train on" : "to test on") + ", at least " +
                std::to_string(least) +
                " are wanted, one more than context=" + std::to_string(source.recipe().context)
        );
    }
    return {};
}

}  // namespace

Result<Manifest> cut_tokens(
    const TokenSource& source,
    const Partition& partition,
    const std::optional<ShardCounts>& counts,
    HashFunction sha256,
    const ShardSink& sink
) {
    if (partition.kind != PartitionKind::Iid) {
        return fail(
            FaultCode::Usage, "--partition: a text has no labels to divide by; give iid?owners=N"
        );
    }
    if (auto enough = check_lengths(source); !enough) return enough.error();
    Manifest manifest;
    manifest.name = printable_name(source.name());
    describe_characters(manifest, {}, source.tokens(), source.recipe().context);
    manifest.recipe = source.recipe();
    manifest.partition = partition.to_string();
    manifest.partitions = partition.owners;
    auto runs = runs_wanted(source.count(Split::Train), source.recipe().context);
    if (counts) {
        runs = std::accumulate(counts->train.begin(), counts->train.end(), std::uint64_t{0});
    } else if (partition.owners > std::max<std::uint64_t>(1, runs)) {
        return fail(
            FaultCode::Usage,
            "--partition: the text makes " + std::to_string(runs) +
                " shards, fewer than owners=" + std::to_string(partition.owners)
        );
    }
    RunCutter cutter(source, manifest, sha256, sink);
    if (auto done = cutter.cut(Split::Train, runs); !done) return done.error();
    for (const auto split : {Split::Test, Split::Valid}) {
        const auto given = counts ? split == Split::Test ? counts->test : counts->valid : 0;
        const auto own = runs_that_hold(source.count(split));
        if (auto done = cutter.cut(split, counts ? given : own); !done) return done.error();
    }
    if (auto sound = check_manifest(manifest); !sound) return sound.error();
    return manifest;
}

}  // namespace starling::data
