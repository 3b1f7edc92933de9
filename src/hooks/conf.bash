# The bash of a start configuration: reads it, and then calls its functions when asked to.
#
#       $0, "$@"        the configuration; the container's command
#       descriptor 3    a socket. In: a word a line, which function to call. Out: a line
#                       with the functions that there are, then an empty one for each call
#                       that has ended well; this shell ends when one has not
#
# Its options, those of the classic tool, hold for the configuration's code, too.
# shellcheck shell=bash disable=SC1090,SC1091
set -euo pipefail
shopt -s lastpipe

source "${ENROOT_LIBRARY_PATH}/common.sh"
"${BASH}" -n "$0" 3>&-
source "$0" 3>&-

for enroot_word in environ mounts hooks rc; do
        if declare -F "${enroot_word}" > /dev/null; then
                printf '%s ' "${enroot_word}"
        fi
done >&3
printf '\n' >&3

while read -r enroot_word <&3; do
        case "${enroot_word}" in
        environ) environ >> "${ENROOT_ENVIRON}" 3>&- ;;
        mounts) mounts >> "${ENROOT_MOUNTS}" 3>&- ;;
        hooks) hooks > /dev/null 3>&- ;;
        rc) # what stands between the braces
                mapfile -t enroot_lines < <(declare -f rc)
                printf '%s\n' "${enroot_lines[@]:2:${#enroot_lines[@]}-3}" \
                        > "${ENROOT_ENVIRON%/*}/rc"
                ;;
        esac
        printf '\n' >&3
done
