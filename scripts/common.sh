# shellcheck shell=bash
# What the scripts share: headings, errors, and who runs cargo. To be sourced.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$top/target}
# What setup builds in release mode: otherhalfd, otherhalf, otherhalf-lab.
# shellcheck disable=SC2034 # for the scripts that source this file
programs=(-p otherhalf-responder -p otherhalf-client -p otherhalf-lab)

heading() { printf '\n== %s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Under sudo, cargo lives in the caller's home, and what it builds must stay
# theirs: so whoever owns the checkout builds, root only in root's checkout.
builder=$(id -un)
if [[ $EUID -eq 0 && -n ${SUDO_USER:-} ]]; then
  if [[ $(stat -c %U "$top") == "$SUDO_USER" ]]; then builder=$SUDO_USER; fi
  caller=$SUDO_USER
else
  caller=$builder
fi
caller_home=$(getent passwd "$caller" | cut -d: -f6)
PATH=$PATH:$caller_home/.cargo/bin:$target/tools/bin
# rustup looks for its toolchains in the home of whoever calls it.
if [[ $caller != root && $EUID -eq 0 && -d $caller_home/.rustup ]]; then
  export RUSTUP_HOME=${RUSTUP_HOME:-$caller_home/.rustup}
fi

# A prefix for commands that the builder runs; empty when we are the builder.
as_builder=()
if [[ $builder != "$(id -un)" ]]; then
  as_builder=(runuser -u "$builder" -- env "HOME=$caller_home" "PATH=$PATH")
fi

# Exits with a sentence unless there is a cargo new enough for the workspace.
need_cargo() {
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$top/Cargo.toml")
  have=$("${as_builder[@]}" cargo --version 2>/dev/null | cut -d' ' -f2) || have=
  [[ -n $have ]] ||
    die "no cargo for user $builder: install Rust $wanted or later (https://rustup.rs), then run this again"
  [[ $(printf '%s\n' "$wanted" "$have" | sort -V | head -n1) == "$wanted" ]] ||
    die "cargo is $have, Rust $wanted or later is needed: run 'rustup update', then this again"
}

build_programs() {
  (cd "$top" && "${as_builder[@]}" cargo build --release "${programs[@]}")
}
