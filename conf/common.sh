# Functions for hooks (enroot-hooks(7)) and start configurations: bash, to be sourced as
# ${ENROOT_LIBRARY_PATH}/common.sh. Names and arguments are those that the hooks of sites
# call; every function works under "set -euo pipefail".
# shellcheck shell=bash

if [[ -n "${enroot_common_is_read-}" ]]; then
        return 0
fi
enroot_common_is_read=yes

# ---- messages ----

# fmt COLOUR TEXT: the text, on a terminal in bold, red, green, yellow or blue.
common::fmt() {
        local code

        case "$1" in
        bold) code=1 ;;
        red) code=31 ;;
        green) code=32 ;;
        yellow) code=33 ;;
        blue) code=94 ;;
        *) code= ;;
        esac
        if [[ -n "${code}" && -t 2 && "${TERM:-dumb}" != dumb ]]; then
                printf '\033[%sm%s\033[0m' "${code}" "$2"
        else
                printf '%s' "$2"
        fi
}

# log LEVEL TEXT [NL]: a line on standard error; level INFO, WARN or ERROR. With "-" as
# text, a line for each of standard input. NL, and no arguments at all: an empty line, on a
# terminal only.
common::log() {
        local level="${1-}" text="${2-}" more="${3-}" label line

        case "${level}" in
        INFO) label=$(common::fmt blue '[INFO]') ;;
        WARN) label=$(common::fmt yellow '[WARN]') ;;
        ERROR) label=$(common::fmt red '[ERROR]') ;;
        *) label= ;;
        esac
        if [[ "${text}" == - ]]; then
                while IFS= read -r line || [[ -n "${line}" ]]; do
                        printf '%s %b\n' "${label}" "${line}" >&2
                done
        elif [[ -n "${text}" ]]; then
                printf '%s %b\n' "${label}" "${text}" >&2
        fi
        if [[ -t 2 && ( $# -eq 0 || "${more}" == NL ) ]]; then
                printf '\n' >&2
        fi
}

# err TEXT: say it and end the script.
common::err() {
        common::log ERROR "$1"
        exit 1
}

# ---- programs and files ----

# checkcmd NAME...: end the script unless all of these programs are there.
common::checkcmd() {
        local name

        for name in "$@"; do
                if ! type "${name}" > /dev/null 2>&1; then
                        common::err "Command not found: ${name}"
                fi
        done
}

# realpath PATH: absolute and without links; only its last part may be missing.
common::realpath() {
        local resolved

        resolved=$(readlink -f -- "$1") ||
                common::err "No such file or directory: $1"
        printf '%s' "${resolved}"
}

# chdir DIR: cd, or end the script.
common::chdir() {
        cd -- "$1" 2> /dev/null || common::err "Could not change directory: $1"
}

# mountpoint PATH: the mount point that it lies below.
common::mountpoint() {
        local resolved

        resolved=$(common::realpath "$1")
        while [[ ! -e "${resolved}" ]]; do
                resolved=$(dirname -- "${resolved}")
        done
        printf '%s' "$(stat -c %m -- "${resolved}")"
}

# mktmpdir PREFIX: make a private directory and print its name.
common::mktmpdir() (
        umask 077
        mktemp -d -- "${ENROOT_TEMP_PATH:-${TMPDIR:-/tmp}}/$1.XXXXXXXXXX"
)

# rmall PATH: remove a tree, whatever its permissions, but no other file system in it.
common::rmall() {
        rm -rf --one-file-system --preserve-root -- "$1" 2> /dev/null && return
        chmod -R -f u+rwX -- "$1" || :
        rm -rf --one-file-system --preserve-root -- "$1"
}

# fixperms PATH: let the owner read everything in a tree and write to its directories.
common::fixperms() {
        chmod -R -f u+rX -- "$1" || :
        find "$1" -type d ! -perm -u=w -exec chmod -f u+w -- '{}' + || :
}

# runparts list|exec SUFFIX DIR: the files DIR/*SUFFIX by name: print them, or run those
# that are executable and end the script when one fails.
common::runparts() {
        local action="$1" suffix="$2" dir="$3" file status

        for file in "${dir}"/*"${suffix}"; do
                if [[ ! -e "${file}" && ! -L "${file}" ]]; then
                        continue # the pattern itself: there are none
                fi
                if [[ "${action}" == list ]]; then
                        printf '%s\n' "${file}"
                elif [[ "${action}" == exec && -x "${file}" ]]; then
                        status=0
                        "${file}" || status=$?
                        if [[ "${status}" -ne 0 ]]; then
                                common::err "${file} exited with return code ${status}"
                        fi
                fi
        done
}

# ---- text ----

# read ARGUMENT...: the builtin, but the end of input is no failure.
common::read() {
        # shellcheck disable=SC2162
        read "$@" || :
}

# readstrarray ARRAY TEXT: the lines of the text as an array, unless it is empty.
common::readstrarray() {
        if [[ -n "$2" ]]; then
                mapfile -t "$1" <<< "$2"
        fi
}

# envsubst FILE: its text with each ${VAR} replaced from the environment; nothing if the
# file is missing.
common::envsubst() {
        local enroot_line enroot_name

        [[ -f "$1" ]] || return 0
        while IFS= read -r enroot_line || [[ -n "${enroot_line}" ]]; do
                while [[ "${enroot_line}" =~ \$\{([A-Za-z_][A-Za-z0-9_]*)\} ]]; do
                        enroot_name="${BASH_REMATCH[1]}"
                        printf '%s' "${enroot_line%%"${BASH_REMATCH[0]}"*}"
                        printenv -- "${enroot_name}" | head -c -1 || :
                        enroot_line="${enroot_line#*"\${${enroot_name}}"}"
                done
                printf '%s\n' "${enroot_line}"
        done < "$1"
}

# envfmt FILE: leave of an environment file only definitions, none of ENROOT_ variables,
# without blanks in front and without quotes around values.
common::envfmt() {
        sed -i -E -e 's/^[[:space:]]+//' -e '/^[A-Za-z_][A-Za-z0-9_]*=/!d' -e '/^ENROOT_/d' \
                -e "s/^([A-Za-z0-9_]+)=[\"'](.*)[\"'][[:space:]]*\$/\1=\2/" -- "$1"
}

# debarch MACHINE: what Debian and Docker call it ("x86_64": "amd64").
common::debarch() {
        case "$1" in
        x86_64) printf amd64 ;;
        aarch64) printf arm64 ;;
        ppc64le | riscv64 | s390x) printf '%s' "$1" ;;
        *) common::err "Unsupported architecture: $1" ;;
        esac
}

# ---- the user outside ----

# What an id of this namespace is outside. $1: uid or gid, $2: the id.
common::id_outside() {
        local inside outside count

        while read -r inside outside count; do
                if ((inside <= $2 && $2 - inside < count)); then
                        printf '%s' "$((outside + $2 - inside))"
                        return
                fi
        done < "/proc/self/$1_map"
        printf '%s' "$2"
}

# getpwent, getgrent: the user's line of passwd(5), his group's line of group(5).
common::getpwent() {
        getent passwd "$(common::id_outside uid "${EUID}")"
}

common::getgrent() {
        getent group "$(common::id_outside gid "$(id -g)")"
}
