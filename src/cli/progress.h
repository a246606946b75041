// A progress bar on stderr.
#pragma once

#include <string>

namespace mokume {

/// Draws only when asked to (a terminal, no --json); erased when it is destroyed.
class ProgressBar {
 public:
  ProgressBar(std::string label, bool enabled) : label_(std::move(label)), enabled_(enabled) {}
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(int done, int total);

 private:
  const std::string label_;
  const bool enabled_;
  bool drawn_ = false;
};

}  // namespace mokume
