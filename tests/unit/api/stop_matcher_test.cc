// The matcher, and the sink around it, against a simple oracle on random texts cut at random
// places.
#include "api/stop_matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fakes.h"

namespace mokume::testing {
namespace {

/// Where the text is to be cut: before the match that ends first, of those the longest. npos: no
/// match.
size_t oracle_cut(const std::string& text, const std::vector<std::string>& stop) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& word : stop) {
      if (word.size() <= end && text.compare(end - word.size(), word.size(), word) == 0) {
        longest = std::max(longest, word.size());
      }
    }
    if (longest > 0) return end - longest;
  }
  return std::string::npos;
}

/// How much of `text`, which holds no stop string, can no longer become part of one.
size_t oracle_safe(const std::string& text, const std::vector<std::string>& stop) {
  size_t held = 0;
  for (const std::string& word : stop) {
    for (size_t size = 1; size < word.size() && size <= text.size(); ++size) {
      if (text.ends_with(word.substr(0, size))) held = std::max(held, size);
    }
  }
  return text.size() - held;
}

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(engine_); }
  /// Few letters, so that partial matches abound; "é" and "è" share their first byte.
  std::string word(size_t size) {
    static const std::string kLetters[] = {"a", "b", "é", "è"};
    std::string word;
    for (size_t i = 0; i < size; ++i) word += kLetters[below(4)];
    return word;
  }

 private:
  std::mt19937 engine_;
};

TEST(StopMatcher, AgreesWithTheOracleHoweverTheTextIsSplit) {
  Random random(1);
  int stopped_count = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::string> stop(random.below(4));
    for (std::string& word : stop) word = random.word(1 + random.below(5));
    const std::string text = random.word(random.below(30));
    StopMatcher matcher(std::make_shared<const StopStrings>(stop));
    size_t at = 0;
    bool stopped = false;
    while (at < text.size() && !stopped) {
      const size_t size = std::min(1 + random.below(6), text.size() - at);
      stopped = matcher.push(text.substr(at, size));
      at += size;
      if (!stopped) {
        ASSERT_EQ(matcher.safe(), oracle_safe(text.substr(0, at), stop)) << text;
      }
    }
    const size_t cut = oracle_cut(text, stop);
    ASSERT_EQ(stopped, cut != std::string::npos) << text;
    if (stopped) {
      ASSERT_EQ(matcher.safe(), cut) << text;
    }
    stopped_count += stopped;
  }
  EXPECT_GT(stopped_count, 2000);
}

/// Runs `text`, cut into tokens at random byte positions (inside characters too), through a whole
/// service.
void check_sink(Random& random) {
  GenerationOptions options;
  options.stop.resize(random.below(4));
  for (std::string& word : options.stop) word = random.word(1 + random.below(4));
  const std::string text = random.word(random.below(25));
  std::vector<std::string> pieces;
  for (size_t at = 0; at < text.size();) {
    pieces.push_back(text.substr(at, 1 + random.below(5)));
    at += pieces.back().size();
  }
  Fixture fixture(pieces);
  ASSERT_TRUE(fixture.complete("p", options).ok());
  const size_t cut = oracle_cut(text, options.stop);
  bool stopped = false;
  size_t fed = 0;
  for (size_t i = 0; i < pieces.size() && !stopped; ++i) {
    fed += pieces[i].size();
    stopped = fixture.engine.token(0, static_cast<TokenId>(258 + i)) == TokenSink::Verdict::kStop;
    ASSERT_TRUE(text.starts_with(fixture.sink->text()));
  }
  ASSERT_EQ(stopped, cut != std::string::npos);
  fixture.engine.finish(0, stopped ? FinishReason::kStop : FinishReason::kLength);
  ASSERT_EQ(fixture.sink->text(), text.substr(0, cut));
  ASSERT_EQ(fixture.sink->events.back().finish,
            stopped ? FinishReason::kStop : FinishReason::kLength);

  // Every event ends with whole tokens' ids: those sent so far cover no more text than was sent,
  // until the end.
  size_t ids_bytes = 0, sent = 0;
  for (const TextEvent& event : fixture.sink->events) {
    ASSERT_FALSE(find_invalid_utf8(event.text));
    sent += event.text.size();
    for (const TokenId id : event.ids) ids_bytes += pieces[id - 258].size();
    if (!stopped) {
      ASSERT_LE(ids_bytes, sent);
    }
  }
  if (stopped) {
    ASSERT_GE(ids_bytes, sent);
    ASSERT_LE(ids_bytes, fed);
  } else {
    ASSERT_EQ(ids_bytes, text.size());
  }
}

TEST(TextSink, AgreesWithTheOracleHoweverTheTextIsTokenized) {
  Random random(2);
  for (int round = 0; round < 3000 && !::testing::Test::HasFatalFailure(); ++round)
    check_sink(random);
}

TEST(StopMatcher, HostileStringsCostLinearTime) {
  const std::vector<std::string> stop(16, std::string(1023, 'a') + "b");
  StopMatcher matcher(std::make_shared<const StopStrings>(stop));
  const std::string text(100'000, 'a');  // 10^9 steps and more if each byte began a new comparison
  EXPECT_FALSE(matcher.push(text));
  EXPECT_EQ(matcher.safe(), text.size() - 1023);
}

}  // namespace
}  // namespace mokume::testing
