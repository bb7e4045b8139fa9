#include "base/result.hpp"

#include <stdexcept>

namespace starling {

std::string_view to_string(FaultCode code) {
    switch (code) {
        case FaultCode::Usage:
            return "Usage";
        case FaultCode::NotFound:
            return "NotFound";
        case FaultCode::BadFormat:
            return "BadFormat";
        case FaultCode::Truncated:
            return "Truncated";
        case FaultCode::Oversized:
            return "Oversized";
        case FaultCode::BadVersion:
            return "BadVersion";
        case FaultCode::BadValue:
            return "BadValue";
        case FaultCode::Corrupt:
            return "Corrupt";
        case FaultCode::LayoutMismatch:
            return "LayoutMismatch";
        case FaultCode::SwarmMismatch:
            return "SwarmMismatch";
        case FaultCode::Unsupported:
            return "Unsupported";
        case FaultCode::Busy:
            return "Busy";
        case FaultCode::Refused:
            return "Refused";
        case FaultCode::Unreachable:
            return "Unreachable";
        case FaultCode::Closed:
            return "Closed";
        case FaultCode::Timeout:
            return "Timeout";
        case FaultCode::AddressInUse:
            return "AddressInUse";
        case FaultCode::Diverged:
            return "Diverged";
        case FaultCode::Device:
            return "Device";
        case FaultCode::Io:
            return "Io";
        case FaultCode::Cancelled:
            return "Cancelled";
    }
    return "Unknown";
}

void throw_exception_from_error(const Fault& fault, const boost::source_location& at) {
    throw std::logic_error(
        std::string(at.file_name()) + ":" + std::to_string(at.line()) +
        ": value of a failed result: " + fault.message
    );
}

}  // namespace starling
