#include "cli/start_options.h"

#include "cli/ending.h"

static struct {
        bool root, writable, dry_run, subids, pid, net, ipc, uts;
        const char *rc, *overlay, *conf;
        struct strlist mounts, env, devices;
} values;

const struct option start_options[] = {
        { 'c', "conf", "CONFIG", "Take settings, environment, mounts and hooks from this script",
          OPTION_TEXT, &values.conf },
        { 'e', "env", "KEY[=VAL]", "Set an environment variable inside the container", OPTION_LIST,
          &values.env },
        { 0, "rc", "SCRIPT", "Run this script instead of the image's /etc/rc", OPTION_TEXT,
          &values.rc },
        { 'r', "root", NULL, "Be root inside the container", OPTION_FLAG, &values.root },
        { 0, "subids", NULL,
          "Have the ids that /etc/subuid and /etc/subgid grant, besides one's own", OPTION_FLAG,
          &values.subids },
        { 'w', "rw", NULL, "Make the root file system writable", OPTION_FLAG, &values.writable },
        { 'm', "mount", "FSTAB", "Mount something of the host: SRC[:DST[:TYPE[:OPTIONS]]]",
          OPTION_LIST, &values.mounts },
        { 0, "device", "VENDOR/CLASS=NAME",
          "Have a device that a CDI file describes (\"enroot devices list\")", OPTION_LIST,
          &values.devices },
        { 0, "pid", NULL, "Have process ids of one's own", OPTION_FLAG, &values.pid },
        { 0, "net", NULL, "Have a network of one's own, with nothing but \"lo\"", OPTION_FLAG,
          &values.net },
        { 0, "ipc", NULL, "Have System V IPC, message queues and /dev/shm of one's own",
          OPTION_FLAG, &values.ipc },
        { 0, "uts", NULL, "Have a host name of one's own", OPTION_FLAG, &values.uts },
        { 0, "overlay", "DIR|tmpfs[:SIZE]", "Where the changes to an image go", OPTION_TEXT,
          &values.overlay },
        { 0, "dry-run", NULL, "Print what would be done, and do nothing", OPTION_FLAG,
          &values.dry_run },
        HELP_OPTION,
        END_OPTION,
};

const char *start_configuration(char **words)
{
        (void)words;
        return values.conf;
}

void start_configure(struct config *config)
{
        config->remap_root |= values.root;
        config->rootfs_writable |= values.writable;
        config->subids |= values.subids;
        config->unshare_pid |= values.pid;
        config->unshare_net |= values.net;
        config->unshare_ipc |= values.ipc;
        config->unshare_uts |= values.uts;
}

struct start_arguments start_arguments(char **command)
{
        return (struct start_arguments){
                .rc = values.rc,
                .conf = values.conf,
                .mounts = &values.mounts,
                .env = &values.env,
                .devices = &values.devices,
                .command = command,
                .overlay = values.overlay,
                .dry_run = values.dry_run ? stdout : NULL,
        };
}

int start_end(int result, int status)
{
        strlist_release(&values.mounts);
        strlist_release(&values.env);
        strlist_release(&values.devices);
        return result > 0 ? ending_of_child(status) : result;
}
