// Loading what extends Mesos: --modules, --modules_dir and --hooks.
#pragma once

#include "flag_values.hpp"

void loadModules(const FlagValues& flags);
void installHooks(const FlagValues& flags);
