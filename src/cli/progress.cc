#include "cli/progress.h"

#include <algorithm>
#include <cstdio>

namespace mokume {

void ProgressBar::update(int done, int total) {
  if (!enabled_ || total <= 0) return;
  constexpr int kWidth = 30;
  const int filled = std::clamp(kWidth * done / total, 0, kWidth);
  std::fprintf(stderr, "\r%s [%s%s] %d/%d", label_.c_str(),
               std::string(static_cast<size_t>(filled), '#').c_str(),
               std::string(static_cast<size_t>(kWidth - filled), ' ').c_str(), done, total);
  std::fflush(stderr);
  drawn_ = true;
}

ProgressBar::~ProgressBar() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

}  // namespace mokume
