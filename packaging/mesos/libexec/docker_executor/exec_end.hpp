// Ends commands inside a container, which the engine itself can't.
#pragma once

#include <string>

#include "engine.hpp"
#include "event_loop.hpp"

namespace executor {

// Finds the process of this command of Engine::createExec, and kills it with all that it has started. The engine may not
// have begun it yet, and still will.
void endExec(EventLoop& loop, Engine& engine, const std::string& exec);

}  // namespace executor
