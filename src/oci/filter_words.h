/* The words of linux.seccomp, which "features" lists as well. Private to oci/. */
#pragma once

#include "oci/spec.h"

#define OCI_SECCOMP_ACTIONS   9
#define OCI_SECCOMP_OPERATORS 7
#define OCI_SECCOMP_FLAGS     4

extern const struct spec_word oci_seccomp_actions[OCI_SECCOMP_ACTIONS];
extern const struct spec_word oci_seccomp_operators[OCI_SECCOMP_OPERATORS];
extern const struct spec_word oci_seccomp_flags[OCI_SECCOMP_FLAGS];
