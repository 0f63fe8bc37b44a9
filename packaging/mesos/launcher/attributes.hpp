// An agent's attributes, before Mesos reads them.
#pragma once

#include "flag_values.hpp"

// Fails on --attributes that would make Mesos abort with a stack trace.
void checkAttributes(const FlagValues& flags);
