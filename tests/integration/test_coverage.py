"""Which tests hold the program to each row of its references: the table of what the classic
tool does, the demands of users, the security cases, the scenarios.

A test is named as the runner prints it, "start: open files do not leak in"; one in C as
"unit/MODULE/FILE: FUNCTION", one that a GPU is needed for as "gpu/run: FUNCTION". A name that is no
test (any more) fails here.
"""
import os
import re
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))

COMPATIBILITY = {
    "Commands: import, references": (
        "hub: every way to write a hub reference is understood",
        "import: both forms of a reference name the same image",
        "import: a digest pins the image"),
    "Commands: import, default names": (
        "compatibility: default names",
        "hub: the name of an image in a namespace joins its parts with plus"),
    "Commands: import, an existing output is an error": (
        "import: an existing output is an error and stays as it was",),
    "Commands: import -a": ("import: an index gives the image for the asked platform",),
    "Commands: import, dockerd:// and podman://": (
        "engines: podman serves podman and docker images",),
    "Commands: create": (
        "containers: the name is the file name less its ending",
        "containers: names that are paths are refused",
        "containers: an existing container is kept unless forced"),
    "Commands: start, each option": (
        "conf: environ comes after the files and before the options",
        "environment: values of the command line are set",
        "environment: a script of the command line replaces the images",
        "start: root is on request",
        "start: a container keeps changes made with rw",
        "mounts: a directory of the host is mounted",
        "namespaces: each kind is new on request and by its setting only"),
    "Commands: start of an image file": ("start: an image forgets changes made with rw",),
    "Commands: exec": (
        "exec: the command is in the namespaces of the process",
        "exec: the environment is that of the process",
        "exec: the working directory is that of the process"),
    "Commands: export": (
        "export: devices mount points and the marks of a start are left out",
        "export: an existing file is kept unless forced"),
    "Commands: load": ("load: the tree is that of import and create",
                       "load: an existing container is kept unless forced"),
    "Commands: batch": ("conf: batch starts what the configuration names",
                        "conf: a configuration is a program"),
    "Commands: bundle": (
        "bundle: the default name is the image s with run", "bundle: the description",
        "bundle: the target directory", "bundle: the checksum",
        "bundle: all of the user s too", "bundle: an existing file is an error unless forced"),
    "Commands: a bundle's own options": (
        "bundle: information about it", "bundle: keep", "bundle: extract",
        "bundle: verification of the machine", "bundle: options of start",
        "bundle: other options of start"),
    "Commands: digest": ("inspect: it is the one that skopeo sees",),
    "Commands: list": ("containers: names come sorted one a line",
                       "list: a container that runs has a row"),
    "Commands: remove": ("containers: it asks first unless forced",
                         "list: a read only tree is removed",
                         "containers: other file systems are not entered"),
    "Commands: info, version, help, -h": (
        "list: the text names the file of each value",
        "environment: version is a number",
        "compatibility: options of each command"),
    "Commands: forms of options": ("import: long and short options are the same",
                                   "start: options end at the target"),
    "Commands: messages": ("hub: messages go to stderr with their level",
                           "compatibility: colours"),
    "Commands: unknown options": ("compatibility: unknown options and commands",
                                  "mistakes: each is one error that says what to do"),
    "Configuration: order": ("environment: drop ins and environment override in order",),
    "Configuration: lines and expansion": (
        "environment: values are expanded as a shell would",
        "unit/config/test_expand.c: test_known_commands"),
    "Configuration: keys": ("compatibility: keys",
                            "environment: other programs settings are left alone"),
    "Configuration: false": ("environment: every spelling of no is no",),
    "Configuration: variables and defaults": ("compatibility: defaults",),
    "Configuration: SQUASH_OPTIONS": (
        "squashfs: options of mksquashfs are honoured",
        "squashfs: an option that means nothing here is named in a warning"),
    "Configuration: MAX_CONNECTIONS": ("ranges: one connection means one request at a time",),
    "Configuration: CONNECT_TIMEOUT": ("compatibility: connect timeout",),
    "Configuration: TRANSFER_TIMEOUT": ("import failures: a stalled transfer times out",),
    "Configuration: TRANSFER_RETRIES": (
        "import failures: a server that keeps failing is given up",),
    "Configuration: LOGIN_SHELL": ("identity: the shell is no login shell",),
    "Configuration: ALLOW_SUPERUSER": ("identity: root starts without a user namespace",),
    "Configuration: ALLOW_HTTP": ("import: plain http must be allowed",),
    "Configuration: NATIVE_OVERLAYFS": ("overlay: the image starts as ever",),
    "Configuration: FORCE_OVERRIDE": ("containers: ENROOT FORCE OVERRIDE forces",),
    "Configuration: MOUNT_HOME": ("mounts: home is mounted on request",),
    "Configuration: RESTRICT_DEV": ("mounts: devices are restricted on request",),
    "Configuration: SOURCE_DATE_EPOCH": ("squashfs: SOURCE DATE EPOCH is the time of the image",),
    "Configuration: paths": ("compatibility: paths can be set",
                             "engines: no room for the image is said before it is fetched"),
    "Configuration: directories 0700": ("compatibility: directories are private",),
    "Configuration: the site's file": ("environment: the site file loads unchanged",
                                       "list: the text names the file of each value"),
    "Configuration: credentials": (
        "import: basic credentials come from the credentials file",
        "import: a password that starts with a dollar is expanded by a shell",
        "compatibility: no password leaves the file that it is in"),
    "Contents: /etc/rc": ("compatibility: rc", "environment: the default command is a shell",
                          "import: import writes the image settings as files"),
    "Contents: /etc/rc.local": ("environment: rc local can replace the entry point",),
    "Contents: /etc/fstab": ("compatibility: fstab and environment",
                             "environment: volumes are writable in a read only container"),
    "Contents: /etc/environment": ("environment: the images environment is set",),
    "fstab: fields left out": ("fstab: fields may be left out",),
    "fstab: x-create": ("fstab: x create makes the target beneath the root for the user",),
    "fstab: x-move, x-detach": ("fstab: x move and x detach",),
    "fstab: nofail, silent": ("fstab: nofail and silent",),
    "fstab: propagation": ("fstab: propagation words",),
    "fstab: flags": ("fstab: flags",),
    "fstab: fs_passno": ("fstab: fs passno orders mounts",),
    "fstab: ${VAR}": ("fstab: variables are substituted",),
    "fstab: targets": ("fstab: targets are relative to the root",),
    "fstab: relative sources": ("fstab: a relative source is one of the working directory",),
    "fstab: colons": ("fstab: the colon form",),
    "Start 1: image file or container": ("start: an unknown container is named",),
    "Start 2: namespaces": (
        "start: a command runs as the calling user", "start: supplementary groups are kept",
        "namespaces: a network of ones own has lo up and a fresh sys",
        "namespaces: the command is the first process and sees its own only",
        "namespaces: a signal that nobody handles ends the command",
        "namespaces: nothing is left after the process outside is killed",
        "namespaces: ipc of ones own brings a restricted dev and queues of its own"),
    "Start 3: runtime path and rootfs": ("compatibility: step 3 the frame",),
    "Start 4: environment": ("environment: the last definition wins",
                             "environment: environment files are data",
                             "compatibility: steps 4 to 7 last definition wins"),
    "Start 5: mounts": ("mounts: fstab files of image system and user are read in order",
                        "mounts: proc sys and dev are there",
                        "mounts: names of the host are known"),
    "Start 6: hooks": (
        "hooks: the row of variables", "hooks: system then user in the order of names",
        "hooks: only executable files with the suffix run",
        "hooks: all capabilities of the namespace and the old root",
        "hooks: a failing hook stops the start and is named", "hooks: enroot mount in a hook"),
    "Start 6: common.sh": (
        "hooks: log and err", "hooks: checkcmd", "hooks: realpath chdir and mountpoint",
        "hooks: envsubst and envfmt", "hooks: runparts", "hooks: getpwent and getgrent",
        "hooks: mktmpdir rmall and fixperms", "hooks: debarch read and readstrarray"),
    "Start 7: --conf and --mount": (
        "conf: mounts come after the hooks and before the options",),
    "Start 8: read-only, /.lock": ("start: the root is read only",
                                   "compatibility: step 8 the mark of a start"),
    "Start 9: privileges": ("compatibility: step 9 privileges",
                            "start: no new privileges and no capabilities",
                            "start: changes of owner are answered with success",
                            "unit/runtime/test_start.c: test_default_start"),
    "Start 10: login": ("compatibility: step 10 the login", "compatibility: without rc",
                        "start: open files do not leak in"),
    "Hooks: 10-aptfix": ("mounts: apt runs as root where there is one id",),
    "Hooks: 10-cgroups": ("mounts: control groups are read only",),
    "Hooks: 10-devices": ("mounts: devices are restricted on request",),
    "Hooks: 10-home": ("mounts: home is mounted on request",),
    "Hooks: 10-localtime": ("mounts: local time is the hosts",),
    "Hooks: 10-shadow": ("start: the user root and nobody have names and nobody loses his",),
    "Hooks: 50-mig-config": ("hooks: mig config",),
    "Hooks: 50-sharp": ("hooks: sharp",),
    "Hooks: 50-slurm-pmi": ("hooks: slurm pmi",),
    "Hooks: 50-slurm-pytorch": ("hooks: slurm pytorch",),
    "Hooks: 98-nvidia": ("gpu: the container asks and the host has the last word",
                         "gpu: nothing is asked for"),
    "Hooks: 99-mellanox": ("devices: visible devices", "devices: unknown devices",
                           "devices: a hook of the site replaces it",
                           "unit/gpu/test_device_lists.c: test_infiniband"),
    "Hooks: files of that name": (
        "hooks: every row of the standard hooks can be replaced and runs in order",),
    "--conf: directives": ("conf: every row of batch settings",),
    "--conf: environ, mounts, hooks, rc": (
        "conf: environ comes after the files and before the options",
        "conf: mounts come after the hooks and before the options",
        "conf: hooks has the files the capabilities and the functions of common sh",
        "conf: rc replaces the script of the image"),
    "--verify": ("check: the classic table",
                 "check: classic table without a configuration file",
                 "check: classic table with a configuration file"),
}

DEMANDS = {
    "1 concurrent imports": ("cache: many at once make one",
                             "cache: makes keeps and replaces"),
    "2 an import a job": ("slurm: one import for three nodes",
                          "slurm transfer: each blob leaves the registry once",
                          "slurm transfer network: an image goes from node to node"),
    "3 starting without unpacking": ("squashfs: images of every compressor start directly",
                                     "lazy: nothing of the image is copied"),
    # What an import costs is held to a limit; bench/run has its time beside that of others.
    "4 faster conversion": ("regression: instructions of an import and of a create",
                            "layers: memory stays bounded whatever the image holds"),
    "5 expired tokens, 429, mirrors": (
        "import: an expired token is renewed in the middle of a pull",
        "import failures: too many requests are repeated when the server says",
        "registries: a mirror is asked before the registry"),
    "6 credentials": ("credentials: dockers file", "credentials: a helper of one registry",
                      "credentials: podmans file as skopeo writes it"),
    "7 references, hints, files without ./": (
        "hub: every way to write a hub reference is understood",
        "import: missing credentials are explained",
        "start: an image in the working directory needs no path",
        "run: an image file is started as it is"),
    "8 mixed layers by content": ("layers: the content counts and not the media type",
                                  "layers: layers of one image may differ in compression"),
    "9 no partial file": ("import failures: kill leaves no image and the next import clears up",
                          "import failures: ctrl c leaves nothing"),
    "10 a bounded cache": ("cache: gc by age and by size", "cache: gc beside a running import",
                           "cache: verify finds and removes what is damaged"),
    "11 room": ("cache: no room is found out before the download",
                "import failures: a full disk under the cache names path and variable"),
    "12 ranges and resumption": ("ranges: a large layer comes in several ranges at once",
                                 "ranges: the next import goes on where one ended"),
    "13 start storms": (
        "namespaces: two hundred concurrent starts of one container succeed",),
    "14 network file systems": ("layers: device nodes are left out and pipes are not",
                                "fstab: flags of a source are kept"),
    "15 no other programs": ("start: a start makes no other process and runs no other program",),
    "16 GPUs": ("gpu: scenario 5 device cgroups are never written",
                "gpu: the plan shows everything", "devices: devices of the command line",
                "devices: qualified names in nvidia visible devices", "devices: doctor"),
    "17 InfiniBand, AMD": ("devices: visible devices", "devices: the images variable counts and "
                           "the hosts first", "devices: yaml and the order of directories"),
    "18 blocked namespaces": ("check: start explains it in the same words",
                              "check: the distribution decides about the mend"),
    "19 no orphans": ("start: nothing is left after a container is killed",
                      "mounts: servers end with the container"),
    "20 entering by name": ("exec: a name is enough",
                            "slurm: a running container is joined",
                            "slurm life: containers of a job outlive slurmd",
                            "list: a container in use is refused with its processes"),
    "21 progress": ("import: progress is shown on a terminal and the line is clear afterwards",
                    "slurm transfer: progress on a terminal"),
    "23 entrypoints, images without a shell": (
        "environment: entry point and command come from the image",
        "start: an image without a shell runs its program",
        "identity: the entrypoint runs with the command or what is given"),
    "24 precedence": ("compatibility: steps 4 to 7 last definition wins",),
    "25 mounts": ("fstab: the colon form", "fstab: targets behind links stay inside",
                  "mounts: an image is mounted by path and relative to the working directory"),
    "26 apt and others as root": ("identity: with one id and the filter",
                                  "identity: with subordinate ids and without the filter"),
    "27 layouts and archives": ("sources: a layout gives the tree of umoci",
                                "sources: buildah and podman archives give the same tree",
                                "sources: the layout of docker before 1 10"),
    "28 authorities, HTTP, redirects": (
        "registries: an authority of one registry",
        "registries: an insecure registry may speak plain http",
        "registries: a redirect may leave https only for a server that is marked"),
    "29 compressors": ("squashfs: the default is zstd",
                       "squashfs: equal files are stored once"),
    "30 modes": (
        "containers: directories and files without permissions can be used and removed",),
    "31 architecture, schema 1": (
        "import: a single image of another architecture is refused",
        "import failures: schema 1 is refused with an explanation"),
    "33 upgrades of Slurm": (
        "slurm life: plugin and program are replaced under running steps",
        "slurm life: slurmd is started again"),
    "34 noexec, full disks": ("check: a data path mounted noexec", "check: a full data path"),
    "35 writable layers": ("overlay: the size can be configured and the option counts",
                           "overlay: changes are there at the next start"),
}

SECURITY = {
    "traversal and absolute names": ("layers: names that climb out stay inside the root",
                                     "squashfs: names of an image cannot lead out"),
    "symlinked ancestors": ("layers: whiteouts and hard links do not go through links",
                            "layers: an entry below a link of a lower layer makes a directory"),
    "hard links to elsewhere": ("layers: a hard link to nothing is refused with both names",),
    "device nodes": ("layers: device nodes are left out and pipes are not",),
    "digests that are not hex": (
        "import failures: digests that are not digests are refused",),
    "files of an image that are links to the host": (
        "security: files of a start that are links lead nowhere",
        "security: directories of a start that are links lead nowhere",
        "security: links of an imported image lead nowhere"),
    "crafted squashfs": ("squashfs: flipped bytes end in an error at worst",
                         "squashfs: half an image is refused",
                         "unit/squashfs/test_reader.c: test_crafted_names"),
    "bombs": ("layers: memory stays bounded whatever the image holds",
              "import failures: an endless manifest is cut off"),
    "super-linear merging": ("extreme: very many names of one file",
                             "extreme: a hundred thousand whiteouts", "extreme: 127 layers"),
    "credentials after a redirect": (
        "import: a redirect to another host carries no credentials",
        "credentials: an identity token follows no redirect",
        "registries: each server gets its own credentials only"),
    "URLs of foreign layers": ("import failures: urls of layers are not asked",),
    "manifest or index": (
        "import failures: a document that is manifest and index at once is refused",),
    "newlines": ("security: newlines start no lines of their own",),
    "nothing of an image is interpreted outside": (
        "hooks: nothing of the image runs outside or reaches programs outside",
        "environment: environment files are data"),
    "targets swapped for links": ("fstab: targets behind links stay inside",
                                  "hooks: a mount cannot leave the rootfs",
                                  "mounts: targets stay inside the root"),
    "descriptors and working directories": (
        "start: open files do not leak in",
        "exec: a working directory of the host is not kept",
        "nsenter: a directory of the host is no working directory"),
    "the joining process": ("exec: the joining process cannot be looked into",),
    "set-id files": ("containers: set id bits do not reach the host",
                     "start: set uid programs of the image give nothing"),
    "propagation words": ("fstab: propagation words",),
    "variables of the loader": (
        "security: variables of the loader do not reach enroot itself",),
    "variables of a job in prolog and epilog": (
        "slurm: the environment of the user reaches no root",
        "slurm attack: no variable reaches root",
        "slurm attack: options that no srun has checked"),
    "directories of root's that users write to": (
        "slurm attack: a runtime path that others can write",
        "slurm attack: links in the runtime directory"),
    "temporary directories": ("security: directories for temporary files are private",),
    "other users": ("security: another user cannot reach a container",
                    "exec: the container of another user is refused"),
}

# Of the table of Slurm's behaviour, what it says about failures and ends.
SLURM_FAILURES = {
    "Contexts: errors before there are tasks drain nodes, so tasks have them": (
        "slurm attack: a node whose configuration is wrong",
        "slurm attack: options that no srun has checked",
        "slurm attack: jobs without containers run there"),
    "Contexts: errors of the epilog drain nodes": (
        "slurm attack: a data path that cannot be cleaned",),
    "Users: the first task fails": ("slurm: a failing import is told once",),
    "Users: the first task is killed": ("slurm life: the first task is killed",
                                        "slurm life: the holder is killed"),
    "Users: unnamed containers are removed at the end": (
        "slurm: unnamed containers are removed and saved ones are images",
        "slurm life: what a dead node has left is removed by its next job"),
    "Users: containers of a job are removed by the epilog": (
        "slurm: containers of a job", "slurm life: a requeued job begins anew"),
    "Users: a container is saved before srun returns": ("slurm cgroup: a save is waited for",),
    "Life: cancelled": ("slurm: cancelling during an import", "slurm: cancelling running tasks",
                        "slurm life: interrupting srun twice ends the step",
                        "slurm life: a signal reaches the tasks"),
    "Life: time limit": ("slurm life: the time limit",),
    "Life: bad exit": ("slurm life: a bad exit ends the others",),
    "Life: suspended": ("slurm life: a suspended job goes on",),
    "Life: node failure": ("slurm life: a node dies while tasks run",
                           "slurm life: a node dies during an import",
                           "slurm life: slurmstepd is killed"),
    "Life: out of memory": ("slurm cgroup: a task runs out of memory",
                            "slurm cgroup: an import runs out of memory"),
    "Life: daemons start again": ("slurm life: slurmctld is started again",
                                  "slurm attack: slurmd comes up"),
    "Life: who stops what Slurm waits for": (
        "slurm attack: who stops enroot step holds nothing up",),
}

SCENARIOS = {
    "1": ("compatibility: scenario 1",),
    "2": ("compatibility: scenario 2",),
    "3": ("gpu: scenario 3 nvidia smi runs and opens libcuda",),
    "4": ("slurm scenarios: scenario 4 a step runs inside on every node",
          "slurm scenarios: scenario 4 three nodes at once"),
    "5": ("gpu: scenario 5 device cgroups are never written",),
    "6": ("list: the text names the file of each value",
          "environment: the site file loads unchanged"),
    "7": ("check: without a configuration file everything is tried",
          "check: with the configuration file of the host",
          "check: a machine that works has all that is required"),
    "8": ("check: a limit of no user namespaces", "check: paths of somebody else",
          "check: a range"),
    "9": ("identity: 9 and 10 root inside cannot delete a file of the hosts root",),
    "10": ("identity: 10 and 11 a process inside is the users on the host",),
    "11": ("identity: 11 what root makes inside is the users outside",
           "identity: 11 other ids are subordinate"),
    "13": ("run: the second run asks nobody",),
    "12": ("gpu/run: compile", "gpu/run: compare"),
    "14": ("window: a program reaches the x server with the users cookie",
           "window: the socket of a wayland compositor"),
    "15": ("slurm scenarios: scenario 15 a bundle on three nodes",
           "slurm scenarios: scenario 15 the check names sysctls that are missing"),
}

SOURCES_AND_OUTPUTS = {
    "docker://": ("real images: the debian tree is the one of umoci and podman",),
    "oci:": ("sources: a layout gives the tree of umoci",),
    "oci-archive:": ("sources: an archive gives the same image as its layout",),
    "docker-archive:": ("sources: an archive of skopeo with its record",
                        "sources: standard input and compressed archives"),
    "dockerd://, podman://": ("engines: podman serves podman and docker images",
                              "engines: podman save"),
    "tar:": ("sources: the tree of gnu tar from standard input",),
    "https://": ("sources: a download is the file and starts",),
    "image file": ("harness: every registry answers skopeo and checks credentials",
                   "export: it is the tree that mksquashfs makes as the classic tool calls it"),
    "out to oci:": ("export oci: umoci unpacks what the container holds",
                    "export oci: import export oci podman run gives the same tree"),
    "out to oci-archive:": ("export oci: archives are what skopeo reads",
                            "export oci: podman runs the entry point of an archive"),
    "a warm cache moves no layer bytes": ("cache: a second import moves no layer bytes",
                                          "ranges: a second import moves no layer bytes"),
}


def place_of(place):
    """The file that a place stands for, and how a test begins there."""
    if place.startswith("unit/"):
        return "../" + place, r"(?m)^static void %s\("
    if place == "gpu/run":
        return "../" + place, r"(?m)^    def %s\(self"
    if place == "regression":
        return "../regression/test_regression.py", r"(?m)^    def test_%s\(self\)"
    return "test_%s.py" % place.replace(" ", "_"), r"(?m)^    def test_%s\(self\)"


# Of "Slurm: the SPANK plugin and the OCI way".
SLURM = {
    "contexts: local, allocator, remote": (
        "slurm: an image file", "slurm: an allocation", "slurm: the script runs inside"),
    "contexts: epilog": ("slurm: containers of a job",),
    "no drained node": ("slurm life: a node dies during an import",
                        "slurm mistakes: what only one node lacks"),
    "options": ("slurm options: help has every option", "slurm mistakes: values of options"),
    "--container-image": ("slurm: an image file", "slurm: an image of a registry",
                          "slurm mistakes: references"),
    "--container-mounts": ("slurm options: kinds of mounts", "slurm: mounts and directory"),
    "--container-workdir": ("slurm: mounts and directory",),
    "--container-name, rules": ("slurm: a named container is kept and used again",
                                "slurm: a running container is joined",
                                "slurm options: mounts of a running container"),
    "--container-save": ("slurm: unnamed containers are removed and saved ones are images",),
    "--container-mount-home, -remap-root, -writable, -readonly": (
        "slurm: options of the start",),
    "--container-entrypoint, -log": ("slurm: entrypoint",),
    "--container-env": ("slurm: environment",),
    "--container-unshare": ("slurm: namespaces",),
    "PYXIS_CONTAINER_*": ("slurm options: variables", "slurm mistakes: variables"),
    "ignored options": ("slurm options: options without a container are told",),
    "salloc and sbatch, and srun in them": (
        "slurm options: an srun in an allocation replaces its options",
        "slurm mpi: srun in a script inside", "slurm mpi: an allocation of several nodes"),
    "arrays": ("slurm: an array", "slurm mpi: an array whose tasks have several nodes"),
    "heterogeneous jobs": (
        "slurm mpi: a heterogeneous job with an image for each part",
        "slurm mpi: parts of one srun have one image"),
    "container_scope": ("slurm: containers of a job",),
    "execute_entrypoint, sbatch_support": ("slurm options: words of the configuration",),
    "use_squashfuse, use_enroot_load": ("slurm: extraction and load",),
    "importer": ("slurm importer: the image itself is started",
                 "slurm importer: a container is made of it",
                 "slurm importer: a failure is told with its output"),
    "one container a node and step": (
        "slurm: tasks of a node share a container and nodes do not",
        "slurm life: the first task is killed"),
    "messages": ("slurm: an image of a registry", "slurm: a failing import is told once"),
    "unnamed containers": ("slurm: unnamed containers are removed and saved ones are images",),
    "environment": ("slurm: environment",
                    "slurm: the environment of the user reaches no root"),
    "the command need not exist on the host": (
        "slurm: the command need not exist on the host",),
    "PMI2 and PMIx": ("slurm mpi: mpich over pmi2", "slurm mpi: open mpi over pmix",
                      "slurm mpi: the variables of each task"),
    "PyTorch": ("slurm mpi: each task has its rank",
                "slurm mpi: the master can be reached under its name"),
    "namespaces, directory, filter": ("slurm: rights are those of a start",),
    "one import a job": ("slurm transfer: each blob leaves the registry once",
                         "slurm transfer: the first node is killed while it imports"),
    "oci.conf": ("slurm oci: a step on three nodes", "slurm oci: a step"),
    "several nodes on one machine": (
        "slurm mpi: nodes have networks and files of their own",),
}


class TestCoverage(unittest.TestCase):
    def assert_tests(self, rows):
        for row, tests in rows.items():
            for test in tests:
                with self.subTest(row):
                    place, name = test.split(": ")
                    path, pattern = place_of(place)
                    with open(os.path.join(HERE, path)) as file:
                        self.assertRegex(file.read(), pattern % re.sub(r"\W", "_", name), test)

    def test_compatibility(self):
        self.assert_tests(COMPATIBILITY)

    def test_demands_of_users(self):
        self.assert_tests(DEMANDS)

    def test_security_cases(self):
        self.assert_tests(SECURITY)

    def test_failures_under_slurm(self):
        self.assert_tests(SLURM_FAILURES)

    def test_scenarios(self):
        self.assert_tests(SCENARIOS)

    def test_slurm(self):
        self.assert_tests(SLURM)

    def test_sources_and_outputs(self):
        self.assert_tests(SOURCES_AND_OUTPUTS)
