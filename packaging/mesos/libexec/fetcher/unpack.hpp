// Unpacks archives that may be hostile: nothing is written outside the folder, and no more than the disk can take.
#pragma once

#include <string>

namespace executor {

// Whether a file of this name is unpacked: .tar, alone or with .gz, .bz2, .xz or .zst, also as .tgz, .tbz2, .txz and
// .tzst; .zip; and .gz, which is one file that is put beside.
bool isArchive(const std::string& name);

// Unpacks the archive into `folder`. Entries that would be put out of it or over the agent's own files, or that are
// neither files, folders nor links, are an error, and so is an archive that would fill the disk. Links may lead
// anywhere, but nothing is put through one. What was unpacked before an error stays. Throws std::runtime_error.
void unpack(const std::string& archive, const std::string& folder);

}  // namespace executor
