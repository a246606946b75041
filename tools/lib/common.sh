# Shared by tools/quickstart and tools/test: messages, and long steps that show where they are.
# shellcheck shell=bash

export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LOGS=$ROOT/build/logs
mkdir -p "$LOGS"
cd "$ROOT" || exit 1

child=  # process group of the step that is running

say() { printf '%s\n' "$*"; }
complain() {
  printf 'error: %s\n' "$*" >&2
  return 1
}
die() { complain "$@" || exit 1; }

# Ends the running step and all that it started.
stop_child() {
  [ -n "$child" ] && kill -TERM -- "-$child" 2>/dev/null
  child=
}

# What a step is doing now: the last line of its log that is not blank, cut to the width of a line.
last_line() {
  tail -n 5 "$1" 2>/dev/null | tr '\r\t' '\n ' | grep '[^ ]' | tail -n 1 | tr -cd '[:print:]' | cut -c1-100
}

show_progress() {
  local log=$1 elapsed=$2
  if [ -t 1 ]; then
    printf '\r\033[K  %4ds  %s' "$elapsed" "$(last_line "$log")"
  elif ((elapsed > 0 && elapsed % 20 == 0)); then
    printf '  %4ds  %s\n' "$elapsed" "$(last_line "$log")"
  fi
}

# run_step TITLE LOG COMMAND...: runs COMMAND with its output in LOG, shows the log's last line every second on a
# terminal and every 20 seconds elsewhere; where it fails, prints the log's end. Returns COMMAND's status.
run_step() {
  local title=$1 log=$2 start=$SECONDS status=0
  shift 2
  say "- $title"
  : >"$log"
  set -m  # the step gets its own process group, so that stop_child reaches all of it
  "$@" >>"$log" 2>&1 </dev/null &
  child=$!
  set +m
  while kill -0 "$child" 2>/dev/null; do
    show_progress "$log" $((SECONDS - start))
    sleep 1
  done
  wait "$child" || status=$?
  child=
  [ -t 1 ] && printf '\r\033[K'
  if ((status == 0)); then
    say "  done in $((SECONDS - start))s"
  else
    say "  FAILED (status $status) after $((SECONDS - start))s; the end of $log:"
    tail -n "${TAIL_LINES:-40}" "$log" | sed 's/^/  | /'
  fi
  return "$status"
}
