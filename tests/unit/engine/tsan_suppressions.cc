// abseil's own code is not built with ThreadSanitizer, which therefore does not see the reference
// count by which two threads let go of one Status.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "race:absl::*Status::Unref\n"; }
