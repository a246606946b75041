#include "kernels/simt/races.h"

#include <algorithm>

namespace mokume::simt {
namespace {

constexpr size_t kWord = 4;
constexpr int warp_of(uint16_t thread) { return thread / 32; }

}  // namespace

void SharedRaces::begin_interval(size_t bytes) {
  if (++interval_ == 0) {  // marks of 2^32 intervals ago would look like today's
    std::fill(words_.begin(), words_.end(), Mark{});
    std::fill(bytes_.begin(), bytes_.end(), Mark{});
    interval_ = 1;
  }
  const size_t words = (bytes + kWord - 1) / kWord;
  if (words_.size() < words) {
    words_.resize(words);
    bytes_.resize(words * kWord);
  }
}

SharedRaces::Mark& SharedRaces::current(Mark& mark) const {
  if (mark.interval != interval_) {
    mark = {};
    mark.interval = interval_;
  }
  return mark;
}

const char* SharedRaces::touch(Mark& mark, bool write, Toucher by, int* other) {
  const bool writer_ordered =
      mark.writer == kNone || mark.writer == by.thread || (mark.atomic && by.atomic) ||
      (warp_of(mark.writer) == warp_of(by.thread) && mark.writer_epoch < by.warp_epoch);
  if (!writer_ordered) {
    *other = mark.writer;
    return "written by";
  }
  if (write) {
    const bool reader_ordered =
        mark.reader == kNone || (mark.reader_warp == warp_of(by.thread) &&
                                 (mark.reader_epoch < by.warp_epoch || mark.reader == by.thread));
    if (!reader_ordered) {
      *other = mark.reader == kSeveral || mark.reader == by.thread ? -1 : mark.reader;
      return "read by";
    }
    mark.writer = by.thread;
    mark.writer_epoch = by.warp_epoch;
    mark.atomic = by.atomic;
    mark.reader = mark.reader_warp = kNone;
    return nullptr;
  }
  const auto warp = static_cast<uint16_t>(warp_of(by.thread));
  if (mark.reader == kNone) {
    mark.reader_warp = warp;
    mark.reader = by.thread;
  } else if (mark.reader_warp != warp) {
    mark.reader_warp = mark.reader = kSeveral;
  } else if (mark.reader_epoch < by.warp_epoch) {
    mark.reader = by.thread;  // earlier readers of the warp are ordered before it
  } else if (mark.reader != by.thread) {
    mark.reader = kSeveral;
  }
  mark.reader_epoch = by.warp_epoch;
  return nullptr;
}

const char* SharedRaces::touch(size_t offset, size_t bytes, bool write, Toucher toucher,
                               int* other) {
  for (size_t at = offset, end = offset + bytes; at < end;) {
    Mark& word = current(words_[at / kWord]);
    const bool whole = at % kWord == 0 && end - at >= kWord;
    if (!whole && !word.split) {
      std::fill_n(bytes_.begin() + static_cast<ptrdiff_t>(at / kWord * kWord), kWord, word);
      word.split = true;
    }
    if (whole && !word.split) {
      if (const char* what = touch(word, write, toucher, other)) return what;
      at += kWord;
      continue;
    }
    const size_t stop = std::min(end, (at / kWord + 1) * kWord);
    for (; at < stop; ++at) {
      if (const char* what = touch(bytes_[at], write, toucher, other)) return what;
    }
  }
  return nullptr;
}

}  // namespace mokume::simt
