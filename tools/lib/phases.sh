# The phases of tools/test. Each leaves what it found in build/test-results/<phase>/, where summary.py counts it:
# ctest.xml (JUnit) with a gtest JSON beside it for every GoogleTest program, pytest.xml, cases.tsv.
# shellcheck shell=bash

RESULTS=$ROOT/build/test-results
FUZZ_SECONDS=20
# What runs on several threads; AddressSanitizer gets every unit test.
TSAN_ROOMS="scheduler kvcache engine api http grpc"
FUZZ_TARGETS="gguf safetensors hf_config quantization chat_template tokenizer tokenizer_json config http_request"

heading() { printf '\n== %s\n' "$*"; }

# broken PHASE WHY: counts as one failed test.
broken() {
  mkdir -p "$RESULTS/$1"
  printf 'failed\t%s\n' "$2" >>"$RESULTS/$1/cases.tsv"
}

# Sanitizer run times of these compilers cannot place their shadow under the widest address randomization.
fixed_addresses() {
  if setarch "$(uname -m)" -R true 2>/dev/null; then
    setarch "$(uname -m)" -R "$@"
  else
    "$@"
  fi
}

# run_ctest PHASE PRESET REGEX
run_ctest() {
  local dir=$RESULTS/$1
  mkdir -p "$dir"
  TAIL_LINES=120 GTEST_OUTPUT="json:$dir/" run_step "tests ($3)" "$LOGS/ctest-$1.log" \
    fixed_addresses ctest --test-dir "build/$2" -R "$3" --output-on-failure --no-tests=error --timeout 900 \
    -j "$(build_jobs)" --output-junit "$dir/ctest.xml"
  [ -s "$dir/ctest.xml" ] || broken "$1" "ctest gave no results"
}

phase_lint() { run_ctest lint release '^lint\.'; }

phase_unit() {
  build release || { broken unit "the build failed"; return; }
  run_ctest unit release '^(unit|kernels)\.'
}

# The kernels for 64-bit ARM, cross-compiled and run under qemu-user.
phase_neon() {
  build aarch64 test_kernels || { broken neon "the build failed"; return; }
  run_ctest neon aarch64 '^kernels\.'
}

# sanitized PHASE TEST...: some tests under the preset of the phase's name; a test is a room, or "kernels".
sanitized() {
  local phase=$1 test targets=() names=()
  shift
  for test in "$@"; do
    targets+=("test_$test")
    if [ "$test" = kernels ]; then names+=('kernels\.cpu'); else names+=("unit\.$test"); fi
  done
  build "$phase" "${targets[@]}" || { broken "$phase" "the build failed"; return; }
  run_ctest "$phase" "$phase" "^($(IFS='|'; echo "${names[*]}"))\$"
}

phase_asan() {
  local rooms=(tests/unit/*)
  export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
  sanitized asan kernels "${rooms[@]##*/}"
}

# shellcheck disable=SC2046,SC2086  # lists of words
phase_tsan() {
  export TSAN_OPTIONS="second_deadlock_stack=1 ignore_noninstrumented_modules=1 suppressions=$ROOT/tests/tsan.supp"
  sanitized tsan $TSAN_ROOMS $([ -d tests/unit/device_cpu ] && echo device_cpu)
}

# fuzz_one NAME: from the committed seeds; what it finds on the way stays in build/fuzz/grown.
fuzz_one() {
  local artifacts=build/fuzz/artifacts/ folders=("build/fuzz/grown/$1")
  [ -d "tests/fuzz/corpus/$1" ] && folders+=("tests/fuzz/corpus/$1")
  [ "$1" = config ] && folders+=(configs)
  mkdir -p "${folders[0]}" "$artifacts"
  run_step "fuzz_$1, ${FUZZ_SECONDS}s" "$LOGS/fuzz_$1.log" fixed_addresses "build/fuzz/bin/fuzz_$1" \
    -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=3072 -print_final_stats=1 \
    -artifact_prefix="${artifacts}$1-" "${folders[@]}"
}

phase_fuzz() {
  local name outcome targets=()
  for name in $FUZZ_TARGETS; do targets+=("fuzz_$name"); done
  mkdir -p "$RESULTS/fuzz"
  build fuzz "${targets[@]}" || { broken fuzz "the build failed"; return; }
  for name in $FUZZ_TARGETS; do
    outcome=passed
    fuzz_one "$name" || outcome=failed
    printf '%s\tfuzz_%s\n' "$outcome" "$name" >>"$RESULTS/fuzz/cases.tsv"
  done
}

# Where cmake/cuda.cmake looks for nvcc.
find_nvcc() {
  local nvcc
  for nvcc in "${CUDACXX:-}" "${CUDA_PATH:+$CUDA_PATH/bin/nvcc}" nvcc /usr/local/cuda/bin/nvcc; do
    [ -n "$nvcc" ] && command -v "$nvcc" && return
  done
  return 1
}

# outcome PHASE NAME COMMAND...: runs COMMAND, counts it and returns its status.
outcome() {
  local phase=$1 name=$2 result=passed
  shift 2
  "$@" || result=failed
  printf '%s\t%s\n' "$result" "$name" >>"$RESULTS/$phase/cases.tsv"
  [ "$result" = passed ]
}

# skipped PHASE NAME WHY
skipped() {
  say "  skipped: $2: $3"
  printf 'skipped\t%s\n' "$2" >>"$RESULTS/$1/cases.tsv"
}

says_no_driver() {
  local said
  said=$(build/cuda-test/bin/mokume devices 2>&1) && [[ $said == *"no CUDA driver"* ]] && return
  printf '%s\n' "$said"
  return 1
}

# no_spills LOG ARCH...: of what ptxas said; it has to have built something for each of ARCH.
no_spills() {
  awk -v arches="${*:2}" '
    /Compiling entry function/ { kernel = $0; sub(/.*entry function /, "", kernel); match($0, /sm_[0-9]+a?/); built[substr($0, RSTART, RLENGTH)]++ }
    /bytes stack frame/ && !/ 0 bytes spill stores, 0 bytes spill loads/ { print kernel ": " $0; bad = 1 }
    END {
      count = split(arches, wanted, " ")
      for (i = 1; i <= count; i++) if (!built[wanted[i]]) { print "nothing was built for " wanted[i]; bad = 1 }
      exit bad
    }' "$1"
}

# The program starts, and says what is missing, where the library that multiplies prompts cannot be opened.
says_no_cublas() {
  local libraries said
  libraries=$(mktemp -d) && touch "$libraries"/libcublasLt.so.{12,13}
  said=$(LD_LIBRARY_PATH=$libraries build/cuda-test/bin/mokume devices 2>&1)
  rm -r "$libraries"
  [[ $said == *"cublas   none: no cuBLASLt ("*"install cuBLAS"* ]] && return
  echo "mokume devices: $said"
  return 1
}

# The CUDA kernels, the CUDA device and what measures them, built for two GPUs; none is needed. Where there is one, its
# kernels and its logits are checked on it, in a build for it.
phase_cuda() {
  local nvcc version log=$LOGS/build-cuda-test.log
  mkdir -p "$RESULTS/cuda"
  nvcc=$(find_nvcc) || { skipped cuda "CUDA build" "no nvcc here; CUDA 12.8 or later brings it"; return; }
  version=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
  if ! printf '12.8\n%s\n' "$version" | sort -C -V; then
    skipped cuda "CUDA build" "$nvcc is $version; 12.8 or later is needed"
    return
  fi
  # The kernels anew (from ccache where it has them), so that the log has the compiler's report on all of them.
  [ ! -f build/cuda-test/build.ninja ] || ninja -C build/cuda-test -t clean mokume_kernels_cuda >/dev/null
  outcome cuda "builds with $nvcc $version" build cuda-test mokume_kernels_cuda mokume \
    test_kernels_cuda bench_cuda_static bench_cuda_step || return
  outcome cuda "no kernel spills" no_spills "$log" sm_80 sm_120a
  outcome cuda "starts without cuBLASLt" says_no_cublas
  if ldconfig -p | grep -q 'libcuda\.so\.1'; then
    skipped cuda "starts without a driver" "there is a CUDA driver here"
    outcome cuda "kernels and logits on the GPU" tools/gpu-check --only cases,logits
  else
    outcome cuda "starts without a driver" says_no_driver
    skipped cuda "kernels and logits on the GPU" "no CUDA driver here"
  fi
}

phase_e2e() {
  mkdir -p "$RESULTS/e2e"
  build release || { broken e2e "the build failed"; return; }
  TAIL_LINES=200 run_step "tests/e2e against the real daemon" "$LOGS/e2e.log" \
    "$VENV/bin/python" -m pytest tests/e2e -v --color=no --junitxml="$RESULTS/e2e/pytest.xml"
  [ -s "$RESULTS/e2e/pytest.xml" ] || broken e2e "pytest gave no results"
}
