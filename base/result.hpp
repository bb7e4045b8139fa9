#pragma once

// How functions report failures of the outside world: of bytes, peers, files, sockets and flags.
// Failures of our own logic are CHECKs (check.hpp).

#include <boost/system/result.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace starling {

/// What failed. The comment on each value says who is to blame and what happened to our state.
enum class FaultCode {
    Usage,           ///< the user's flags or configuration; nothing was done
    NotFound,        ///< a file, dataset, model or peer that does not exist; nothing was done
    BadFormat,       ///< bytes that are not what they claim; the input was dropped whole
    Truncated,       ///< bytes that end too early; the input was dropped whole
    Oversized,       ///< a length or count above its limit; refused before any allocation
    BadVersion,      ///< a version that we do not know; the connection or file was refused
    BadValue,        ///< a value outside its range; the input was dropped whole
    Corrupt,         ///< a checksum or hash that does not match; the input was dropped whole
    LayoutMismatch,  ///< a peer whose parameters have another layout; refused before payload
    SwarmMismatch,   ///< a peer of another swarm; the connection was refused
    Unsupported,     ///< a request that we understand but do not do; nothing was done
    Busy,            ///< a resource that serves others now; try again later
    Refused,         ///< the other side said no; nothing changed here
    Unreachable,     ///< no route, no listener, no answer; nothing changed here
    Closed,          ///< the connection ended; an exchange in flight is settled by its ledger
    Timeout,         ///< a deadline passed; treated like Closed
    AddressInUse,    ///< the port belongs to another process; nothing was started
    Diverged,        ///< training gives no finite loss any more; what was on disk is intact
    Device,          ///< a graphics card or its driver failed; the step was not made
    Io,              ///< the operating system refused a read or write; old contents are intact
    Cancelled,       ///< we are shutting down; nothing more will happen
};

/// Returns the name of the code's enumerator, for instance `BadFormat`.
[[nodiscard]] std::string_view to_string(FaultCode code);

/// One failure: a code for programs, and one line for people (what, where, what to do).
struct Fault {
    FaultCode code = FaultCode::BadValue;
    std::string message;
};

template <class T>
using Result = boost::system::result<T, Fault>;

/// Makes a failed Result: `return fail(FaultCode::Io, "cannot write " + path)`.
[[nodiscard]] inline Fault fail(FaultCode code, std::string message) {
    return Fault{code, std::move(message)};
}

/// Boost calls this when value() is called on a failed Result. That is a bug of the caller, who
/// must look at the result first.
[[noreturn]] void throw_exception_from_error(const Fault& fault, const boost::source_location& at);

}  // namespace starling
