#include "http/answer.h"

#include <cmath>
#include <utility>

namespace mokume {
namespace {

std::string server_sent_event(std::string_view data) { return str_cat("data: ", data, "\n\n"); }

Json usage_json(const Usage& usage) {
  Json json = Json::object();
  json["prompt_tokens"] = usage.prompt_tokens;
  json["completion_tokens"] = usage.completion_tokens;
  json["total_tokens"] = usage.prompt_tokens + usage.completion_tokens;
  return json;
}

bool is_failure(FinishReason reason) {
  return reason != FinishReason::kStop && reason != FinishReason::kLength;
}

Status failure_of(const TextEvent& event) {
  if (!event.status.ok()) return event.status;
  if (*event.finish == FinishReason::kCancelled)
    return unavailable("http", "the request was cancelled");
  return internal_error("http", "the request failed");
}

}  // namespace

const char* finish_name(FinishReason reason) {
  return reason == FinishReason::kLength ? "length" : "stop";
}

double finite_logprob(float logprob) { return std::isfinite(logprob) ? logprob : -9999.0; }

Json Answer::envelope(const char* object) const {
  Json json = Json::object();
  json["id"] = info_.id;
  json["object"] = object;
  json["created"] = info_.created;
  json["model"] = info_.model;
  json["system_fingerprint"] = "fp_mokume";
  return json;
}

/// Notes how `event` ends the answer; true when it failed.
bool Answer::take_end(const TextEvent& event) {
  if (event.finish && is_failure(*event.finish)) failure_ = failure_of(event);
  if (event.all_finished) usage_ = event.usage;
  done_ = event.all_finished || failed();
  return failed();
}

std::string Answer::stream(const TextEvent& event) {
  if (done_ || event.choice < 0 || event.choice >= info_.choices) return {};
  if (take_end(event)) return server_sent_event(error_body(failure_));
  Choice& choice = choices_[event.choice];
  const bool begins = !choice.begun && shows_begin();
  std::string out;
  const bool shows_ids = info_.token_ids && !event.ids.empty();
  if (begins || !event.text.empty() || !event.logprobs.empty() || shows_ids || event.finish) {
    Json chunk = envelope(chunk_object());
    chunk["choices"] = Json::array();
    chunk["choices"].push_back(chunk_choice(event, choice));
    if (info_.token_ids) chunk["choices"].back()["token_ids"] = event.ids;
    choice.begun = true;
    if (info_.include_usage) chunk["usage"] = nullptr;
    out += server_sent_event(dump_json(chunk));
  }
  if (!done_) return out;
  if (info_.include_usage) {
    Json chunk = envelope(chunk_object());
    chunk["choices"] = Json::array();
    chunk["usage"] = usage_json(usage_);
    out += server_sent_event(dump_json(chunk));
  }
  return out + server_sent_event("[DONE]");
}

void Answer::collect(TextEvent event) {
  if (done_ || event.choice < 0 || event.choice >= info_.choices) return;
  if (take_end(event)) return;
  Choice& choice = choices_[event.choice];
  choice.text += event.text;
  if (info_.token_ids) choice.ids.insert(choice.ids.end(), event.ids.begin(), event.ids.end());
  for (TextLogprob& logprob : event.logprobs) choice.logprobs.push_back(std::move(logprob));
  if (event.finish) choice.finish = event.finish;
}

Reply Answer::whole() const {
  if (failed()) return error_reply(failure_);
  Json json = envelope(whole_object());
  json["choices"] = Json::array();
  for (int i = 0; i < info_.choices; ++i) {
    json["choices"].push_back(whole_choice(i, choices_[i]));
    if (info_.token_ids) json["choices"].back()["token_ids"] = choices_[i].ids;
  }
  json["usage"] = usage_json(usage_);
  Reply reply;
  reply.body = dump_json(json);
  return reply;
}

}  // namespace mokume
