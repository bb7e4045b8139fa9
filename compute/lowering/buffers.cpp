#include "compute/lowering/buffers.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::compute {

Buffers::Buffers(const PlanRequest& request, const ParameterLayout& layout)
    : request_(request),
      layout_(layout),
      last_reader_(request.graph.value_count(), 0),
      wanted_(request.graph.value_count(), false) {
    const auto mark = [&](ValueId id) {
        if (id != ValueId::None) wanted_[to_index(id)] = true;
    };
    std::for_each(request.outputs.begin(), request.outputs.end(), mark);
    std::for_each(request.gradients.begin(), request.gradients.end(), mark);
    const auto& nodes = request.graph.nodes();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        for (const auto id : nodes[i].inputs) {
            if (id != ValueId::None) last_reader_[to_index(id)] = i + 1;
        }
    }
}

BufferId Buffers::add(std::size_t bytes, bool temporary) {
    Buffer buffer;
    buffer.bytes = bytes;
    buffer.temporary = temporary;
    buffers_.push_back(std::move(buffer));
    return static_cast<BufferId>(buffers_.size() - 1);
}

const ParameterInfo& Buffers::parameter(ValueId id) const {
    const auto& name = request_.graph.value(id).name;
    for (const auto& info : layout_.parameters()) {
        if (info.name == name) return info;
    }
    STARLING_UNREACHABLE("parameter that the store does not have");
}

std::optional<std::size_t> Buffers::gradient_offset(ValueId id) const {
    for (std::size_t i = 0; i < request_.gradients.size(); ++i) {
        if (request_.gradients[i] != id) continue;
        return parameter(request_.graph.parameter_value(i)).offset;
    }
    return std::nullopt;
}

void Buffers::touch(BufferId id, std::size_t kernel) {
    auto& buffer = (*this)[id];
    if (!buffer.used) buffer.first = kernel;
    buffer.used = true;
    buffer.last = kernel;
}

bool Buffers::may_overwrite(BufferId id, std::size_t node) const {
    const auto& buffer = buffers_[to_index(id)];
    if (!buffer.temporary || buffer.gradient_offset.has_value()) return false;
    return std::none_of(buffer.values.begin(), buffer.values.end(), [&](ValueId sharer) {
        return wanted(sharer) || last_reader_[to_index(sharer)] > node + 1;
    });
}

BufferPlaces place_buffers(const std::vector<Buffer>& buffers) {
    std::vector<Lifetime> temporaries;
    std::vector<Lifetime> lasting;
    for (const auto& buffer : buffers) {
        if (buffer.parameter_offset.has_value()) continue;
        if (buffer.gradient_offset.has_value() && !buffer.temporary) continue;
        if (buffer.temporary) {
            temporaries.push_back({buffer.bytes, buffer.first, buffer.last});
        } else {
            lasting.push_back({buffer.bytes, 0, 0});
        }
    }
    const auto arena = place(temporaries);
    const auto rest = place(lasting);
    BufferPlaces all;
    all.arena_bytes = arena.bytes;
    all.lasting_bytes = rest.bytes;
    std::size_t next_temporary = 0;
    std::size_t next_lasting = 0;
    using Region = BufferPlace::Region;
    for (const auto& buffer : buffers) {
        if (buffer.parameter_offset.has_value()) {
            all.places.push_back({Region::Parameters, *buffer.parameter_offset * sizeof(float)});
        } else if (buffer.temporary) {
            all.places.push_back({Region::Arena, arena.offsets[next_temporary++]});
        } else if (buffer.gradient_offset.has_value()) {
            all.places.push_back({Region::Gradient, *buffer.gradient_offset * sizeof(float)});
        } else {
            all.places.push_back({Region::Lasting, rest.offsets[next_lasting++]});
        }
    }
    return all;
}

}  // namespace starling::compute
