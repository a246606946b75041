#include "api/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace mokume {
namespace {

std::vector<uint32_t> failure_function(std::string_view text) {
  std::vector<uint32_t> failure(text.size(), 0);
  uint32_t matched = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    while (matched > 0 && text[i] != text[matched]) matched = failure[matched - 1];
    if (text[i] == text[matched]) ++matched;
    failure[i] = matched;
  }
  return failure;
}

}  // namespace

StopStrings::StopStrings(std::vector<std::string> strings) : strings_(std::move(strings)) {
  for (const std::string& text : strings_) failure_.push_back(failure_function(text));
}

size_t StopStrings::advance(size_t i, size_t matched, char byte) const {
  const std::string& text = strings_[i];
  while (matched > 0 && text[matched] != byte) matched = failure_[i][matched - 1];
  return text[matched] == byte ? matched + 1 : 0;
}

StopMatcher::StopMatcher(std::shared_ptr<const StopStrings> strings)
    : strings_(std::move(strings)), matched_(strings_->strings().size(), 0) {}

bool StopMatcher::push(std::string_view piece) {
  for (const char byte : piece) {
    ++total_;
    size_t complete = 0;
    for (size_t i = 0; i < matched_.size(); ++i) {
      matched_[i] = strings_->advance(i, matched_[i], byte);
      if (matched_[i] == strings_->strings()[i].size()) complete = std::max(complete, matched_[i]);
    }
    if (complete > 0) {
      safe_ = total_ - complete;
      return true;
    }
  }
  const auto longest = std::max_element(matched_.begin(), matched_.end());
  safe_ = total_ - (longest == matched_.end() ? 0 : *longest);
  return false;
}

}  // namespace mokume
