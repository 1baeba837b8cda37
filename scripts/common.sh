# shellcheck shell=bash
# What the scripts share: headings, errors, who runs cargo, and hugepages. To be sourced.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$top/target}
# What setup builds in release mode: otherhalfd, otherhalf, otherhalf-lab.
# shellcheck disable=SC2034 # for the scripts that source this file
programs=(-p otherhalf-responder -p otherhalf-control -p otherhalf-client -p otherhalf-lab)

# Where setup unpacks Debian's Prometheus, for the tests.
# shellcheck disable=SC2034 # for the scripts that source this file
prometheus=$target/tools/prometheus/usr/bin

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

# What root's runs left in the target folder goes to its owner.
give_back_target() {
  [[ ${#as_builder[@]} -eq 0 || ! -d $target ]] || find "$target" ! -user "$builder" -exec chown -h "$builder:" {} +
}

pages_reserved=0

meminfo() { awk -v field="$1:" '$1 == field { print $2 }' /proc/meminfo; }

# reserve_hugepages MEGABYTES: sees to it that so many are free; says why not when they can't be. Reserves what is
# missing besides what others hold. Whoever calls this must call return_hugepages at the end, however it ends.
reserve_hugepages() {
  local page_kb free missing total
  page_kb=$(meminfo Hugepagesize)
  [[ ${page_kb:-0} -gt 0 ]] || { echo "this kernel has no hugepages: it must be one with CONFIG_HUGETLBFS" >&2; return 1; }
  free=$(($(meminfo HugePages_Free) - $(meminfo HugePages_Rsvd)))
  missing=$((($1 * 1024 + page_kb - 1) / page_kb - free))
  if [[ $missing -le 0 ]]; then return; fi
  total=$(cat /proc/sys/vm/nr_hugepages)
  if ! echo $((total + missing)) 2>/dev/null >/proc/sys/vm/nr_hugepages; then
    echo "$1 MB of hugepages are needed, and vm.nr_hugepages can't be set here: set it to $((total + missing)) on the host" >&2
    return 1
  fi
  pages_reserved=$((pages_reserved + $(cat /proc/sys/vm/nr_hugepages) - total))
  free=$(($(meminfo HugePages_Free) - $(meminfo HugePages_Rsvd)))
  if [[ $((free * page_kb)) -lt $(($1 * 1024)) ]]; then
    echo "$1 MB of hugepages are needed, and the kernel finds $((free * page_kb / 1024)) MB: memory is short or in pieces; end what uses it, or reserve them right after a start of the machine" >&2
    return 1
  fi
  echo "hugepages: $missing more reserved, for the time being"
}

# Gives back what reserve_hugepages took, and no more: others may have changed the total since.
return_hugepages() {
  local total
  if [[ $pages_reserved -le 0 ]]; then return; fi
  total=$(cat /proc/sys/vm/nr_hugepages)
  echo $((total > pages_reserved ? total - pages_reserved : 0)) >/proc/sys/vm/nr_hugepages
  pages_reserved=0
}
