# shellcheck shell=bash
# Sourced by the other scripts: goes to the top of the checkout, and makes the environment in .venv when asked to.
# Needs nothing but a Python with its venv module.
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit

say() { printf '%s\n' "$*" >&2; }

# Prints the first Python that will do. Each is tried out: version managers leave stubs, and Debian packages venv apart.
find_python() {
  local python
  for python in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
    if "$python" -c 'import ensurepip, sqlite3, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$python"
      return
    fi
  done
  say "Doorcode needs Python 3.11 or newer, with its venv module: on Debian or Ubuntu, apt-get install python3-venv." \
    "A Python that is not on the PATH can be named: PYTHON=/path/to/python3 $0"
  return 1
}

lock_file() { [ "$1" = dev ] && echo scripts/requirements-dev.txt || echo scripts/requirements.txt; }

# Where .venv is and what runs it: an environment that was moved, or whose Python was replaced, no longer works.
place() { printf '%s, %s\n' "$PWD" "$(.venv/bin/python -V 2>&1)"; }

# All that an environment of this kind (runtime or dev) is made from; .venv/made-from holds what it was made from.
sources() { place && echo "$1" && cat "$(lock_file "$1")" pyproject.toml; }

current() { [ -e .venv/made-from ] && sources "$1" | cmp -s - .venv/made-from; }

# The dev environment holds all that the runtime one does.
ready() { current dev || { [ "$1" = runtime ] && current runtime; }; }

# make_environment KIND PYTHON: what it was made from is written when all is done, so that an interrupted installation
# starts again from nothing.
make_environment() {
  local pip=(.venv/bin/python -m pip --disable-pip-version-check install --quiet --quiet)
  if [ ! -e .venv/made-from ] || [ "$(head -n 1 .venv/made-from)" != "$(place)" ]; then
    "$2" -m venv --clear .venv || return
  fi
  rm -f .venv/made-from
  "${pip[@]}" --require-hashes -r "$(lock_file "$1")" &&
    "${pip[@]}" --no-index --no-deps --no-build-isolation --editable . &&
    sources "$1" >.venv/made-from
}

# environment runtime|dev: brings .venv up to date with its lock file; quick where it is already.
environment() {
  ready "$1" && return
  local python
  python=$(find_python) || return
  say "Making the environment in .venv (about a minute the first time) ..."
  # The kernel frees this lock when the descriptor is closed, however the script ends; no Python is without flock.
  exec 9>>.venv.lock
  "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || return
  ready "$1" || make_environment "$1" "$python" || return
  exec 9>&-
}
