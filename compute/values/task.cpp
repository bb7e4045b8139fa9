#include "compute/values/task.hpp"

namespace starling::compute {

Result<Precision> parse_precision(std::string_view text) {
    if (text == "f32") return Precision::F32;
    if (text == "bf16") return Precision::Bf16;
    if (text == "auto") return Precision::Auto;
    return fail(
        FaultCode::Usage, "'" + std::string(text) + "' is no precision; give f32, bf16 or auto"
    );
}

std::string_view to_string(Precision precision) {
    if (precision == Precision::Bf16) return "bf16";
    return precision == Precision::Auto ? "auto" : "f32";
}

}  // namespace starling::compute
