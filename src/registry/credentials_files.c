#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "env/env.h"
#include "registry/auth_file.h"
#include "registry/credential_sources.h"
#include "registry/program.h"
#include "util/io.h"

/* A file that may have credentials: DIRECTORY from the environment, and a name below it. */
struct place {
        const char *variable, *name;
};

/* Podman's first, as Podman itself looks (containers-auth.json(5)). */
static const struct place places[] = {
        { "XDG_RUNTIME_DIR", "containers/auth.json" },
        { "XDG_CONFIG_HOME", "containers/auth.json" },
        { "DOCKER_CONFIG", "config.json" },
        { "HOME", ".docker/config.json" },
};

/* What a helper has for a registry. Returns 1, 0 when it knows nobody, or -1 with *err. */
static int ask_helper(const struct credential_query *query, const char *name,
                      struct credential *ret, struct error *err)
{
        auto_secret struct strbuf answer = STRBUF_INIT;
        auto_strbuf struct strbuf file = STRBUF_INIT;
        int status;

        if (strbuf_printf(&file, "docker-credential-%s", name) < 0)
                return error_no_memory(err);

        const char *const argv[] = { file.data, "get", NULL };
        const struct program helper = {
                .argv = argv,
                .environment = query->environment,
                .input = auth_file_helper_server(query->registry),
                .timeout = CREDENTIALS_HELPER_TIMEOUT,
                .output_limit = CREDENTIALS_SECRET_LIMIT,
        };

        status = program_run(&helper, &answer, err);
        if (status < 0)
                return -1;
        /* Not to know somebody is an error in the helpers' protocol, told in words. */
        if (status != 0)
                return 0;
        if (auth_file_helper_answer(strbuf_text(&answer), answer.length, query->user, ret, err) < 0)
                return error_prefix(err, "%s", file.data);
        return ret->user || ret->identity_token;
}

static int look_into(const char *path, const struct credential_query *query, struct report *report,
                     struct credential *ret, struct error *err)
{
        const struct auth_file_query wanted = {
                .registry = query->registry,
                .repository = query->repository,
                .user = query->user,
        };
        auto_auth_file_answer struct auth_file_answer answer = AUTH_FILE_ANSWER_INIT;
        auto_secret struct strbuf text = STRBUF_INIT;
        int rc;

        if (io_read_file(AT_FDCWD, path, CREDENTIALS_FILE_LIMIT, &text, err) < 0)
                return err->code == ENOENT || err->code == ENOTDIR ? 0 : -1;
        rc = auth_file_find(strbuf_text(&text), text.length, &wanted, &answer, err);
        if (rc > 0 && answer.helper)
                rc = ask_helper(query, answer.helper, ret, err);
        else if (rc > 0)
                *ret = TAKE(answer.credential, (struct credential)CREDENTIAL_INIT);
        if (rc < 0)
                return error_prefix(err, "%s", path);
        if (rc > 0 && answer.helper)
                report_info(report,
                            "Using credentials from docker-credential-%s, named in file: %s",
                            answer.helper, path);
        else if (rc > 0)
                report_info(report, "Using credentials from file: %s", path);
        return rc;
}

/* A file is one source of several: what is wrong with it must not end a public image's import. */
static int try_file(const char *path, const struct credential_query *query, struct report *report,
                    struct credential *ret, struct error *err)
{
        struct error failure = ERROR_INIT;
        int rc = look_into(path, query, report, ret, &failure);

        if (rc >= 0)
                return rc;
        if (failure.code == EINTR || failure.code == ENOMEM) {
                *err = failure;
                return -1;
        }
        report_warn(report, "Credentials left out: %s", failure.message);
        return 0;
}

int credentials_from_auth_files(const struct credential_query *query, struct report *report,
                                struct credential *ret, struct error *err)
{
        const struct strlist *environment = query->environment;
        const char *only = environment ? env_get(environment, "REGISTRY_AUTH_FILE") : NULL;
        int rc = 0;

        if (only && *only)
                return try_file(only, query, report, ret, err);
        for (size_t i = 0; environment && rc == 0 && i < ARRAY_SIZE(places); i++) {
                const char *directory = env_get(environment, places[i].variable);
                auto_strbuf struct strbuf path = STRBUF_INIT;

                if (!directory || !*directory)
                        continue;
                if (strbuf_printf(&path, "%s/%s", directory, places[i].name) < 0)
                        return error_no_memory(err);
                rc = try_file(path.data, query, report, ret, err);
        }
        return rc;
}
