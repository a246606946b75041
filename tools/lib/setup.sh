# Shared by tools/quickstart and tools/test: from a bare Debian 12 to a built tree with the demo model.
# shellcheck shell=bash

MODEL=models/SmolLM2-135M-Instruct.Q4_1.gguf
VENV=$ROOT/.venv

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# The packages of the named groups that are not installed.
missing_packages() {
  local group package
  while read -r group package; do
    case " $* " in *" $group "*) ;; *) continue ;; esac
    installed "$package" || echo "$package"
  done < <(grep -v '^#' tools/lib/packages.txt)
}

# Installing ca-certificates writes the bundle anew. Where a bare machine was given one by hand, with authorities of
# its own, these go where the package takes local ones from.
keep_certificates() {
  local bundle=/etc/ssl/certs/ca-certificates.crt local_folder=/usr/local/share/ca-certificates
  if [ -s "$bundle" ] && ! installed ca-certificates; then
    as_root mkdir -p "$local_folder"
    as_root awk -v to="$local_folder/kept-" '/BEGIN CERT/ {n++} n {print > (to n ".crt")}' "$bundle"
  fi
}

apt_install() {
  keep_certificates
  as_root apt-get -q update && as_root apt-get -q install -y --no-install-recommends "$@"
}

# install_packages GROUP...
install_packages() {
  local missing
  command -v dpkg-query >/dev/null ||
    complain "this script installs Debian 12 packages and finds no dpkg here; install what tools/lib/packages.txt names" || return
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then
    say "- Debian packages: all there"
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || complain "not root and no sudo; as root: apt-get install ${missing[*]}" || return
    sudo -v || complain "sudo was refused; as root: apt-get install ${missing[*]}" || return
  fi
  run_step "Debian packages: installing ${missing[*]}" "$LOGS/apt.log" apt_install "${missing[@]}"
}

# A Python environment of our own, so that nothing of the system's Python changes.
make_venv() {
  "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return
  rm -rf "$VENV"
  run_step "Python environment in .venv" "$LOGS/venv.log" python3 -m venv "$VENV"
}

# install_requirements NAME...: the Python packages of tools/lib/NAME.txt, pinned.
install_requirements() {
  local name wanted=()
  for name in "$@"; do
    cmp -s "tools/lib/$name.txt" "$VENV/$name.installed" || wanted+=("$name")
  done
  if ((${#wanted[@]} == 0)); then
    say "- Python packages: all there"
    return
  fi
  for name in "${wanted[@]}"; do
    run_step "Python packages of $name.txt" "$LOGS/pip-$name.log" \
      "$VENV/bin/python" -m pip install --disable-pip-version-check -r "tools/lib/$name.txt" &&
      cp "tools/lib/$name.txt" "$VENV/$name.installed" || return
  done
}

fetch_model() {
  run_step "demo model in $MODEL" "$LOGS/model.log" "$VENV/bin/python" tools/lib/fetch_model.py "$MODEL"
}

# Compilers that run at once: one a core, and no more than the free memory carries.
build_jobs() {
  local cores free_gib
  cores=$(nproc)
  free_gib=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  local by_memory=$((free_gib * 2 / 3 > 0 ? free_gib * 2 / 3 : 1))
  echo $((cores < by_memory ? cores : by_memory))
}

# configure PRESET: a build folder that was made for another place (a copied tree) is made anew.
configure() {
  local dir=build/$1 home
  home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$dir/CMakeCache.txt" 2>/dev/null)
  [ -n "$home" ] && [ "$home" != "$ROOT" ] && rm -rf "$dir"
  run_step "configure, preset $1" "$LOGS/configure-$1.log" cmake --preset "$1"
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  configure "$preset" &&
    NINJA_STATUS='[%f/%t] ' run_step "build, preset $preset" "$LOGS/build-$preset.log" \
      ninja -C "build/$preset" -j "$(build_jobs)" "$@"
}
