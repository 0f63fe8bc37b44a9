// mesos-containerizer, which Mesos' agent starts for every container of the Mesos containerizer: the parent of the
// container's first process for as long as it runs. It hands signals on to it, reaps what it leaves behind, and writes
// its status where the agent looks for it.
//
// Mesos' own parent does that, too, with all of libmesos in its memory: 15 MiB a container. This one leaves everything
// but the waiting to mesos-container-setup, and uses no library but the C library's.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace {

const char* const RUNTIME_DIRECTORY_FLAG = "--runtime_directory=";
const char* const RUNTIME_DIRECTORY_VARIABLE = "MESOS_CONTAINERIZER_RUNTIME_DIRECTORY";
const char* const PIPE_READ_VARIABLE = "MESOS_CONTAINERIZER_PIPE_READ";
const char* const PIPE_WRITE_VARIABLE = "MESOS_CONTAINERIZER_PIPE_WRITE";
constexpr int STATUS_DESCRIPTOR = 3;

// What ends slower than this is left to the agent, which destroys the container next.
constexpr int LONGEST_FAREWELL_MS = 5000;
constexpr int PAUSE_MS = 5;

// The kernel tells the agent within 10 ms that a container has been out of memory.
constexpr int OOM_NOTICE_MS = 100;

volatile pid_t first = 0;

[[noreturn]] void fail(const char* what, const char* subject)
{
  dprintf(STDERR_FILENO, "mesos-containerizer: %s %s: %s\n", what, subject, strerror(errno));
  _exit(EXIT_FAILURE);
}

// As the agent reads it: the number that waitpid gives.
void writeStatus(int status)
{
  if (dprintf(STATUS_DESCRIPTOR, "%d", status) < 0) perror("mesos-containerizer: writing the container's status");
}

void handOn(int signal)
{
  const int before = errno;
  if (first > 0) kill(first, signal);
  errno = before;
}

void handOnSignals()
{
  struct sigaction action = {};
  action.sa_handler = handOn;
  sigfillset(&action.sa_mask);
  for (int signal = 1; signal < NSIG; ++signal)
    if (signal != SIGCHLD) sigaction(signal, &action, nullptr); // refused for those that can't be caught
}

void closeFrom(int descriptor)
{
  if (close_range(static_cast<unsigned>(descriptor), ~0U, 0) == 0) return;
  struct rlimit limit = {}; // kernels before 5.9
  getrlimit(RLIMIT_NOFILE, &limit);
  for (; descriptor < static_cast<int>(limit.rlim_cur); ++descriptor) close(descriptor);
}

// "/usr/libexec/mesos/mesos-containerizer" → "/usr/libexec/mesos/mesos-container-setup"
const char* setupProgram()
{
  static char path[4096];
  const char* const name = "mesos-container-setup";
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - strlen(name) - 1);
  if (length < 0) fail("reading", "/proc/self/exe");
  path[length] = '\0';
  strcpy(strrchr(path, '/') + 1, name);
  return path;
}

// Where the agent wants the status of a container, and takes the wish out of what the setup is told: it would be a
// parent itself. Null when it wants none, because what is launched has a parent already.
const char* takeRuntimeDirectory(char** argv)
{
  const char* directory = getenv(RUNTIME_DIRECTORY_VARIABLE);
  if (directory != nullptr) directory = strdup(directory);
  unsetenv(RUNTIME_DIRECTORY_VARIABLE);
  char** kept = argv;
  for (char** argument = argv; *argument != nullptr; ++argument) {
    if (strncmp(*argument, RUNTIME_DIRECTORY_FLAG, strlen(RUNTIME_DIRECTORY_FLAG)) == 0)
      directory = *argument + strlen(RUNTIME_DIRECTORY_FLAG);
    else
      *kept++ = *argument;
  }
  *kept = nullptr;
  return directory;
}

int openStatus(const char* directory)
{
  char path[4096];
  snprintf(path, sizeof path, "%s/status", directory);
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) fail("opening", path);
  return file;
}

// The agent's pipes are the setup's, which waits for them to be closed.
void keepOnlyStatus(int file)
{
  if (file != STATUS_DESCRIPTOR) dup2(file, STATUS_DESCRIPTOR);
  closeFrom(STATUS_DESCRIPTOR + 1);
}

// The agent puts this process, and none of its children, into the container's control groups before it says that the
// container may go on. What it says is left for the setup to read.
void waitForTheAgent()
{
  const char* const read = getenv(PIPE_READ_VARIABLE);
  const char* const write = getenv(PIPE_WRITE_VARIABLE);
  if (read == nullptr || write == nullptr) return;
  // As long as this process has an end to write to, it does not hear of the agent's death. The setup closes it, too.
  const int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(nothing, atoi(write));
  close(nothing);
  pollfd agent = {atoi(read), POLLIN, 0};
  while (poll(&agent, 1, -1) < 0 && errno == EINTR) {}
}

// A container that is out of memory is killed as a whole, but for its parent, which must write the status.
void surviveLackOfMemory()
{
  const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, "-1000", 5) < 0) {} // nobody but root may
  close(file);
}

// Of the agent, whose unit may have it killed last: no command inherits that.
void giveUpProtection()
{
  const int file = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  char score = '0';
  if (file >= 0 && read(file, &score, 1) == 1 && score == '-' && write(file, "0", 1) < 0) {}
  close(file);
}

int waitForFirst()
{
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno != EINTR) fail("waiting for", "the container");
    if (ended == first) {
      first = 0; // the number may be another process' soon
      return status;
    }
  }
}

// Processes whose parent this is; those of the container become that when their own has ended.
bool killChildren()
{
  DIR* const processes = opendir("/proc");
  if (processes == nullptr) return false;
  bool any = false;
  while (const dirent* const entry = readdir(processes)) {
    const pid_t pid = atoi(entry->d_name);
    if (pid <= 1) continue;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE* const stat = fopen(path, "re");
    if (stat == nullptr) continue;
    char line[512];
    const char* const end = fgets(line, sizeof line, stat) == nullptr ? nullptr : strrchr(line, ')');
    fclose(stat);
    int parent = 0;
    if (end == nullptr || sscanf(end + 1, " %*c %d", &parent) != 1 || parent != getpid()) continue;
    kill(pid, SIGKILL);
    any = true;
  }
  closedir(processes);
  return any;
}

// What the container leaves behind would run on: without control groups, the agent finds only what has stayed in the
// first process' session.
void endTheRest()
{
  for (int waited = 0; waited < LONGEST_FAREWELL_MS; waited += PAUSE_MS) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {}
    if (!killChildren()) return;
    usleep(PAUSE_MS * 1000);
  }
}

}

int main(int argc, char** argv)
{
  const char* const setup = setupProgram();
  const char* const directory = argc > 1 && strcmp(argv[1], "launch") == 0 ? takeRuntimeDirectory(argv) : nullptr;
  if (directory == nullptr) {
    execv(setup, argv);
    fail("starting", setup);
  }

  const int file = openStatus(directory);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  waitForTheAgent();

  // Nobody hands on signals to a process that is not there yet, and the handlers are the parent's alone.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  first = fork();
  if (first < 0) fail("starting", setup);
  if (first == 0) {
    // A terminal's processes need a session of their own, which this one leads already.
    if (isatty(STDIN_FILENO)) setsid();
    giveUpProtection();
    sigprocmask(SIG_SETMASK, &before, nullptr);
    execv(setup, argv);
    fail("starting", setup);
  }
  surviveLackOfMemory(); // the child has been left as it was
  handOnSignals();
  sigprocmask(SIG_SETMASK, &before, nullptr);
  keepOnlyStatus(file);

  const int status = waitForFirst();
  writeStatus(status);
  endTheRest();
  // The agent asks no further why the container has ended when it hears of the end first.
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) usleep(OOM_NOTICE_MS * 1000);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
