#!/usr/bin/env bash
# Has Apptainer on this machine. Debian 12 has no package of it: the one of a later release is unpacked below
# /opt/apptainer with the few libraries it needs; nothing of the machine is replaced. Root only; can be repeated.
#   apptainer.sh install | status
set -euo pipefail

root=/opt/apptainer/root
lib=x86_64-linux-gnu

usage() {
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

status() {
  apptainer --version
}

helpers() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    squashfs-tools squashfuse fuse2fs fuse-overlayfs debootstrap uidmap patchelf >/dev/null
}

download() { # fetch the packages of sid into the current directory, without touching the machine's own lists
  local uri
  # shellcheck disable=SC2016 # apt-get fills in the name
  uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e updates | head -n 1)
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s sid main\n' "$uri" >sources.list
  mkdir -p lists/partial cache/archives/partial
  local options=(-o "Dir::Etc::sourcelist=$PWD/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::Cache=$PWD/cache" -o APT::Sandbox::User=root -q)
  apt-get "${options[@]}" update >/dev/null
  apt-get "${options[@]}" download apptainer libc6 libseccomp2 libsqlite3-0 libgcc-s1 >/dev/null
}

unpack() {
  local package program
  rm -rf -- "$root"
  mkdir -p "$root"
  for package in *.deb; do dpkg-deb -x "$package" "$root"; done
  # its own C library and linker, by path: no LD_LIBRARY_PATH that would reach what it starts
  for program in "$root/usr/bin/apptainer" "$root/usr/lib/$lib/apptainer/bin/starter"; do
    patchelf --set-interpreter "$root/usr/lib64/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$root/usr/lib/$lib" "$program"
  done
  # apptainer looks for its files below usr, starter below usr/lib
  mkdir -p "$root/usr/var/lib/apptainer/mnt/session" "$root/var/lib/apptainer/mnt/session"
  ln -sfn ../etc "$root/usr/etc"
  ln -sfn ../../etc "$root/usr/lib/etc"
  ln -sfn ../var "$root/usr/lib/var"
  ln -sfn "$root/usr/bin/apptainer" /usr/local/bin/apptainer
  ln -sfn apptainer /usr/local/bin/singularity
}

install_apptainer() {
  local scratch
  if ! status >/dev/null 2>&1; then
    helpers
    scratch=$(mktemp -d)
    (cd "$scratch" && download && unpack)
    rm -rf -- "$scratch"
  fi
  for file in /etc/subuid /etc/subgid; do # for build --fakeroot
    grep -q '^root:' "$file" 2>/dev/null || printf 'root:100000:65536\n' >>"$file"
  done
  if [[ -e /dev/fuse ]]; then chmod 666 /dev/fuse; fi
}

case "${1-}" in
install)
  exec 9>/var/lock/seamless-apptainer.lock
  flock 9
  install_apptainer
  ;;
status) status ;;
*) usage ;;
esac
