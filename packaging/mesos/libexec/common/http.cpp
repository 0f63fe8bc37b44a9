#include "http.hpp"

#include <stdexcept>

namespace executor {

std::string HttpResponse::describe() const {
  if (status == 0) return error;
  return "HTTP status " + std::to_string(status) + (body.empty() ? "" : ": " + body);
}

HttpTransfer::HttpTransfer(HttpClient& client, HttpRequest request, HttpHandlers handlers)
    : client_(client), request_(std::move(request)), handlers_(std::move(handlers)), easy_(curl_easy_init()) {
  if (easy_ == nullptr) throw std::runtime_error("libcurl has no memory for another transfer");
  curl_easy_setopt(easy_, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  if (request_.method == "POST") {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.c_str());
  }
  for (const std::string& header : request_.headers) headers_ = curl_slist_append(headers_, header.c_str());
  // "Expect: 100-continue" would cost a round trip that neither server here wants.
  headers_ = curl_slist_append(headers_, "Expect:");
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  // A proxy from the environment is never meant for the agent or the engine.
  curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPIDLE, 30L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPINTVL, 10L);
  curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, 16384L);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connectTimeout.count()));
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout.count()));
  if (!request_.unixSocket.empty()) {
    curl_easy_setopt(easy_, CURLOPT_UNIX_SOCKET_PATH, request_.unixSocket.c_str());
  }
  if (!request_.connectTo.empty()) {
    connectTo_ = curl_slist_append(connectTo_, ("::" + request_.connectTo).c_str());
    curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connectTo_);
  }
  if (request_.tls != nullptr) applyTls(*request_.tls);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, errorText_);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &HttpTransfer::receiveHeader);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &HttpTransfer::receiveBody);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
}

HttpTransfer::~HttpTransfer() {
  client_.running_.erase(easy_);
  curl_multi_remove_handle(client_.loop_.transfers(), easy_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(connectTo_);
}

void HttpTransfer::applyTls(const TlsSettings& tls) {
  const auto setText = [this](CURLoption option, const std::string& value) {
    if (!value.empty()) curl_easy_setopt(easy_, option, value.c_str());
  };
  setText(CURLOPT_SSLCERT, tls.certFile);
  setText(CURLOPT_SSLKEY, tls.keyFile);
  setText(CURLOPT_CAINFO, tls.caFile);
  setText(CURLOPT_CAPATH, tls.caDirectory);
  setText(CURLOPT_SSL_CIPHER_LIST, tls.ciphers);
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, tls.versions);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, tls.verifyPeer ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, tls.verifyName ? 2L : 0L);
}

void HttpTransfer::resume() {
  while (!pending_.empty() || paused_) {
    if (!pending_.empty()) pending_.erase(0, handlers_.onData(pending_));
    if (!pending_.empty()) return;  // the reader is behind and will call again
    if (!paused_) break;
    paused_ = false;
    curl_easy_pause(easy_, CURLPAUSE_CONT);  // hands over what it held back, right now, if there is any
  }
  if (finished_) deliver();
}

void HttpTransfer::deliver() {
  finished_ = false;
  const HttpResponse response = std::move(response_);
  const auto onDone = std::move(handlers_.onDone);
  if (onDone) onDone(response);  // may destroy this transfer
}

size_t HttpTransfer::receiveHeader(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  const std::string_view line(data, size * count);
  if (line == "\r\n") {
    long status = 0;
    curl_easy_getinfo(transfer.easy_, CURLINFO_RESPONSE_CODE, &status);
    transfer.headersComplete_ = status >= 200;  // 1xx is followed by the real one
    transfer.response_.status = transfer.headersComplete_ ? status : 0;
    const char* type = nullptr;
    curl_easy_getinfo(transfer.easy_, CURLINFO_CONTENT_TYPE, &type);
    transfer.response_.contentType = type == nullptr ? "" : type;
  }
  return size * count;
}

size_t HttpTransfer::receiveBody(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  if (!transfer.handlers_.onData) {
    transfer.response_.body.append(data, size * count);
  } else if (!transfer.pending_.empty()) {
    transfer.paused_ = true;  // the reader is behind: leave the rest to the socket
    return CURL_WRITEFUNC_PAUSE;
  } else {
    transfer.pending_.append(data, size * count);
  }
  return size * count;
}

HttpClient::HttpClient(EventLoop& loop) : loop_(loop) {
  loop_.onTransferProgress([this] { dispatch(); });
}

HttpClient::~HttpClient() { loop_.onTransferProgress(nullptr); }

std::unique_ptr<HttpTransfer> HttpClient::start(HttpRequest request, HttpHandlers handlers) {
  std::unique_ptr<HttpTransfer> transfer(new HttpTransfer(*this, std::move(request), std::move(handlers)));
  running_[transfer->easy_] = transfer.get();
  curl_multi_add_handle(loop_.transfers(), transfer->easy_);
  return transfer;
}

void HttpClient::send(HttpRequest request, std::function<void(const HttpResponse&)> onDone) {
  const uint64_t id = ++lastUnheld_;
  HttpHandlers handlers;
  handlers.onDone = [this, id, onDone = std::move(onDone)](const HttpResponse& response) {
    const auto self = std::move(unheld_.at(id));
    unheld_.erase(id);
    if (onDone) onDone(response);
  };
  unheld_[id] = start(std::move(request), std::move(handlers));
}

// libcurl's own callbacks must not start or end transfers, so they only store; the handlers run from here.
void HttpClient::dispatch() {
  std::vector<CURL*> active;
  active.reserve(running_.size());
  for (const auto& [easy, transfer] : running_) active.push_back(easy);
  for (CURL* easy : active) {
    auto found = running_.find(easy);
    if (found == running_.end()) continue;
    if (found->second->headersComplete_ && !found->second->headersReported_) {
      found->second->headersReported_ = true;
      if (found->second->handlers_.onHeaders) found->second->handlers_.onHeaders(found->second->response_);
    }
    found = running_.find(easy);
    if (found == running_.end()) continue;
    if (!found->second->pending_.empty()) found->second->resume();
  }

  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(loop_.transfers(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    const auto found = running_.find(message->easy_handle);
    if (found == running_.end()) continue;
    HttpTransfer& transfer = *found->second;
    running_.erase(found);
    curl_multi_remove_handle(loop_.transfers(), transfer.easy_);
    transfer.finished_ = true;
    transfer.response_.code = code;
    if (code != CURLE_OK) {
      transfer.response_.error = transfer.errorText_[0] != '\0' ? transfer.errorText_ : curl_easy_strerror(code);
      transfer.response_.status = 0;
    }
    transfer.resume();  // its reader may be behind; the end is delivered after the last byte
  }
}

}  // namespace executor
