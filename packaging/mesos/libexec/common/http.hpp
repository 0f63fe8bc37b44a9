// HTTP requests of the event loop: to the agent (http, https, unix socket) and to the Docker Engine.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "event_loop.hpp"

namespace executor {

// How to talk TLS, as libprocess' LIBPROCESS_SSL_* variables say it (see environment.hpp).
struct TlsSettings {
  std::string certFile;
  std::string keyFile;
  std::string caFile;
  std::string caDirectory;
  std::string ciphers;  // OpenSSL's list, empty for the library's own
  bool verifyPeer = false;
  bool verifyName = false;
  long versions = CURL_SSLVERSION_TLSv1_2;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::string body;
  std::vector<std::string> headers;
  std::string unixSocket;                    // connect here instead of to the URL's host
  std::string connectTo;                     // "ip:port" to connect to, whatever the URL's host is
  const TlsSettings* tls = nullptr;          // for https
  std::chrono::milliseconds connectTimeout{5000};
  std::chrono::milliseconds timeout{0};      // of the whole exchange; 0 for streams
};

struct HttpResponse {
  long status = 0;         // 0: there was no complete response, `error` says why
  std::string contentType;
  std::string body;        // empty when the request had an onData
  std::string error;
  CURLcode code = CURLE_OK;

  bool ok() const { return status >= 200 && status < 300; }
  // For messages: the transport's error, or the status and what the server said.
  std::string describe() const;
};

struct HttpHandlers {
  // The status line and headers are in.
  std::function<void(const HttpResponse&)> onHeaders;
  // Bytes of the body as they come; returns how many it took. The rest is offered again after resume().
  std::function<size_t(std::string_view)> onData;
  // The exchange is over; not called for a transfer that was destroyed before.
  std::function<void(const HttpResponse&)> onDone;
};

class HttpClient;

// A running exchange; destroying it ends it without a further call of its handlers.
class HttpTransfer {
 public:
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Offers onData what it left before.
  void resume();

 private:
  friend class HttpClient;
  HttpTransfer(HttpClient& client, HttpRequest request, HttpHandlers handlers);

  static size_t receiveHeader(char* data, size_t size, size_t count, void* self);
  static size_t receiveBody(char* data, size_t size, size_t count, void* self);
  void applyTls(const TlsSettings& tls);
  void deliver();

  HttpClient& client_;
  HttpRequest request_;
  HttpHandlers handlers_;
  HttpResponse response_;
  CURL* easy_;
  curl_slist* headers_ = nullptr;
  curl_slist* connectTo_ = nullptr;
  std::string pending_;
  bool headersComplete_ = false;
  bool headersReported_ = false;
  bool paused_ = false;
  bool finished_ = false;
  char errorText_[CURL_ERROR_SIZE] = "";
};

class HttpClient {
 public:
  explicit HttpClient(EventLoop& loop);
  ~HttpClient();

  // Starts an exchange. Its handlers run from the loop, never from inside this call.
  std::unique_ptr<HttpTransfer> start(HttpRequest request, HttpHandlers handlers);

  // The same for callers that don't want to hold it: runs to its end.
  void send(HttpRequest request, std::function<void(const HttpResponse&)> onDone);

 private:
  friend class HttpTransfer;
  void dispatch();

  EventLoop& loop_;
  std::map<CURL*, HttpTransfer*> running_;
  std::map<uint64_t, std::unique_ptr<HttpTransfer>> unheld_;
  uint64_t lastUnheld_ = 0;
};

}  // namespace executor
