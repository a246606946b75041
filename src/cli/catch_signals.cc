#include "cli/catch_signals.h"

#include <atomic>
#include <iterator>

namespace mokume {
namespace {

std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler sets it

}  // namespace

CatchSignals::CatchSignals() {
  stop_requested = false;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    struct sigaction action = {};
    action.sa_handler = [](int) { stop_requested = true; };
    if (kSignals[i] == SIGXFSZ) action.sa_handler = SIG_IGN;
    sigaction(kSignals[i], &action, &before_[i]);
  }
}

CatchSignals::~CatchSignals() {
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

bool CatchSignals::asked_to_stop() { return stop_requested; }

}  // namespace mokume
