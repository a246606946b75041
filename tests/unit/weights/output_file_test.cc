#include "weights/output_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "writer_support.h"

namespace mokume {
namespace {

using mokume::testing::FileSizeLimit;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class OutputFileTest : public mokume::testing::WritingTest {};

TEST_F(OutputFileTest, HasItsNameOnlyWhenFinished) {
  auto file = OutputFile::create(path("a"), 5);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->write(3, bytes_of("lo")).ok());
  ASSERT_TRUE(file->write(0, bytes_of("hel")).ok());
  ASSERT_EQ(files().size(), 1u);
  EXPECT_THAT(files()[0], ::testing::MatchesRegex(R"(a\.[0-9]+-[0-9]+\.part)"));
  ASSERT_TRUE(file->finish().ok());
  EXPECT_THAT(files(), ElementsAre("a"));
  EXPECT_EQ(content(path("a")), "hello");
}

TEST_F(OutputFileTest, LeavesNothingWithoutFinish) {
  ASSERT_TRUE(write_whole_file(path("a"), "before").ok());
  {
    auto file = OutputFile::create(path("a"), 5);
    ASSERT_TRUE(file.ok()) << file.status();
    OutputFile moved = *std::move(file);
    ASSERT_TRUE(moved.write(0, bytes_of("after")).ok());
    EXPECT_EQ(files().size(), 2u);
  }
  EXPECT_THAT(files(), ElementsAre("a"));
  EXPECT_EQ(content(path("a")), "before");
}

TEST_F(OutputFileTest, ReplacesAFileAtTheEnd) {
  ASSERT_TRUE(write_whole_file(path("a"), "before").ok());
  ASSERT_TRUE(write_whole_file(path("a"), "after").ok());
  EXPECT_EQ(content(path("a")), "after");
  ASSERT_TRUE(write_whole_file(path("a"), "").ok());
  EXPECT_EQ(content(path("a")), "");
}

TEST_F(OutputFileTest, TwoWritersOfOneNameDoNotMeet) {
  auto first = OutputFile::create(path("a"), 1);
  auto second = OutputFile::create(path("a"), 1);
  ASSERT_TRUE(first.ok() && second.ok());
  ASSERT_TRUE(first->write(0, bytes_of("1")).ok());
  ASSERT_TRUE(second->write(0, bytes_of("2")).ok());
  ASSERT_TRUE(second->finish().ok());
  ASSERT_TRUE(first->finish().ok());
  EXPECT_EQ(content(path("a")), "1");
  EXPECT_THAT(files(), ElementsAre("a"));
}

TEST_F(OutputFileTest, HasTheModeThatTheUmaskGives) {
  ASSERT_TRUE(write_whole_file(path("a"), "x").ok());
  const mode_t mask = ::umask(0);
  ::umask(mask);
  struct stat info {};
  ASSERT_EQ(::stat(path("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0666u & ~mask);
}

TEST_F(OutputFileTest, RefusesBytesOutsideItself) {
  auto file = OutputFile::create(path("a"), 5);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->write(3, bytes_of("los")).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(file->write(UINT64_MAX, bytes_of("l")).code(), absl::StatusCode::kInternal);
}

TEST_F(OutputFileTest, NamesTheDirectoryThatIsNotThere) {
  const Status status = OutputFile::create(path("no/a"), 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("No such file or directory"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(path("no/a")));
}

TEST_F(OutputFileTest, FindsTheSizeLimitBeforeTheWork) {
  const FileSizeLimit limit(1000);
  const Status status = OutputFile::create(path("a"), 1001).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("1001 bytes: File too large"));
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_TRUE(OutputFile::create(path("a"), 1000).ok());
}

TEST_F(OutputFileTest, ReportsAWriteThatFails) {
  auto file = OutputFile::create(path("a"), 2000);
  ASSERT_TRUE(file.ok());
  {
    const FileSizeLimit limit(1000);
    // Up to the limit the kernel writes a part, then none.
    const Status status = file->write(500, bytes_of(std::string(1000, 'x')));
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("File too large"));
    EXPECT_THAT(std::string(status.message()), HasSubstr(path("a")));
  }
  file = absl::CancelledError();
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(OutputFileTest, AFullDiskIsAnError) {
  // More than the disk of a test machine has free.
  const Status status = OutputFile::create(path("a"), uint64_t{1} << 43).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no place for 8796093022208 bytes"));
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_EQ(OutputFile::create(path("a"), UINT64_MAX).status().code(),
            absl::StatusCode::kInvalidArgument);
}

class OutputDirectoryTest : public mokume::testing::WritingTest {};

TEST_F(OutputDirectoryTest, AppearsAtOnce) {
  auto folder = OutputDirectory::create(path("model/"));
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_TRUE(write_whole_file(folder->path() + "/config.json", "{}").ok());
  EXPECT_FALSE(std::filesystem::exists(path("model")));
  ASSERT_TRUE(folder->finish().ok());
  EXPECT_THAT(files(), ElementsAre("model"));
  EXPECT_THAT(files("model"), ElementsAre("config.json"));
}

TEST_F(OutputDirectoryTest, LeavesNothingWithoutFinish) {
  {
    auto folder = OutputDirectory::create(path("model"));
    ASSERT_TRUE(folder.ok());
    ASSERT_TRUE(write_whole_file(folder->path() + "/config.json", "{}").ok());
    const OutputDirectory moved = *std::move(folder);
    EXPECT_EQ(files().size(), 1u);
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(OutputDirectoryTest, TakesAnEmptyDirectoryAndNothingElse) {
  std::filesystem::create_directory(path("model"));
  {
    auto folder = OutputDirectory::create(path("model"));
    ASSERT_TRUE(folder.ok()) << folder.status();
    ASSERT_TRUE(write_whole_file(folder->path() + "/config.json", "{}").ok());
    ASSERT_TRUE(folder->finish().ok());
  }
  EXPECT_EQ(OutputDirectory::create(path("model")).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(OutputDirectory::create(path("model/config.json")).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(OutputDirectoryTest, DoesNotReplaceWhatCameMeanwhile) {
  auto folder = OutputDirectory::create(path("model"));
  ASSERT_TRUE(folder.ok());
  std::filesystem::create_directory(path("model"));
  ASSERT_TRUE(write_whole_file(path("model/mine"), "x").ok());
  EXPECT_FALSE(folder->finish().ok());
  EXPECT_EQ(content(path("model/mine")), "x");
  folder = absl::CancelledError();
  EXPECT_THAT(files(), ElementsAre("model"));
}

}  // namespace
}  // namespace mokume
