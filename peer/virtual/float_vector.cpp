#include "peer/virtual/float_vector.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.hpp"

namespace starling::peer_virtual {

FloatVector::FloatVector(const Shape& shape, double deviation, Rng rng)
    : shape_(shape),
      rng_(rng),
      values_(shape.chunks * shape.elements, 0.0F),
      averaged_(values_.size(), 0.0) {
    train(deviation);
}

void FloatVector::train(double deviation) {
    for (auto& value : values_) value += static_cast<float>(deviation * rng_.normal());
}

void FloatVector::descend(double rate, double deviation) {
    // Uniform noise of this deviation: drawn from a bell it took nearly all the time of a simulation, and
    // a sum of many steps is a bell in any case.
    const double unit = deviation * std::sqrt(3.0) * 0x1p-31;
    for (std::size_t i = 0; i < values_.size(); i += 2) {
        const auto bits = rng_.next();
        const auto halves = {
            static_cast<std::int32_t>(bits), static_cast<std::int32_t>(bits >> 32U)};
        auto at = i;
        for (const auto half : halves) {
            if (at == values_.size()) break;
            auto& value = values_[at++];
            value += static_cast<float>(unit * half - rate * double{value});
        }
    }
}

void FloatVector::spoil() {
    std::fill(values_.begin(), values_.end(), std::numeric_limits<float>::infinity());
}

void FloatVector::write(std::size_t chunk, ByteView values) {
    STARLING_CHECK(chunk < shape_.chunks && values.size() == shape_.elements * sizeof(float));
    std::memcpy(&values_[chunk * shape_.elements], values.data(), values.size());
}

void FloatVector::write_all(std::span<const float> values) {
    STARLING_CHECK(values.size() == values_.size());
    std::copy(values.begin(), values.end(), values_.begin());
}

double FloatVector::mean_square() const {
    double sum = 0.0;
    for (const float value : values_) sum += double{value} * double{value};
    return sum / static_cast<double>(values_.size());
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
        averaged_[chunk * shape_.elements + i] += double{added};
        averaged_squares_ += double{added} * double{added};
    }
    return true;
}

}  // namespace starling::peer_virtual
