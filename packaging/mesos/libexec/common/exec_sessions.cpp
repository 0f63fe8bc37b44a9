#include "exec_sessions.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "base64.hpp"
#include "log.hpp"

namespace executor {
namespace {

using std::chrono::seconds;

constexpr size_t kMostSessions = 8;
constexpr size_t kMostKnown = 1000;
constexpr size_t kMostEarly = 64;
// Output that is under way; what comes on top waits in the command's pipe.
constexpr int64_t kWindow = 256 * 1024;
constexpr size_t kMostInput = 64 * 1024;
// A master takes messages of any size, and handles nothing else meanwhile.
constexpr size_t kLongestPart = 16 * 1024;
// The scheduler says something every five seconds.
constexpr Duration kSilence = seconds(30);
// So long after those that follow it, a message is lost.
constexpr Duration kMissing = seconds(5);

const char* nameOf(StandardStream stream) { return stream == StandardStream::Out ? "stdout" : "stderr"; }

int64_t sizeOf(const Json& body, const char* key) {
  const int64_t size = integerOr(body, key, 0, "exec");
  if (size < 1 || size > 10000) {
    throw InvalidField(std::string("exec.terminal.") + key + ": " + std::to_string(size) +
                       " is not allowed; it must be 1 to 10000");
  }
  return size;
}

ExecRequest requestOf(const Json& body, bool attaches) {
  ExecRequest request;
  for (const Json& word : arrayOf(body, "command", "exec")) {
    if (!word.is_string()) throw InvalidField("exec.command: " + word.dump() + " is not allowed; it must be a text");
    request.command.push_back(word.get<std::string>());
  }
  if (request.command.empty() != attaches) {
    throw InvalidField(attaches ? "exec.command is not allowed here" : "exec.command is missing");
  }
  request.input = boolOr(body, "input", false, "exec");
  const Json& terminal = member(body, "terminal", "exec");
  if (!terminal.is_null()) {
    request.terminal = {textOr(terminal, "type", "dumb", "terminal"), sizeOf(terminal, "rows"),
                        sizeOf(terminal, "columns")};
  }
  return request;
}

// In the same time for every wrong one.
bool isSame(const std::string& key, const std::string& shown) {
  unsigned char difference = key.size() == shown.size() ? 0 : 1;
  for (size_t at = 0; at < std::min(key.size(), shown.size()); ++at) {
    difference |= static_cast<unsigned char>(key[at] ^ shown[at]);
  }
  return difference == 0;
}

}  // namespace

class ExecSession {
 public:
  ExecSession(ExecSessions& owner, std::string id, ExecCommands& commands, const ExecRequest& request)
      : owner_(owner), id_(std::move(id)), terminal_(request.terminal.has_value()) {
    ExecHandlers handlers;
    handlers.onOutput = [this](StandardStream stream, std::string_view bytes) { return output(stream, bytes); };
    handlers.onRoom = [this] { handOn(); };
    handlers.onEnd = [this](const ExecResult& result) {
      owner_.over(id_, result.error.empty() ? Json{{"status", result.status}} : Json{{"error", result.error}});
    };
    command_ = request.command.empty() ? commands.attach(request, std::move(handlers))
                                       : commands.run(request, std::move(handlers));
    if (!request.input && !terminal_) command_->endInput();
    heard();
  }

  ~ExecSession() { owner_.loop_.cancel(silence_); }

  // May destroy this. Throws InvalidField, and ends the session then.
  void handle(const std::string& type, const Json& body) {
    heard();
    if (inputEnds_ && (type == "INPUT" || type == "END_INPUT")) throw InvalidField("the input has ended before");
    if (type == "INPUT") {
      std::string bytes;
      try {
        bytes = fromBase64(textOr(body, "data", "", "exec"));
      } catch (const std::invalid_argument& error) {
        throw InvalidField(std::string("exec.data: ") + error.what());
      }
      if (input_.size() + bytes.size() > kMostInput) throw InvalidField("the command does not take its input");
      input_ += bytes;
      received_ += static_cast<int64_t>(bytes.size());
      if (!bytes.empty()) lineOpen_ = bytes.back() != '\n' && bytes.back() != '\r';
      handOn();
    } else if (type == "END_INPUT") {
      inputEnds_ = true;
      // What Ctrl-D sends: in a line that has begun, the first one ends no more than the line.
      if (terminal_) input_ += lineOpen_ ? "\4\4" : "\4";
      handOn();
    } else if (type == "RESIZE") {
      command_->resize(sizeOf(body, "rows"), sizeOf(body, "columns"));
    } else if (type == "RECEIVED") {
      acknowledged_ = std::clamp<int64_t>(integerOr(body, "bytes", 0, "exec"), acknowledged_, sent_);
      tell();
      command_->resume();  // may destroy this
    } else if (type != "START" && type != "ATTACH") {
      throw InvalidField("exec.type: '" + type + "' is not allowed");
    }
  }

 private:
  void heard() {
    owner_.loop_.cancel(silence_);
    silence_ = owner_.loop_.after(kSilence, [this] {
      owner_.over(id_, {{"error", "nothing was heard of the scheduler for " + describe(kSilence)}});
    });
  }

  void handOn() {
    if (!input_.empty()) {
      const size_t taken = command_->write(input_);
      input_.erase(0, taken);
      if (taken > 0) tell();
    }
    if (input_.empty() && inputEnds_ && !terminal_) command_->endInput();
  }

  void tell() {
    const int64_t taken = std::max<int64_t>(received_ - static_cast<int64_t>(input_.size()), 0);
    owner_.say(id_, "TAKEN", {{"bytes", taken}});
  }

  size_t output(StandardStream stream, std::string_view bytes) {
    const int64_t room = std::max<int64_t>(acknowledged_ + kWindow - sent_, 0);
    const size_t taken = std::min({bytes.size(), static_cast<size_t>(room), kLongestPart});
    if (taken == 0) return 0;
    owner_.say(id_, "OUTPUT", {{"stream", nameOf(stream)}, {"data", base64(bytes.substr(0, taken))}});
    sent_ += static_cast<int64_t>(taken);
    return taken + (taken < bytes.size() ? output(stream, bytes.substr(taken)) : 0);
  }

  ExecSessions& owner_;
  const std::string id_;
  const bool terminal_;
  std::unique_ptr<ExecCommand> command_;
  std::string input_;  // what the command has not taken yet
  int64_t received_ = 0;
  bool inputEnds_ = false;
  bool lineOpen_ = false;
  int64_t sent_ = 0;
  int64_t acknowledged_ = 0;
  EventLoop::TimerId silence_ = 0;
};

ExecSessions::ExecSessions(EventLoop& loop, std::function<void(std::string)> send)
    : loop_(loop), send_(std::move(send)) {}

ExecSessions::~ExecSessions() {
  for (auto& known : orders_) loop_.cancel(known.second.missing);
}

void ExecSessions::handle(const std::string& message, ExecCommands* commands) {
  std::string id;
  try {
    const Json document = parseJson(message, "the message");
    const Json& body = member(document, "exec");
    if (body.is_null()) throw InvalidField("it is none of those that are known");
    if (key_.empty()) throw InvalidField("the task has no key: it was launched by an older scheduler");
    if (!isSame(key_, textOr(body, "key", "", "exec"))) throw InvalidField("it does not have the task's key");
    id = textOr(body, "session", "", "exec");
    const int64_t number = integerOr(body, "number", -1, "exec");
    if (orders_.find(id) == orders_.end() && orders_.size() >= kMostKnown) forgetOver();
    Order& order = orders_[id];
    if (order.over || number < order.next) return;
    if (textOr(body, "type", "", "exec") == "END") return close(id);  // whatever is still under way
    if (order.early.size() >= kMostEarly) throw InvalidField("too many messages came before their time");
    order.early[number] = body;
    // A message may end the session, and its order with it.
    for (auto known = orders_.find(id); known != orders_.end() && !known->second.over; known = orders_.find(id)) {
      const auto next = known->second.early.find(known->second.next);
      if (next == known->second.early.end()) break;
      const Json taken = std::move(next->second);
      known->second.early.erase(next);
      ++known->second.next;
      loop_.cancel(known->second.missing);
      take(id, taken, commands);
    }
    awaitMissing(id);
  } catch (const std::runtime_error& error) {
    if (id.empty()) {
      logWarning(std::string("A message of the scheduler is left: ") + error.what());
    } else {
      over(id, {{"error", error.what()}});
    }
  }
}

void ExecSessions::awaitMissing(const std::string& id) {
  Order& order = orders_[id];
  if (order.early.empty() || order.missing != 0) return;
  order.missing = loop_.after(kMissing, [this, id, number = order.next] {
    over(id, {{"error", "message " + std::to_string(number) + " of the scheduler is missing: it was lost on the way"}});
  });
}

void ExecSessions::forgetOver() {
  for (auto known = orders_.begin(); known != orders_.end();) {
    known = known->second.over ? orders_.erase(known) : std::next(known);
  }
}

void ExecSessions::take(const std::string& id, const Json& body, ExecCommands* commands) {
  const std::string type = textOr(body, "type", "", "exec");
  const auto found = sessions_.find(id);
  if (found != sessions_.end()) {
    found->second->handle(type, body);
  } else if (type == "START" || type == "ATTACH") {
    start(id, type == "ATTACH", body, commands);
  } else {
    throw InvalidField("there is no such session");
  }
}

void ExecSessions::start(const std::string& id, bool attaches, const Json& body, ExecCommands* commands) {
  if (commands == nullptr) throw InvalidField("the task does not run");
  if (sessions_.size() >= kMostSessions) {
    throw InvalidField(std::to_string(kMostSessions) + " commands run beside the task already");
  }
  const ExecRequest request = requestOf(body, attaches);
  logInfo(std::string(attaches ? "An operator looks at the task" : "An operator runs a command beside the task") +
          " (session " + id + ")");
  sessions_[id] = std::make_unique<ExecSession>(*this, id, *commands, request);
  say(id, "STARTED", Json::object());
}

void ExecSessions::end(const std::string& why) {
  while (!sessions_.empty()) over(sessions_.begin()->first, {{"error", why}});
}

void ExecSessions::say(const std::string& id, const char* type, Json body) {
  body["key"] = key_;
  body["session"] = id;
  body["number"] = orders_[id].said++;
  body["type"] = type;
  send_(dump({{"exec", std::move(body)}}));
}

void ExecSessions::over(std::string id, Json result) {
  say(id, "ENDED", std::move(result));
  close(id);
}

void ExecSessions::close(const std::string& id) {
  Order& order = orders_[id];
  order.over = true;
  order.early.clear();
  loop_.cancel(order.missing);
  sessions_.erase(id);
}

}  // namespace executor
