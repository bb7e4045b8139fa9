#include "peer/terms/duty.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "base/check.hpp"

namespace starling::peer {

double epochs_of(const DutyPlace& place) {
    return place.epoch + place.key / 65536.0;
}

DutyPlace DutyProgress::of(std::uint16_t shard) const {
    const auto found = std::lower_bound(
        others.begin(),
        others.end(),
        shard,
        [](const ShardDuty& a, std::uint16_t b) { return a.shard < b; }
    );
    return found != others.end() && found->shard == shard ? found->place : base;
}

bool DutyProgress::fits() const {
    const auto near = [this](const ShardDuty& other) {
        const auto apart = std::int64_t{other.place.epoch} - std::int64_t{base.epoch};
        return std::abs(apart) <= kEpochsApartMax;
    };
    return others.size() <= kOthersMax && std::all_of(others.begin(), others.end(), near);
}

void write_duty(ByteWriter& writer, const DutyProgress& progress) {
    STARLING_CHECK(progress.fits());
    writer.put(progress.base.epoch);
    writer.put(progress.base.key);
    writer.put(static_cast<std::uint8_t>(progress.others.size()));
    for (const auto& [shard, place] : progress.others) {
        writer.put(shard);
        const auto apart = std::int64_t{place.epoch} - std::int64_t{progress.base.epoch};
        writer.put(static_cast<std::int8_t>(apart));
        writer.put(place.key);
    }
}

bool read_duty(ByteReader& reader, DutyProgress& progress) {
    progress = {};
    progress.base.epoch = reader.take<std::uint32_t>();
    progress.base.key = reader.take<std::uint16_t>();
    const auto count = reader.take<std::uint8_t>();
    bool sound = progress.base.epoch <= kEpochMax && count <= DutyProgress::kOthersMax;
    for (std::uint8_t i = 0; sound && reader.ok() && i < count; ++i) {
        ShardDuty other;
        other.shard = reader.take<std::uint16_t>();
        const auto epoch = std::int64_t{progress.base.epoch} + reader.take<std::int8_t>();
        other.place.key = reader.take<std::uint16_t>();
        sound = epoch >= 0 && epoch <= std::int64_t{kEpochMax} &&
                (progress.others.empty() || progress.others.back().shard < other.shard);
        other.place.epoch = sound ? static_cast<std::uint32_t>(epoch) : 0;
        progress.others.push_back(other);
    }
    return sound && progress.fits();
}

}  // namespace starling::peer
