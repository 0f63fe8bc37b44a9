// Answers of the engine for somebody who may be gone when they come.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine.hpp"

namespace executor {

class EngineAnswers {
 public:
  // `onError` is told what is wrong with an answer; it may destroy this.
  explicit EngineAnswers(std::function<void(const std::string&)> onError) : onError_(std::move(onError)) {}

  // Hands on an answer, unless it is none or this is gone: one that is an error, or that `action` can't make sense of, goes
  // to onError instead.
  Engine::Done to(std::function<void(const HttpResponse&)> action) const {
    return [onError = onError_, action = std::move(action), alive = alive()](const HttpResponse& response) {
      if (alive.expired()) return;
      try {
        if (!response.ok()) throw InvalidField(response.describe());
        action(response);
      } catch (const std::runtime_error& error) {
        onError(error.what());
      }
    };
  }

  // Expires with this.
  std::weak_ptr<int> alive() const { return alive_; }

 private:
  const std::function<void(const std::string&)> onError_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace executor
