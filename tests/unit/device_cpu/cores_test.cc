#include "device/cpu/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace mokume {
namespace {

namespace fs = std::filesystem;

class CpuQuota : public testing::Test {
 protected:
  CpuQuota() : root_(fs::path(testing::TempDir()) / "cpu_quota_test") { fs::remove_all(root_); }
  ~CpuQuota() override { fs::remove_all(root_); }

  void write(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << "\n";
  }
  std::optional<double> quota(const std::string& membership) {
    return cpu_quota(root_.string(), membership);
  }

 private:
  const fs::path root_;
};

TEST_F(CpuQuota, OfVersion2IsTheLeastOnTheWayUp) {
  write("cpu.max", "max 100000");
  write("a/cpu.max", "150000 100000");
  write("a/b/cpu.max", "400000 100000");
  EXPECT_EQ(quota("0::/a/b\n"), 1.5);
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
  write("cpu.max", "50000 100000");
  EXPECT_EQ(quota("0::/a/b\n"), 0.5);
  EXPECT_EQ(quota("0::/gone/in/this/namespace\n"), 0.5);
}

TEST_F(CpuQuota, OfVersion1IsOfTheCpuController) {
  write("cpu,cpuacct/a/cpu.cfs_quota_us", "250000");
  write("cpu,cpuacct/a/cpu.cfs_period_us", "100000");
  write("cpu,cpuacct/b/cpu.cfs_quota_us", "-1");
  write("cpu,cpuacct/b/cpu.cfs_period_us", "100000");
  EXPECT_EQ(quota("5:memory:/a\n4:cpu,cpuacct:/a\n"), 2.5);
  EXPECT_EQ(quota("5:memory:/a\n4:cpu,cpuacct:/b\n"), std::nullopt);
}

TEST_F(CpuQuota, IsNoneWhereNothingCanBeRead) {
  EXPECT_EQ(quota(""), std::nullopt);
  EXPECT_EQ(quota("nonsense\n:\n0::\n"), std::nullopt);
  write("cpu.max", "many");
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
  write("cpu.max", "100000 0");
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
}

std::vector<int> mask() {
  cpu_set_t set;
  std::vector<int> cores;
  EXPECT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) cores.push_back(i);
  }
  return cores;
}

TEST(ChooseCores, BindsEachThreadToItsCore) {
  const std::vector<int> cores = mask();
  const auto choice = choose_cores({0, cores, std::nullopt});
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_LE(choice->threads, static_cast<int>(cores.size()));
  for (size_t i = 0; i < cores.size(); ++i) {
    std::thread([&] {
      choice->bind(static_cast<int>(i));
      EXPECT_EQ(mask(), std::vector<int>{cores[i]});
    }).join();
  }
}

TEST(ChooseCores, StaysWithinTheAffinityMask) {
  const int only = mask().back();
  std::thread([&] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(only, &set);
    ASSERT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
    const auto choice = choose_cores({});
    ASSERT_TRUE(choice.ok()) << choice.status();
    EXPECT_EQ(choice->threads, 1);
    EXPECT_FALSE(choice->bind);  // nothing was asked for: the system places the threads
  }).join();
}

TEST(ChooseCores, SaysWhatWouldBeRight) {
  const auto core = choose_cores({1, {100'000}, std::nullopt});
  EXPECT_EQ(core.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(core.status().message().find("these are: "), std::string::npos) << core.status();
  EXPECT_EQ(choose_cores({0, {}, 1000}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(choose_cores({-1, {}, std::nullopt}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mokume
