#pragma once

// Notices when training has diverged. One batch without a finite loss may be due to the batch; so
// many in a row are due to the model.

#include <cstddef>

namespace starling::peer {

class DivergenceWatch {
public:
    static constexpr std::size_t kUnsoundMax = 5;

    void sound_step() { unsound_in_a_row_ = 0; }

    void unsound_step() {
        if (++unsound_in_a_row_ >= kUnsoundMax) diverged_ = true;
    }

    /// A parameter is not finite. The losses alone do not show it: a rectifier turns a NaN into zero.
    void bad_parameters() { diverged_ = true; }

    /// Training starts over with other parameters.
    void restart() { *this = {}; }

    /// Stays true until restart().
    [[nodiscard]] bool diverged() const { return diverged_; }

    /// Returns whether the last step was unsound: then the parameters may be bad.
    [[nodiscard]] bool in_doubt() const { return unsound_in_a_row_ > 0; }

private:
    std::size_t unsound_in_a_row_ = 0;
    bool diverged_ = false;
};

}  // namespace starling::peer
