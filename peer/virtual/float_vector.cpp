#include "peer/virtual/float_vector.hpp"

#include <cstring>

#include "base/check.hpp"

namespace starling::peer_virtual {

FloatVector::FloatVector(const Shape& shape, double deviation, Rng rng)
    : shape_(shape),
      rng_(rng),
      values_(shape.chunks * shape.elements, 0.0F) {
    train(deviation);
}

void FloatVector::train(double deviation) {
    for (auto& value : values_) value += static_cast<float>(deviation * rng_.normal());
}

bool FloatVector::try_read(std::size_t chunk, std::span<std::byte> out) {
    STARLING_CHECK(chunk < shape_.chunks && out.size() == shape_.elements * sizeof(float));
    if (shape_.locked > 0.0 && rng_.chance(shape_.locked)) return false;
    std::memcpy(out.data(), &values_[chunk * shape_.elements], out.size());
    return true;
}

bool FloatVector::try_add(std::size_t chunk, ByteView delta) {
    STARLING_CHECK(chunk < shape_.chunks && delta.size() == shape_.elements * sizeof(float));
    if (shape_.locked > 0.0 && rng_.chance(shape_.locked)) return false;
    for (std::size_t i = 0; i < shape_.elements; ++i) {
        float added = 0.0F;
        std::memcpy(&added, delta.data() + i * sizeof(float), sizeof(float));
        values_[chunk * shape_.elements + i] += added;
    }
    return true;
}

}  // namespace starling::peer_virtual
