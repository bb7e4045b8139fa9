#include "data/shard_store.hpp"

#include <mutex>

#include "base/check.hpp"
#include "data/shard_format.hpp"

namespace starling::data {

namespace {

Fault bad(const ShardInfo& info, const std::string& what) {
    return fail(FaultCode::BadFormat, "shard " + info.id.short_string() + ": " + what);
}

/// Checks the header. A shard with the right hash may still be wrong: the founder may have hashed
/// anything.
Result<void> check_header(ByteView bytes, const ShardInfo& info, const Manifest& manifest) {
    const bool text = manifest.is_text();
    const auto items = text ? shard_tokens(bytes.size()) : info.samples;
    const auto item_bytes = text ? kTokenBytes : manifest.sample_elements();
    ByteReader reader(bytes);
    if (reader.take<std::uint32_t>() != kShardMagic) return bad(info, "it does not start like one");
    if (reader.take<std::uint16_t>() != (text ? kShardVersionText : kShardVersion)) {
        return bad(info, "unknown version");
    }
    if (reader.take<std::uint16_t>() != static_cast<std::uint16_t>(info.split)) {
        return bad(info, "it belongs to the other split");
    }
    reader.take<std::uint32_t>();  // the ordinal only tells equal samples apart
    if (reader.take<std::uint32_t>() != items || reader.take<std::uint32_t>() != item_bytes) {
        return bad(info, "its header contradicts the manifest");
    }
    return {};
}

}  // namespace

ShardStore::ShardStore(const Manifest& manifest, HashFunction sha256)
    : manifest_(manifest),
      sha256_(sha256),
      elements_(manifest.sample_elements()) {
    STARLING_CHECK(check_manifest(manifest_).has_value());
    STARLING_CHECK(sha256_ != nullptr);
    index_.reserve(manifest_.shards.size());
    for (std::size_t i = 0; i < manifest_.shards.size(); ++i) {
        index_.emplace(manifest_.shards[i].id, i);
    }
}

Result<void> ShardStore::put(Bytes bytes) {
    // We refuse it before we hash it: no shard is so large, and hashing takes time.
    if (bytes.size() > kShardBytesMax) {
        return fail(FaultCode::NotFound, "a shard larger than 16 MiB is in no manifest");
    }
    const ShardId id{sha256_(bytes)};
    const ShardInfo* known = info(id);
    if (known == nullptr) {
        return fail(
            FaultCode::NotFound,
            "shard " + id.short_string() +
                ": not in the manifest; it was changed on its way or "
                "belongs to another swarm"
        );
    }
    if (bytes.size() != known->bytes) {
        return fail(
            FaultCode::Corrupt, "shard " + id.short_string() + ": the manifest gives another size"
        );
    }
    if (auto header = check_header(bytes, *known, manifest_); !header) return header.error();
    const auto samples = view(bytes);
    const bool text = manifest_.is_text();
    for (std::size_t i = 0; i < (text ? samples.tokens() : samples.samples); ++i) {
        const auto label = text ? samples.token(i) : samples.label(i);
        if (label >= manifest_.classes()) return bad(*known, "a label is out of range");
    }
    auto shared = std::make_shared<const Bytes>(std::move(bytes));
    const std::unique_lock lock(mutex_);
    held_.try_emplace(id, std::move(shared));
    return {};
}

bool ShardStore::has(const ShardId& id) const {
    const std::shared_lock lock(mutex_);
    return held_.contains(id);
}

std::shared_ptr<const Bytes> ShardStore::get(const ShardId& id) const {
    const std::shared_lock lock(mutex_);
    const auto found = held_.find(id);
    return found == held_.end() ? nullptr : found->second;
}

std::size_t ShardStore::held() const {
    const std::shared_lock lock(mutex_);
    return held_.size();
}

const ShardInfo* ShardStore::info(const ShardId& id) const {
    const auto found = index_.find(id);
    return found == index_.end() ? nullptr : &manifest_.shards[found->second];
}

ShardView ShardStore::view(ByteView bytes) const {
    const std::size_t per_sample = elements_ + kLabelBytes;
    STARLING_CHECK(bytes.size() > kShardHeaderBytes);
    const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data()) + kShardHeaderBytes;
    ShardView view;
    if (manifest_.is_text()) {
        view.values = {begin, shard_tokens(bytes.size()) * kTokenBytes};
        view.samples = static_cast<std::uint32_t>(windows_in(view.tokens(), elements_));
        return view;
    }
    STARLING_CHECK((bytes.size() - kShardHeaderBytes) % per_sample == 0);
    const std::size_t samples = (bytes.size() - kShardHeaderBytes) / per_sample;
    view.values = {begin, samples * elements_};
    view.labels = {begin + samples * elements_, samples * kLabelBytes};
    view.samples = static_cast<std::uint32_t>(samples);
    return view;
}

}  // namespace starling::data
