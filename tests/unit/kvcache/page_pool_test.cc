#include "kvcache/page_pool.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "kvcache/block_table.h"

namespace mokume {
namespace {

TEST(PagePool, HandsOutEveryPageOnceAndThenNone) {
  PagePool pool(5);
  std::set<int32_t> pages;
  for (int i = 0; i < 5; ++i) pages.insert(pool.take().value());
  EXPECT_EQ(pages, (std::set<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.take(), std::nullopt);
  EXPECT_EQ(pool.used(), 5);
  EXPECT_TRUE(pool.check().ok());
}

TEST(PagePool, PageIsFreeWhenItsLastHolderLetsGo) {
  PagePool pool(1);
  const int32_t page = pool.take().value();
  pool.add_reference(page);
  pool.release(page);
  EXPECT_EQ(pool.references(page), 1);
  EXPECT_EQ(pool.take(), std::nullopt);
  pool.release(page);
  EXPECT_EQ(pool.free(), 1);
  EXPECT_EQ(pool.take(), page);
  EXPECT_TRUE(pool.check().ok());
}

TEST(BlockTable, GrowsByWholePages) {
  PagePool pool(4);
  BlockTable table(pool, 16);
  EXPECT_TRUE(table.grow(0));
  EXPECT_EQ(table.page_count(), 0);
  EXPECT_TRUE(table.grow(1));
  EXPECT_EQ(table.capacity(), 16);
  EXPECT_TRUE(table.grow(16));
  EXPECT_EQ(pool.used(), 1);
  EXPECT_TRUE(table.grow(17));
  EXPECT_EQ(pool.used(), 2);
  EXPECT_TRUE(table.grow(3));  // never shrinks
  EXPECT_EQ(table.page_count(), 2);
}

TEST(BlockTable, TakesNothingWhenThePoolHasTooFew) {
  PagePool pool(3);
  BlockTable first(pool, 4);
  BlockTable second(pool, 4);
  EXPECT_TRUE(first.grow(8));
  EXPECT_FALSE(second.grow(8));
  EXPECT_EQ(second.page_count(), 0);
  EXPECT_EQ(pool.free(), 1);
  first.release();
  EXPECT_TRUE(second.grow(12));
  EXPECT_TRUE(pool.check().ok());
}

TEST(BlockTable, GivesItsPagesBackWhenDestroyed) {
  PagePool pool(3);
  {
    BlockTable table(pool, 4);
    ASSERT_TRUE(table.grow(9));
    EXPECT_EQ(pool.used(), 3);
  }
  EXPECT_EQ(pool.used(), 0);
  EXPECT_TRUE(pool.check().ok());
}

TEST(BlockTable, RandomTablesNeverShareAPage) {
  std::mt19937 random(7);
  PagePool pool(40);
  std::vector<std::unique_ptr<BlockTable>> tables;
  for (int i = 0; i < 8; ++i) tables.push_back(std::make_unique<BlockTable>(pool, 4));
  for (int step = 0; step < 20000; ++step) {
    BlockTable& table = *tables[random() % tables.size()];
    if (random() % 8 == 0) {
      table.release();
    } else {
      table.grow(table.capacity() + static_cast<int>(random() % 12));
    }
    std::set<int32_t> held;
    int count = 0;
    for (const auto& each : tables) {
      held.insert(each->pages().begin(), each->pages().end());
      count += each->page_count();
    }
    ASSERT_EQ(static_cast<int>(held.size()), count);
    ASSERT_EQ(pool.used(), count);
    ASSERT_TRUE(pool.check().ok());
  }
}

}  // namespace
}  // namespace mokume
