#include "compute/values/printable.hpp"

namespace starling::compute {

std::string printable(std::string_view name) {
    std::string text(name.substr(0, 80));
    for (auto& c : text) {
        if (c < ' ' || c > '~') c = '?';
    }
    return text;
}

}  // namespace starling::compute
