// Which cgroup hierarchies this host has.
#pragma once

// Whether a version 1 hierarchy with the cpu controller is mounted. That is what Mesos asks before it uses Docker; a
// host without one is a host with version 2 only.
bool hasVersion1Cpu();
