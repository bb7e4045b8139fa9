#include "compute/values/printable.hpp"

#include "base/printable.hpp"

namespace starling::compute {

namespace {

constexpr std::size_t kNameShownMax = 80;

}  // namespace

std::string printable(std::string_view name) {
    return excerpt(name, kNameShownMax);
}

}  // namespace starling::compute
