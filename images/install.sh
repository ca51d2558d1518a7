#!/bin/sh
# Installs Seamless into /opt/seamless of an image, from a directory of wheels; asks nothing of any network.
#   install.sh DIRECTORY WHEEL: WHEEL (a pattern) is that of Seamless, the others are those of requirements.lock
set -eu

target=/opt/seamless
wheels=$1
wheel=$2

python3 -m venv --without-pip "$target"
pip() { # the one that Debian has for new environments; it does not stay
  PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) PIP_CONFIG_FILE=/dev/null PIP_NO_CACHE_DIR=1 \
  PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore "$target/bin/python" -m pip "$@"
}
pip install --quiet --no-index --find-links "$wheels" --no-deps --require-hashes -r "$target/requirements.lock"
# shellcheck disable=SC2086 # a pattern
pip install --quiet --no-index --no-deps "$wheels"/$wheel
pip check
rm -f "$target"/bin/[aA]ctivate*

# what a program of the image calls instead of the commands of a batch system
"$target/bin/python" -I -m seamless.launcher.submit.shim "$target/submit"
rm -f "$target/install.sh"
