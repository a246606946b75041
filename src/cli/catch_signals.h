// Signals as a question that long work asks, so that it can tidy up behind itself.
#pragma once

#include <csignal>

namespace mokume {

/// While it lives, SIGINT, SIGTERM and SIGHUP only make asked_to_stop() true, and a file that grows
/// beyond what the process may write is an error of write() rather than a signal (SIGXFSZ). One at
/// a time.
class CatchSignals {
 public:
  CatchSignals();
  ~CatchSignals();
  CatchSignals(const CatchSignals&) = delete;
  CatchSignals& operator=(const CatchSignals&) = delete;

  static bool asked_to_stop();

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGXFSZ};
  struct sigaction before_[sizeof(kSignals) / sizeof(int)] = {};
};

}  // namespace mokume
