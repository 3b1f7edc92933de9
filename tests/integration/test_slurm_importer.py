"""slurm importer: images that a site's own program gets, called as Pyxis calls it."""
import os
import shutil

import harness
import slurm_cluster
from slurm_cluster import SlurmCase

SCRIPT = """#!/bin/sh
# What Pyxis' documentation asks for: a path on the output, all else on the error output.
set -eu
echo "$1 ${2-} $(id -u) $SLURM_JOB_UID $SLURM_JOB_ID.$SLURM_STEP_ID $PYXIS_VERSION" >>%(log)s
image=$PYXIS_RUNTIME_PATH/$SLURM_JOB_UID/$SLURM_JOB_ID.$SLURM_STEP_ID.squashfs
case $1 in
get)    echo "looking for $2" >&2
        %(get)s ;;
release) %(release)s ;;
esac
"""


def setUpModule():
    slurm_cluster.up("slurm-importer")


def tearDownModule():
    slurm_cluster.down()


class TestImporter(SlurmCase):
    def importer(self, get, *settings, release='rm -f "$image"'):
        """A plugin with importer=; returns what it has been called with, when called."""
        path, log = self.user.work + "/importer", self.user.work + "/calls"
        with open(path, "w") as file:
            file.write(SCRIPT % {"log": log, "get": get, "release": release})
        os.chmod(path, 0o755)
        self.set_plugin("importer=" + path, *settings)

        def calls():
            with open(log) as file:
                return [line.split() for line in file]
        return calls

    def check_calls(self, calls, expected):
        found = calls()
        self.assertEqual([call[0] for call in found], expected, found)
        for call in found:
            self.assertEqual(call[-4:-2], [str(self.user.uid)] * 2, "run as the user")
            self.assertEqual(call[-1], "0.24.0")

    def copying(self):
        return 'cp %s "$image"; echo "$image"' % self.image()

    def test_the_image_itself_is_started(self):
        """The image stays until the release, after the last task."""
        calls = self.importer(self.copying())
        result = self.srun("-N1", "--ntasks=2", "--container-image=some/image:tag", "sh", "-c",
                           "sleep 0.2; grep -c ^ID=alpine /etc/os-release")
        self.assertEqual(result.out, "1\n1\n")
        self.assertEqual(result.err.count("imported docker image: some/image:tag"), 1, result)
        self.check_calls(calls, ["get", "release"])
        self.assertEqual(calls()[0][1], "docker://some/image:tag")
        self.assertEqual(calls()[0][-2], calls()[1][-2])
        self.wait_for_idle()
        left = harness.files_below("%s/slurm-run/%d" % (harness.world.work, self.user.uid))
        self.assertEqual([name for name in left if name.endswith(".squashfs")], [])

    def test_a_container_is_made_of_it(self):
        """Extraction, names and save need a container; the URI is passed on as it is."""
        calls = self.importer(self.copying(), "use_squashfuse=0")
        result = self.srun("-N1", "--container-image=dockerd://thing", "--container-name=kept",
                           "--container-save=saved.sqsh", "cat", "/etc/os-release")
        self.assertIn("alpine", result.out)
        self.assert_image_valid(self.user.work + "/saved.sqsh")
        self.assertEqual(calls()[0][1], "dockerd://thing")
        self.check_calls(calls, ["get", "release"])
        self.srun("-N1", "--container-image=dockerd://thing", "--container-name=kept", "true")
        self.check_calls(calls, ["get", "release"])  # what exists is not imported again

    def test_image_files_are_not_its(self):
        calls = self.importer("exit 1")
        self.srun("-N1", "--container-image=" + self.image(), "true")
        self.assertFalse(os.path.exists(self.user.work + "/calls"), calls)

    def test_each_node_has_its_own(self):
        shutil.copyfile(self.image(), self.user.work + "/shared.sqsh")
        calls = self.importer("echo %s/shared.sqsh" % self.user.work, release="true")
        result = self.srun("-N3", "--container-image=x", "grep", "-c", "^ID=", "/etc/os-release")
        self.assertEqual(result.out, "1\n1\n1\n")
        self.assertEqual(sorted(call[0] for call in calls()), ["get"] * 3 + ["release"] * 3)

    def test_a_failure_is_told_with_its_output(self):
        for get, says in (
                ("exit 3", "get failed with exit status 3"),
                ("kill -9 $$", "get ended by signal 9"),
                ("true", 'no absolute path of an image: ""'),
                ("echo relative.sqsh", "no absolute path"),
                ("echo /no/such.sqsh", "/no/such.sqsh")):
            calls = self.importer(get)
            result = self.slurm("srun", "-N1", "--ntasks=2", "--container-image=x:1", "true")
            self.assertNotEqual(result.code, 0, result)
            self.assertEqual(result.err.count(says), 1, self.logs(result))
            if "/no/such" not in get:  # which only the start finds out
                self.assertIn("failed to import docker image: x:1 (importer: %s/importer)" %
                              self.user.work, result.err)
                self.assertIn("looking for docker://x:1", result.err)
            self.assertEqual([call[0] for call in calls()][-2:], ["get", "release"])
        self.wait_for_idle()

    def test_one_that_is_not_there(self):
        self.set_plugin("importer=/no/such/importer")
        result = self.slurm("srun", "-N1", "--container-image=x", "true")
        self.assertIn("importer /no/such/importer: No such file", result.err, self.logs(result))
        self.set_plugin("importer=relative")
        result = self.slurm("srun", "-N1", "--container-image=x", "true")
        self.assertIn("importer: not an absolute path: relative", result.err)

    def test_a_release_that_fails_fails_no_step(self):
        self.importer(self.copying(), release='rm -f "$image"; echo cannot >&2; exit 1')
        result = self.srun("-N1", "--container-image=x", "true")
        self.assertIn("failed to call importer release", result.err)
        self.assertIn("cannot", result.err)

    def test_a_cancelled_import(self):
        """Its program ends, and it is called to release."""
        calls = self.importer("sleep 1000")
        process = self.start_step("-N1", "--job-name=slow", "--container-image=x", "true")
        self.wait_for_program("sleep")
        self.slurm("scancel", "--name=slow")
        process.communicate(timeout=harness.TIMEOUT)
        self.assertNotEqual(process.returncode, 0)
        self.wait_for_no_process(self.user)
        self.check_calls(calls, ["get", "release"])
