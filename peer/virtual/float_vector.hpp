#pragma once

// Float parameters for simulations, as the rules and encodings of the real swarm use them. Exact
// integers prove that the averager keeps the mean; floats show the effects of rounding, momentum
// and weights.

#include <cstddef>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "gossip/parameter_vector.hpp"

namespace starling::peer_virtual {

class FloatVector final : public gossip::ParameterVector {
public:
    struct Shape {
        std::size_t chunks = 3;
        std::size_t elements = 4;
        /// Probability that a chunk is locked when the averager tries to read it or to add to it.
        double locked = 0.0;
    };

    /// Draws every value from a normal distribution with this deviation.
    FloatVector(const Shape& shape, double deviation, Rng rng);

    /// Makes a local training step: adds a normal draw to every value.
    void train(double deviation);

    /// Makes a step towards zero: goes the share `rate` of the way, and adds noise of this
    /// deviation.
    void descend(double rate, double deviation);

    /// Makes the values infinite, as training does that diverges.
    void spoil();

    /// Replaces the values of one chunk, or all of them.
    /// Requires  as many values as there are
    void write(std::size_t chunk, ByteView values);
    void write_all(std::span<const float> values);

    [[nodiscard]] double mean_square() const;

    /// Returns what averaging has added to each value until now, and the sum of the squares of all
    /// single additions.
    [[nodiscard]] const std::vector<double>& averaged() const { return averaged_; }

    [[nodiscard]] double averaged_squares() const { return averaged_squares_; }

    [[nodiscard]] const std::vector<float>& values() const { return values_; }

    [[nodiscard]] gossip::Element element() const override { return gossip::Element::F32; }

    [[nodiscard]] std::size_t chunk_count() const override { return shape_.chunks; }

    [[nodiscard]] std::size_t chunk_elements(std::size_t) const override { return shape_.elements; }

    [[nodiscard]] bool is_buffer(std::size_t) const override { return false; }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override;
    [[nodiscard]] bool try_add(std::size_t chunk, ByteView delta) override;

private:
    Shape shape_;
    Rng rng_;
    std::vector<float> values_;
    std::vector<double> averaged_;
    double averaged_squares_ = 0.0;
};

}  // namespace starling::peer_virtual
