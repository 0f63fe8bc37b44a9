#include "unpack.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "disk_room.hpp"

namespace executor {
namespace {

constexpr size_t kBlock = size_t{128} << 10;
// What an entry takes besides its contents: an inode, a name.
constexpr uint64_t kEntryCost = 4096;

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
  const std::string path = name.substr(std::min(name.find_first_not_of('/'), name.size()));
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") throw std::runtime_error(what + " '" + name + "' leads out of the sandbox");
    begin = end + 1;
  }
  return path;
}

Reader open(const std::string& file) {
  Reader reader(archive_read_new(), archive_read_free);
  archive_read_support_filter_bzip2(reader.get());
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_zstd(reader.get());
  if (isCompressedFile(file)) {
    archive_read_support_format_raw(reader.get());
  } else {
    archive_read_support_format_tar(reader.get());
    archive_read_support_format_zip(reader.get());
    archive_read_support_format_empty(reader.get());
  }
  if (archive_read_open_filename(reader.get(), file.c_str(), kBlock) != ARCHIVE_OK) fail(reader.get(), "it can't be read");
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
  for (;;) {
    archive_entry* entry = nullptr;
    const int read = archive_read_next_header(reader.get(), &entry);
    if (read == ARCHIVE_EOF) break;
    if (read < ARCHIVE_WARN) fail(reader.get(), "it is damaged");
    examine(entry, file);
    room.take(kEntryCost);
    if (archive_write_header(writer.get(), entry) < ARCHIVE_WARN) fail(writer.get(), "it can't be unpacked");
    copyContents(reader.get(), writer.get(), room);
    if (archive_write_finish_entry(writer.get()) < ARCHIVE_WARN) fail(writer.get(), "it can't be unpacked");
  }
  if (archive_write_close(writer.get()) < ARCHIVE_WARN) fail(writer.get(), "it can't be unpacked");
}

}  // namespace executor
