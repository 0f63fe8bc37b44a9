#include "unpack.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "disk_room.hpp"
#include "fetcher_info.hpp"

namespace executor {
namespace {

constexpr size_t kBlock = size_t{128} << 10;
// What an entry takes besides its contents: an inode, a name.
constexpr uint64_t kEntryCost = 4096;
constexpr uint64_t kMostEntries = 1000000;

// As Mesos': times are kept, owners are not, and permissions are what is left of them by the umask. Nothing goes through
// a link that leads elsewhere.
constexpr int kHow = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                     ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;

using Reader = std::unique_ptr<archive, int (*)(archive*)>;

bool endsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool isCompressedFile(const std::string& name) { return endsWith(name, ".gz") && !endsWith(name, ".tar.gz"); }

[[noreturn]] void fail(archive* of, const std::string& what) {
  const char* const why = archive_error_string(of);
  throw std::runtime_error(what + ": " + (why != nullptr ? why : "no reason given"));
}

// Into the folder, by its own name: other programs do the same with names that begin with a slash.
std::string relative(const std::string& name, const std::string& what) {
  std::string path;
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (part == "..") throw std::runtime_error(what + " '" + name + "' leads out of the sandbox");
    if (!part.empty() && part != ".") path += (path.empty() ? "" : "/") + part;
    begin = end + 1;
  }
  if (isAgentsFile(path)) throw std::runtime_error(what + " '" + name + "' is the agent's own file");
  return path;
}

Reader open(const std::string& file) {
  Reader reader(archive_read_new(), archive_read_free);
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_format_empty(reader.get());
  if (isCompressedFile(file)) {
    archive_read_support_format_raw(reader.get());
  } else {
    archive_read_support_filter_bzip2(reader.get());
    archive_read_support_filter_xz(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_format_tar(reader.get());
    archive_read_support_format_zip(reader.get());
  }
  if (archive_read_open_filename(reader.get(), file.c_str(), kBlock) != ARCHIVE_OK) fail(reader.get(), "it can't be read");
  // The file itself counts as one. What is compressed more often hides how much it is.
  if (archive_filter_count(reader.get()) > 2) throw std::runtime_error("it is compressed more than once");
  return reader;
}

// Makes the entry one that can do no harm, or refuses it.
void examine(archive_entry* entry, const std::string& file) {
  const char* const given = isCompressedFile(file) ? nullptr : archive_entry_pathname(entry);
  std::string name = given != nullptr ? given : "";
  if (isCompressedFile(file)) {
    name = file.substr(file.rfind('/') + 1);
    name.resize(name.size() - std::string(".gz").size());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
  }
  if (name.empty()) throw std::runtime_error("it has an entry without a name");
  std::string path = relative(name, "its entry");
  if (path.empty()) path = ".";
  archive_entry_set_pathname(entry, path.c_str());
  if (const char* const target = archive_entry_hardlink(entry)) {
    archive_entry_set_hardlink(entry, relative(target, "the target of its link").c_str());
    return;
  }
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
    case AE_IFDIR:
    case AE_IFLNK:
      break;
    default:
      throw std::runtime_error("its entry '" + name + "' is a device, a pipe or a socket");
  }
  // Neither for another user nor with another's rights.
  archive_entry_set_perm(entry, archive_entry_perm(entry) & 0777);
}

void copyContents(archive* from, archive* to, DiskRoom& room) {
  for (;;) {
    const void* block = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int read = archive_read_data_block(from, &block, &size, &offset);
    if (read == ARCHIVE_EOF) return;
    if (read < ARCHIVE_WARN) fail(from, "it is damaged");
    room.take(size);
    if (archive_write_data_block(to, block, size, offset) < ARCHIVE_WARN) fail(to, "it can't be unpacked");
  }
}

}  // namespace

bool isArchive(const std::string& name) {
  static const char* const ends[] = {".tar",  ".tar.gz", ".tgz",     ".tar.bz2", ".tbz2", ".tar.xz",
                                     ".txz",  ".tar.zst", ".tzst",   ".zip",     ".gz"};
  return std::any_of(std::begin(ends), std::end(ends), [&name](const char* end) { return endsWith(name, end); });
}

void unpack(const std::string& file, const std::string& folder) {
  const Reader reader = open(file);
  // It unpacks into the working directory, and names that are relative can't be led astray by a link above.
  if (chdir(folder.c_str()) != 0) throw std::runtime_error("can't enter " + folder);
  const Reader writer(archive_write_disk_new(), archive_write_free);
  archive_write_disk_set_options(writer.get(), kHow);
  DiskRoom room(".");
  for (uint64_t entries = 0;; ++entries) {
    if (entries > kMostEntries) throw std::runtime_error("it has more than " + std::to_string(kMostEntries) + " entries");
    archive_entry* entry = nullptr;
    const int read = archive_read_next_header(reader.get(), &entry);
    const bool nothing = read == ARCHIVE_EOF && entries == 0 && isCompressedFile(file);
    if (read == ARCHIVE_EOF && !nothing) break;
    if (read < ARCHIVE_WARN) fail(reader.get(), "it is damaged");
    // An empty file, compressed: it has no entry for the library.
    if (nothing) entry = archive_entry_new2(writer.get());
    examine(entry, file);
    room.take(kEntryCost);
    if (archive_write_header(writer.get(), entry) < ARCHIVE_WARN) fail(writer.get(), "it can't be unpacked");
    if (!nothing) copyContents(reader.get(), writer.get(), room);
    if (archive_write_finish_entry(writer.get()) < ARCHIVE_WARN) fail(writer.get(), "it can't be unpacked");
    if (nothing) {
      archive_entry_free(entry);
      break;
    }
  }
  if (archive_write_close(writer.get()) < ARCHIVE_WARN) fail(writer.get(), "it can't be unpacked");
}

}  // namespace executor
