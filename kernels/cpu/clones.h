// For loops that the compiler vectorizes by itself: compiled for wider vectors too, chosen at
// start.
#pragma once

// Every clone rounds alike, for -ffp-contract=off. Sanitizers are not ready yet when the choice is
// made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MOKUME_CLONES [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define MOKUME_CLONES
#endif
