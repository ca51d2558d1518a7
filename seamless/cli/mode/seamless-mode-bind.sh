# shellcheck shell=bash disable=SC2119
# Seamless mode for bash (4.4 or newer) and zsh: source this file in an interactive shell.
#
#   seamless-mode-on [OPTION...]       Enter puts `seamless-run OPTION...` before what was typed; Enter again runs it
#   seamless-mode-off                  Enter runs what was typed
#   seamless-mode-toggle [OPTION...]   the other of the two; also Ctrl-U U
#   seamless-mode-bind                 bind Ctrl-U U again, and tell what it does
#
# A line that starts a command of Seamless or one that is to act here (cd, ls, vim, ...) runs at the first Enter.
# SEAMLESS_MODE_SKIP has their names besides the built-in ones; -NAME there takes a name out.
#
# All of it is understood by both shells; what only one of them has is in functions that end in _bash and _zsh.

if [ -z "${BASH_VERSION-}${ZSH_VERSION-}" ]; then
  echo 'seamless-mode-bind.sh: only bash and zsh have a seamless mode' >&2
  return 2
fi
if [[ -n ${BASH_VERSION-} && ${BASH_SOURCE[0]} == "$0" || ${ZSH_EVAL_CONTEXT-} == toplevel ]]; then
  echo "seamless-mode-bind.sh: source this file: source \"\$(command -v seamless-mode-bind.sh)\"" >&2
  exit 2
fi

# Commands that act upon the shell, the terminal or the machine, or tell what no input says. Short names are skipped
# anyway: those that only read files are taken out of that.
if [[ -z ${SEAMLESS_MODE_SKIP+set} ]]; then
  SEAMLESS_MODE_SKIP="\
. : [ alias autoload bg bind bindkey builtin command declare dirs disown enable eval exec fc fg getopts hash hashdir \
history integer jobs kill local logout noglob popd private pushd pwd read readonly rehash return setopt shift shopt \
suspend test times trap true false type typeset ulimit umask unalias unhash unsetopt wait whence where which zle \
zmodload zstyle \
chgrp chmod chown df du find ln locate mkdir mkfifo mktemp rmdir rsync scp sftp ssh sync touch tree truncate \
bat htop btop iotop joe mcedit micro most ncdu nvim pico screen tmux top vim view watch helix emacsclient \
date free groups hostname id last lsof pgrep pkill ps pstree uname uptime users who whoami \
apptainer docker git hg ipython jupyter make module podman singularity svn \
oardel oarstat oarsub sacct salloc sbatch scancel sinfo squeue srun \
apt-get brew dnf doas dpkg journalctl killall nohup pip3 pipx su sudo systemctl uv yum \
-bc -jq -nl -od -tr -wc"
fi

# Set while the mode is on: the process whose shell it is in.
typeset -f seamless-mode-on >/dev/null || _seamless_mode=''

seamless-mode-on() {
  case ${1-} in
  -h | --help)
    echo 'usage: seamless-mode-on [OPTION...]   options of seamless-run, for every line'
    return 0
    ;;
  esac
  _seamless_mode_possible || return 1
  if [[ ${_seamless_mode-} != "$$" ]]; then
    _seamless_mode_allexport=no
    [[ ! -o allexport ]] || _seamless_mode_allexport=yes
    _seamless_mode_ps1=${PS1-}
    _seamless_mode_undo=()
    if [[ -n ${ZSH_VERSION-} ]]; then
      _seamless_mode_keys_zsh
    else
      _seamless_mode_keys_bash
    fi
  elif [[ $_seamless_mode_allexport == no ]]; then
    set +a # what is assigned below is no matter of other programs
  fi
  _seamless_mode_options=("$@")
  _seamless_mode=$$
  _seamless_mode_prompt
  echo 'seamless mode ON'
  if (($# > 0)); then
    printf 'seamless mode options:'
    printf ' %q' "$@"
    echo
  else
    echo 'seamless mode options: (none)'
  fi
  # Lines are rewritten by another program: it only knows the variables that are exported.
  set -a
}

seamless-mode-off() {
  local _seamless_mode_command
  if [[ ${_seamless_mode-} == "$$" ]]; then
    [[ $_seamless_mode_allexport == yes ]] || set +a
    for _seamless_mode_command in "${_seamless_mode_undo[@]}"; do
      eval "$_seamless_mode_command"
    done
    PS1=$_seamless_mode_ps1
    _seamless_mode=''
  fi
  echo 'seamless mode OFF'
}

# Without options, those of the last time are taken.
# shellcheck disable=SC2120
seamless-mode-toggle() {
  if [[ ${_seamless_mode-} == "$$" ]]; then
    seamless-mode-off
  elif (($# > 0)); then
    seamless-mode-on "$@"
  else
    seamless-mode-on ${_seamless_mode_options[@]+"${_seamless_mode_options[@]}"}
  fi
}

seamless-mode-bind() {
  _seamless_mode_possible || return 1
  if [[ -n ${ZSH_VERSION-} ]]; then
    _seamless_mode_bind_zsh
  else
    _seamless_mode_bind_bash
  fi
  cat <<'END'
Ctrl-U U, or seamless-mode-toggle, switches seamless mode on and off.
seamless-mode-on [OPTION...] switches it on; the options of seamless-run go into every line.
While it is on:
- Enter replaces a command line by the one that runs it through Seamless.
- Enter again runs that. What you have typed is in the history, too.
- cd, ls, vim, and others that act on this shell or machine run at once ($SEAMLESS_MODE_SKIP).
- A variable outside single quotes is replaced by its value; what you assign is exported.
- a.txt.CHECKSUM and d.INDEX become a.txt and d.
seamless-mode-off switches it off.
END
}

_seamless_mode_possible() {
  if [[ $- != *i* ]]; then
    echo 'seamless mode needs an interactive shell' >&2
    return 1
  fi
  if [[ -n ${BASH_VERSION-} ]] && ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    echo "seamless mode needs bash 4.4 or newer, or zsh; this is bash $BASH_VERSION" >&2
    return 1
  fi
}

# Other software may set the prompt each time, so it is looked at each time.
_seamless_mode_prompt() {
  local _seamless_mode_plain='' _seamless_mode_text
  [[ ${_seamless_mode-} == "$$" ]] || return 0
  [[ -z ${NO_COLOR-} && ${TERM-} != dumb ]] || _seamless_mode_plain=yes
  if [[ -n ${ZSH_VERSION-} ]]; then
    _seamless_mode_text='%B%F{magenta}[seamless-mode]%f%b %n@%m:%~$ '
    [[ -z $_seamless_mode_plain ]] || _seamless_mode_text='[seamless-mode] %n@%m:%~$ '
  else
    _seamless_mode_text='\[\e[1;35m\][seamless-mode]\[\e[0m\] \u@\h:\w$ '
    [[ -z $_seamless_mode_plain ]] || _seamless_mode_text='[seamless-mode] \u@\h:\w$ '
  fi
  if [[ ${PS1-} != "$_seamless_mode_text" ]]; then
    _seamless_mode_ps1=${PS1-}
    PS1=$_seamless_mode_text
  fi
}

# Find out what Enter means for a line: status 0 run it as it is; 1 show $_seamless_mode_reply instead; 2 it goes on in
# another line; 3 nothing, for the error in $_seamless_mode_reply.
_seamless_mode_rewrite() {
  local _seamless_mode_line=$1 _seamless_mode_shell=$2 _seamless_mode_first
  _seamless_mode_first=${_seamless_mode_line#"${_seamless_mode_line%%[![:space:]]*}"}
  [[ -n $_seamless_mode_first ]] || return 0
  _seamless_mode_complete "$_seamless_mode_line" || return 2
  [[ $_seamless_mode_syntax != wrong ]] || return 0 # the shell itself will say so
  _seamless_mode_first=${_seamless_mode_first%%[[:space:];|&<>()]*}
  [[ $_seamless_mode_first != seamless* ]] || return 0
  _seamless_mode_of_shell "$_seamless_mode_first" && return 0
  _seamless_mode_reply=$(_seamless_mode_call 2>/dev/null && echo .)
  if [[ $_seamless_mode_reply != *$'\n.' ]]; then
    _seamless_mode_reply=$(_seamless_mode_call 2>&1 >/dev/null)
    return 3
  fi
  _seamless_mode_reply=${_seamless_mode_reply%$'\n.'}
  [[ $_seamless_mode_reply == "$_seamless_mode_line" ]]
}

_seamless_mode_call() {
  SEAMLESS_MODE_SKIP=${SEAMLESS_MODE_SKIP-} command _seamlessify "--shell=$_seamless_mode_shell" \
    "$_seamless_mode_line" @@@ ${_seamless_mode_options[@]+"${_seamless_mode_options[@]}"}
}

_seamless_mode_failed() {
  printf '%s\n' "$_seamless_mode_reply" 'seamless mode: the line was not run; Ctrl-U U leaves the mode' >&2
}

# Tell whether a line is complete for bash; $_seamless_mode_syntax is then `right` or `wrong`.
_seamless_mode_complete() {
  local _seamless_mode_said _seamless_mode_end=$1
  _seamless_mode_syntax=right
  _seamless_mode_said=$(BASH_ENV='' LC_ALL=C command bash --norc -n -c "$1" 2>&1)
  case $_seamless_mode_said in
  *'unexpected end of file'* | *'unexpected EOF'* | *'delimited by end-of-file'*) return 1 ;;
  ?*) _seamless_mode_syntax=wrong ;;
  esac
  while [[ $_seamless_mode_end == *\\\\ ]]; do
    _seamless_mode_end=${_seamless_mode_end%??}
  done
  [[ $_seamless_mode_end != *\\ ]]
}

# Tell whether a command exists only in this shell: a function, or an alias that hides no program.
_seamless_mode_of_shell() {
  local _seamless_mode_kind
  [[ -n $1 ]] || return 1
  if [[ -n ${ZSH_VERSION-} ]]; then
    _seamless_mode_kind=$(whence -w -- "$1")
    _seamless_mode_kind=${_seamless_mode_kind##*: }
    [[ $_seamless_mode_kind == function ]] ||
      { [[ $_seamless_mode_kind == alias ]] && ! whence -p -- "$1" >/dev/null; }
  else
    _seamless_mode_kind=$(type -t -- "$1")
    [[ $_seamless_mode_kind == function ]] ||
      { [[ $_seamless_mode_kind == alias ]] && ! type -P -- "$1" >/dev/null; }
  fi
}

# --- bash: keys that readline runs one after the other, as only it can accept a line ---------------

# Ctrl-U U = Ctrl-U 3 (switch; put the line away), Ctrl-U 4 (a new prompt), Ctrl-U 5 (the line again).
_seamless_mode_bind_bash() {
  local _seamless_mode_map
  for _seamless_mode_map in emacs vi-insert vi-command; do
    bind -m "$_seamless_mode_map" -x '"\C-u3": _seamless_mode_toggle_bash'
    bind -m "$_seamless_mode_map" '"\C-u4": accept-line'
    bind -m "$_seamless_mode_map" -x '"\C-u5": _seamless_mode_restore_bash'
    bind -m "$_seamless_mode_map" '"\C-uu": "\C-u3\C-u4\C-u5"'
    bind -m "$_seamless_mode_map" '"\C-uU": "\C-u3\C-u4\C-u5"'
  done
}

_seamless_mode_toggle_bash() {
  _seamless_mode_held=$READLINE_LINE
  _seamless_mode_point=$READLINE_POINT
  READLINE_LINE=''
  seamless-mode-toggle
}

_seamless_mode_restore_bash() {
  READLINE_LINE=$_seamless_mode_held
  READLINE_POINT=$_seamless_mode_point
  unset _seamless_mode_held _seamless_mode_point
}

# Enter = Ctrl-U 6 (expand the history), Ctrl-U 7 (rewrite), Ctrl-U 8 (accept the line, or show it again).
_seamless_mode_keys_bash() {
  local _seamless_mode_map _seamless_mode_key
  for _seamless_mode_map in emacs vi-insert vi-command; do
    bind -m "$_seamless_mode_map" '"\C-u6": history-expand-line'
    bind -m "$_seamless_mode_map" -x '"\C-u7": _seamless_mode_enter_bash'
    bind -m "$_seamless_mode_map" '"\C-u8": accept-line'
    for _seamless_mode_key in '\C-m' '\C-j'; do
      _seamless_mode_remember_bash "$_seamless_mode_map" "$_seamless_mode_key"
      bind -m "$_seamless_mode_map" "\"$_seamless_mode_key\": \"\\C-u6\\C-u7\\C-u8\""
    done
  done
  PROMPT_COMMAND+=$'\n_seamless_mode_prompt'
  _seamless_mode_undo+=("PROMPT_COMMAND=\${PROMPT_COMMAND//\$'\\n_seamless_mode_prompt'/}")
}

# Note the command that gives a key its present meaning again.
_seamless_mode_remember_bash() {
  local _seamless_mode_kind _seamless_mode_all _seamless_mode_option='' _seamless_mode_again="bind -m $1 -r '$2'"
  for _seamless_mode_kind in -p -s -X; do
    _seamless_mode_all=$'\n'$(bind -m "$1" "$_seamless_mode_kind")
    if [[ $_seamless_mode_all == *$'\n'"\"$2\": "* ]]; then
      _seamless_mode_all=${_seamless_mode_all#*$'\n'"\"$2\": "}
      [[ $_seamless_mode_kind != -X ]] || _seamless_mode_option=-x
      printf -v _seamless_mode_again 'bind -m %s %s %q' "$1" "$_seamless_mode_option" "\"$2\": ${_seamless_mode_all%%$'\n'*}"
    fi
  done
  _seamless_mode_undo+=("$_seamless_mode_again")
}

_seamless_mode_enter_bash() {
  local -
  set +aeu
  local _seamless_mode_reply='' _seamless_mode_syntax='' _seamless_mode_after=redraw-current-line
  local _seamless_mode_map _seamless_mode_shown=${PS1@P}
  _seamless_mode_rewrite "$READLINE_LINE" bash
  case $? in
  0) _seamless_mode_after=accept-line ;;
  1)
    # Leave on the screen what was typed: readline has wiped it out.
    _seamless_mode_shown=${_seamless_mode_shown##*$'\n'}
    printf '%s%s\n' "${_seamless_mode_shown//[$'\001\002']/}" "$READLINE_LINE"
    if [[ $READLINE_LINE != [[:blank:]]* || ${HISTCONTROL-} != *ignore[sb]* ]]; then
      history -s -- "$READLINE_LINE"
    fi
    READLINE_LINE=$_seamless_mode_reply
    READLINE_POINT=${#READLINE_LINE}
    ;;
  2)
    READLINE_LINE+=$'\n'
    READLINE_POINT=${#READLINE_LINE}
    ;;
  3) _seamless_mode_failed ;;
  esac
  for _seamless_mode_map in emacs vi-insert vi-command; do
    bind -m "$_seamless_mode_map" "\"\\C-u8\": $_seamless_mode_after"
  done
}

# --- zsh -------------------------------------------------------------------------------------------

_seamless_mode_bind_zsh() {
  local _seamless_mode_map
  zle -N seamless-mode-toggle _seamless_mode_toggle_zsh
  zle -N seamless-mode-enter _seamless_mode_enter_zsh
  for _seamless_mode_map in emacs viins vicmd; do
    bindkey -M "$_seamless_mode_map" '^Uu' seamless-mode-toggle
    bindkey -M "$_seamless_mode_map" '^UU' seamless-mode-toggle
  done
}

_seamless_mode_toggle_zsh() {
  zle -I
  seamless-mode-toggle
  zle -R # or what was printed would be overwritten
  zle reset-prompt
}

_seamless_mode_keys_zsh() {
  local _seamless_mode_map _seamless_mode_key _seamless_mode_now
  for _seamless_mode_map in emacs viins vicmd; do
    for _seamless_mode_key in '^M' '^J'; do
      _seamless_mode_now=$(bindkey -M "$_seamless_mode_map" -L "$_seamless_mode_key")
      _seamless_mode_undo+=("$_seamless_mode_now")
      bindkey -M "$_seamless_mode_map" "$_seamless_mode_key" seamless-mode-enter
    done
  done
  autoload -Uz add-zsh-hook
  add-zsh-hook precmd _seamless_mode_prompt
  _seamless_mode_undo+=('add-zsh-hook -d precmd _seamless_mode_prompt')
}

_seamless_mode_enter_zsh() {
  local _seamless_mode_reply='' _seamless_mode_syntax='' _seamless_mode_secret=''
  if [[ $CONTEXT != start ]]; then
    zle accept-line
    return
  fi
  [[ ! -o banghist ]] || zle expand-history
  [[ ! -o histignorespace || $BUFFER != [[:blank:]]* ]] || _seamless_mode_secret=yes
  emulate -L zsh
  _seamless_mode_rewrite "$BUFFER" zsh
  case $? in
  0) zle accept-line ;;
  1)
    zle -I # what was typed stays on the screen
    [[ -n $_seamless_mode_secret ]] || print -rs -- "$BUFFER"
    BUFFER=$_seamless_mode_reply
    # shellcheck disable=SC2034
    CURSOR=${#BUFFER}
    ;;
  2)
    BUFFER+=$'\n'
    # shellcheck disable=SC2034
    CURSOR=${#BUFFER}
    ;;
  3)
    zle -I
    _seamless_mode_failed
    ;;
  esac
}

# --- sourcing binds, and says so where somebody has typed it ---------------------------------------

if [[ $- == *i* ]]; then
  if [[ ${ZSH_EVAL_CONTEXT-} == toplevel:file || -n ${BASH_VERSION-} && -z ${BASH_SOURCE[1]-} ]]; then
    seamless-mode-bind
  else
    seamless-mode-bind >/dev/null
  fi
fi
