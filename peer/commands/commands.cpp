#include "peer/commands/commands.hpp"

#include <cstdio>
#include <string>

#include "base/printable.hpp"

namespace starling::peer {

int report_fault(std::string_view command, const Fault& fault) {
    std::fputs(
        ("starling " + std::string(command) + ": " + printable(fault.message) + "\n").c_str(),
        stderr
    );
    return exit_code_of(fault.code);
}

}  // namespace starling::peer
