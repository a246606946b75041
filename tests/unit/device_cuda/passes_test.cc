// How steps are cut: every token in one pass, sequences in order, and nothing that is generated
// beside a prompt.
#include "device/cuda/passes.h"

#include <gtest/gtest.h>

#include <numeric>

#include "device/cuda/workspace.h"

namespace mokume::cuda {
namespace {

/// Sequences of so many tokens, each from a position on, that want the logits of their last token.
struct Sample {
  explicit Sample(const std::vector<std::pair<int, int>>& counts_and_positions) {
    for (const auto& [count, position] : counts_and_positions) {
      pages.emplace_back((position + count + 15) / 16 + 2);
      std::iota(pages.back().begin(), pages.back().end(), static_cast<int>(100 * pages.size()));
      slices.push_back({static_cast<int32_t>(ids.size()),
                        count,
                        position,
                        {},
                        static_cast<int32_t>(pages.size())});
      for (int i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(1000 + ids.size()));
      rows.push_back(static_cast<int32_t>(ids.size()) - 1);
    }
    for (size_t s = 0; s < slices.size(); ++s) slices[s].pages = pages[s];
    step = {ids, slices, rows};
  }

  std::vector<std::vector<int32_t>> pages;
  std::vector<int32_t> ids, rows;
  std::vector<SequenceSlice> slices;
  StageStep step;
};

std::vector<std::pair<int, int>> ones(int count) {
  return std::vector<std::pair<int, int>>(static_cast<size_t>(count), {1, 40});
}

void expect_whole(const PassPlan& plan, const Sample& sample) {
  std::vector<int> next(sample.slices.size()), rows(sample.rows.size(), -1);
  for (size_t s = 0; s < next.size(); ++s) next[s] = sample.slices[s].first_token;
  for (size_t p = 0; p < plan.size(); ++p) {
    std::vector<int> tokens;
    for (const PassSlice& slice : plan[p].slices) {
      EXPECT_EQ(slice.first_token, next[static_cast<size_t>(slice.sequence)]);
      next[static_cast<size_t>(slice.sequence)] += slice.token_count;
      for (int i = 0; i < slice.token_count; ++i) tokens.push_back(slice.first_token + i);
    }
    EXPECT_EQ(plan[p].tokens, static_cast<int>(tokens.size()));
    for (const PassRow& row : plan[p].rows) {
      EXPECT_EQ(rows[static_cast<size_t>(row.row)], -1);
      rows[static_cast<size_t>(row.row)] = tokens[static_cast<size_t>(row.token)];
    }
  }
  for (size_t s = 0; s < next.size(); ++s) {
    EXPECT_EQ(next[s], sample.slices[s].first_token + sample.slices[s].token_count);
  }
  EXPECT_EQ(rows, std::vector<int>(sample.rows.begin(), sample.rows.end()));
}

TEST(Passes, GeneratedTokensGoApartFromPrompts) {
  const Sample sample({{1, 7}, {30, 0}, {1, 99}, {2, 16}});
  PassPlan plan;
  plan.plan(sample.step, 16, false);
  expect_whole(plan, sample);
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_TRUE(plan[0].decode && plan[0].one_token_each);
  EXPECT_EQ(plan[0].tokens, 2);
  EXPECT_EQ(plan[0].positions, 100);
  EXPECT_EQ(plan[0].pages, 7);
  EXPECT_FALSE(plan[1].decode || plan[1].one_token_each);
  EXPECT_EQ(plan[1].tokens, 32);
}

TEST(Passes, ManySequencesTakeSeveral) {
  const Sample sample(ones(40));
  PassPlan plan;
  plan.plan(sample.step, 16, false);
  expect_whole(plan, sample);
  ASSERT_EQ(plan.size(), 3u);
  EXPECT_EQ(plan[0].tokens, 16);
  EXPECT_EQ(plan[2].tokens, 8);
  const Sample prompts(std::vector<std::pair<int, int>>(70, {2, 0}));
  plan.plan(prompts.step, 16, false);
  expect_whole(plan, prompts);
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[1].slices.size(), 6u);
}

TEST(Passes, ExactStagesCutPromptsSmall) {
  const Sample sample({{30, 5}, {1, 3}, {5, 0}});
  PassPlan plan;
  plan.plan(sample.step, 16, true);
  expect_whole(plan, sample);
  ASSERT_EQ(plan.size(), 4u);
  for (size_t p = 0; p < plan.size(); ++p) {
    EXPECT_TRUE(plan[p].decode);
    EXPECT_LE(plan[p].tokens, kMaxDecodeTokens);
  }
  EXPECT_TRUE(plan[0].one_token_each);
  EXPECT_FALSE(plan[1].one_token_each);
}

TEST(Passes, AreReused) {
  PassPlan plan;
  plan.plan(Sample(ones(40)).step, 16, false);
  const Sample small({{1, 2}});
  plan.plan(small.step, 16, false);
  expect_whole(plan, small);
  EXPECT_EQ(plan.size(), 1u);
}

TEST(Inputs, PaddedTokensHaveNoPosition) {
  const Sample sample({{1, 7}, {1, 20}, {1, 3}});
  PassPlan plan;
  plan.plan(sample.step, 16, false);
  const PassSize size{4, 4, 4, 256, 3};
  std::vector<std::byte> block(input_bytes(size), std::byte{0x55});
  Carver carver(block.data());
  const PassInputs inputs(carver, size);
  fill_inputs(plan[0], sample.step, size, inputs);
  const auto list = [](const int32_t* from, int count) {
    return std::vector<int>(from, from + count);
  };
  EXPECT_EQ(list(inputs.ids, 4), (std::vector<int>{1000, 1001, 1002, 0}));
  EXPECT_EQ(list(inputs.positions, 4), (std::vector<int>{7, 20, 3, -1}));
  EXPECT_EQ(list(inputs.sequences, 4), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(list(inputs.first_tokens, 5), (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(list(inputs.state_slots, 4), (std::vector<int>{1, 2, 3, 0}));
  EXPECT_EQ(list(inputs.rows, 4), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(list(inputs.page_table, 12),
            (std::vector<int>{100, 101, 102, 200, 201, 202, 300, 301, 302, 0, 0, 0}));
}

}  // namespace
}  // namespace mokume::cuda
