#include "sandbox_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "file_descriptor.hpp"

namespace executor {
namespace {

// A line comes in pieces, and how long it will be is unknown when it begins. So none begins in the last part of a
// file unless its end is there already.
uint64_t reserve(uint64_t maxSize) { return std::min<uint64_t>(maxSize / 4, 16 << 10); }

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

}  // namespace

SandboxFile::SandboxFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {
  struct stat open {};
  struct stat named {};
  rotatable_ = fstat(fd_, &open) == 0 && S_ISREG(open.st_mode) && lstat(path_.c_str(), &named) == 0 &&
               open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

void SandboxFile::limit(uint64_t maxSize, unsigned maxFiles) {
  if (!rotatable_) return;
  maxSize_ = maxSize;
  maxFiles_ = maxFiles;
  measure();
}

ssize_t SandboxFile::write(std::string_view bytes) {
  if (maxSize_ > 0) bytes = fitting(bytes);
  const ssize_t count = writeNow(bytes);
  if (count > 0) {
    for (const auto& [who, action] : listeners_) action(bytes.substr(0, static_cast<size_t>(count)));
  }
  return count;
}

ssize_t SandboxFile::writeLine(std::string_view line) {
  if (maxSize_ > 0 && size_ + line.size() > maxSize_) {
    measure();
    if (size_ > 0 && size_ + line.size() > maxSize_) rotate();
  }
  return writeNow(line);
}

ssize_t SandboxFile::writeNow(std::string_view bytes) {
  const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
  if (count > 0) {
    size_ += static_cast<uint64_t>(count);
    lineOpen_ = bytes[static_cast<size_t>(count) - 1] != '\n';
  }
  return count;
}

void SandboxFile::reopen() {
  // Somebody else may have put a link or a pipe there, see moveOn().
  const FileDescriptor file(open(path_.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat found {};
  if (file && fstat(file.get(), &found) == 0 && S_ISREG(found.st_mode)) dup2(file.get(), fd_);
}

// What of `bytes` goes into the file next, after a rotation if it takes one.
std::string_view SandboxFile::fitting(std::string_view bytes) {
  const uint64_t full = maxSize_ - reserve(maxSize_);
  if (size_ + bytes.size() <= full) return bytes;
  measure();
  if (size_ + bytes.size() <= full) return bytes;
  if (size_ < maxSize_) {
    const std::string_view room = bytes.substr(0, maxSize_ - size_);
    const size_t lineEnd = room.rfind('\n');
    if (lineEnd != std::string_view::npos) return room.substr(0, lineEnd + 1);
    if (lineOpen_ || size_ == 0) return room;
  }
  rotate();
  return bytes.substr(0, maxSize_);
}

// Others may have written to the file, or emptied it.
void SandboxFile::measure() {
  struct stat now {};
  if (fstat(fd_, &now) == 0) size_ = static_cast<uint64_t>(now.st_size);
}

void SandboxFile::rotate() {
  std::string problem;
  if (maxFiles_ > 1) {
    try {
      moveOn();
      size_ = 0;
      if (onRotated_) onRotated_();
      return;
    } catch (const std::runtime_error& error) {
      problem = error.what();
    }
  }
  // With one file only, or when it can't be done otherwise: losing output is better than filling the disk.
  if (ftruncate(fd_, 0) != 0) return;
  size_ = 0;
  if (!problem.empty() && onProblem_) onProblem_(path_ + " can't be rotated, so it was emptied: " + problem);
}

// The container may write in the sandbox, too, while this process may be root. So nothing here follows a link or
// opens a file that is there already.
void SandboxFile::moveOn() {
  const auto older = [this](unsigned number) { return path_ + "." + std::to_string(number); };
  // First of all, because it makes room for the new file on a full disk.
  const std::string oldest = older(maxFiles_ - 1);
  if (unlink(oldest.c_str()) != 0 && errno != ENOENT) fail("can't replace " + oldest);
  const std::string fresh = path_ + ".new";
  unlink(fresh.c_str());
  FileDescriptor file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600));
  if (!file) fail("can't create " + fresh);
  try {
    struct stat old {};
    if (fstat(fd_, &old) != 0 || fchown(file.get(), old.st_uid, old.st_gid) != 0 ||
        fchmod(file.get(), old.st_mode & 07777) != 0) {
      fail("can't make " + fresh + " like " + path_);
    }
    for (unsigned number = maxFiles_ - 2; number > 0; --number) {
      if (rename(older(number).c_str(), older(number + 1).c_str()) != 0 && errno != ENOENT) {
        fail("can't rename " + older(number));
      }
    }
    // A second name and a replacement instead of a rename: there is a file at `path_` at any time. If somebody has
    // removed it, there is one again.
    if (link(path_.c_str(), older(1).c_str()) != 0 && errno != ENOENT) fail("can't rename " + path_);
    if (rename(fresh.c_str(), path_.c_str()) != 0) fail("can't rename " + fresh);
  } catch (const std::runtime_error&) {
    unlink(fresh.c_str());
    throw;
  }
  if (dup2(file.get(), fd_) < 0) fail("can't go on in " + path_);
}

}  // namespace executor
