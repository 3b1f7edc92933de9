"""slurm mistakes: what is wrong in a job is said in one clear line; three nodes, six tasks."""
import os
import re
import shutil
import subprocess

import harness
import images
import slurm_cluster


def setUpModule():
    slurm_cluster.up("slurm-mistakes")


def tearDownModule():
    slurm_cluster.down()


class MistakeCase(slurm_cluster.SlurmCase):
    def fails(self, *argv, says, **options):
        """A step of six tasks that fails, and one line of whose messages says why."""
        result = self.slurm("srun", "-N3", "--ntasks=6", *argv, "true", **options)
        self.assertNotEqual(result.code, 0, self.logs(result))
        self.assertEqual(len(re.findall(says, result.err)), 1, self.logs(result))
        # Slurm's own words about each task would bury it.
        self.assertNotIn("task_init() failed", result.err)
        return result


class TestBeforeTheJob(MistakeCase):
    """What can be known from the words alone is told by srun, sbatch and salloc."""

    def refused(self, *argv, says, **options):
        result = self.fails(*argv, says=says, **options)
        self.assertEqual(len(re.findall("pyxis: ", result.err)), 1, result)
        self.assertNotIn("slurmstepd", result.err)
        return result

    def test_values_of_options(self):
        image = "--container-image=" + self.image()
        for arguments, says in (
                (["--container-image="], "--container-image: argument required"),
                ([image, "--container-unshare=pid"], "unknown namespace 'pid'"),
                ([image, "--container-name=n:sometimes"], "flag must be"),
                ([image, "--container-name=../x"], "not a name: ../x"),
                ([image, "--container-env=A,,B"], "--container-env: invalid format: A,,B"),
                ([image, "--container-save=here/"], "target is a directory"),
                ([image, "--container-writable", "--container-readonly"], "its opposite")):
            with self.subTest(says):
                self.refused(*arguments, says=says)

    def test_mounts(self):
        image = "--container-image=" + self.image()
        for mounts, says in (
                ("x:/mnt", "the source must be a path, \"tmpfs\" or \"umount\": x"),
                ("/etc:mnt", "the target must be a path: mnt"),
                ("/etc:", "invalid format: /etc:"),
                ("/etc:/mnt:ro+sometimes", "mount option \"sometimes\" is not known"),
                ("/etc:/mnt:ro,,/x:/y", "invalid format: ")):
            with self.subTest(mounts):
                self.refused(image, "--container-mounts=" + mounts,
                             says="pyxis: --container-mounts: " + says)

    def test_references(self):
        for image, says in (
                ("UPPER/image", "each part must be lower-case"),
                ("registry.test#a:bad tag", "tag"),
                ("docker://a@sha256:short", "digest")):
            with self.subTest(image):
                self.refused("--container-image=" + image,
                             says="pyxis: --container-image: .*" + says)

    def test_files_of_shared_file_systems(self):
        """What is missing here is missing on the nodes: one line from srun, and no job."""
        shared = self.user.work + "/shared"
        os.mkdir(shared)
        subprocess.run(["squashfuse", "-o", "allow_other", self.image(), shared], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", shared], check=True)
        image = "--container-image=" + self.image()
        for arguments in (["--container-image=%s/no/such.sqsh" % shared],
                          [image, "--container-mounts=%s/none:/mnt" % shared]):
            self.refused(*arguments, says="%s/.*: No such file" % shared)

    def test_variables(self):
        self.refused("--container-image=" + self.image(), says="unknown namespace 'pid'",
                     env={"PYXIS_CONTAINER_UNSHARE": "pid"})

    def test_batch_jobs_and_allocations(self):
        with open(self.user.work + "/script", "w") as script:
            script.write("#!/bin/sh\n")
        for command in (["sbatch", "script"], ["salloc", "true"]):
            result = self.slurm(command[0], "-N3", "--container-image=UPPER/image", *command[1:])
            self.assertNotEqual(result.code, 0, result)
            self.assertEqual(len(re.findall("pyxis: ", result.err)), 1, result)
        self.assertEqual(self.slurm("squeue", "-h").out, "")

    def test_other_sources_are_for_the_nodes_to_judge(self):
        """Only references have a grammar that srun knows."""
        self.fails("--nodes=1", "--container-image=oci:UPPER/x", says=r"\[ERROR\] ")


class TestOnTheNodes(MistakeCase):
    """What only nodes can find out is told by one of them."""

    def test_an_image_that_is_not_there(self):
        """Unknown image: the registry's answer, and which image it is about."""
        result = self.fails("--container-image=%s-none" % self.reference(),
                            says=r"\[ERROR\] .*no such image or tag")
        self.assertEqual(len(re.findall("pyxis: failed to import docker image", result.err)), 1)

    def test_an_image_of_another_architecture(self):
        path = self.user.work + "/foreign"
        layout = images.Layout(path)
        layout.finish(layout.manifest([layout.layer(images.Tar().file("file"))],
                                      architecture="s390x"))
        host = slurm_cluster.registry().host
        images.push(path, harness.world.servers.plain.host, "tests/foreign")
        self.fails("--container-image=%s#tests/foreign" % host, says=r"\[ERROR\] .*s390x")

    def test_an_importer_knows_its_images_itself(self):
        self.set_plugin("importer=/bin/false")
        self.fails("--container-image=UPPER/image", says="pyxis: failed to import")

    def test_a_file_that_is_not_there(self):
        for path in ("/no/such/image.sqsh", "./image.sqsh"):
            self.fails("--container-image=" + path, says=r"\[ERROR\] .*image.sqsh: No such file")

    def test_a_mount_of_nothing(self):
        """An image file, and an image of a registry that is there: the failure is the start's."""
        for image in (self.image(), self.reference()):
            self.fails("--container-image=" + image, "--container-mounts=/no/such:/mnt",
                       says=r"\[ERROR\] .*/no/such.*No such file")

    def test_a_container_that_is_not_there(self):
        self.fails("--container-name=never", says="pyxis: .*pyxis_never.* does not exist")

    def test_what_only_one_node_lacks(self):
        """That node tells it, although others of the step have begun."""
        image = self.user.work + "/image.sqsh"
        shutil.copy(self.image(), image)
        result = self.srun("-N3", "--ntasks=3", "sh", "-c",
                           "test $SLURM_NODEID = 2 || cp %s /tmp/image.sqsh" % image)
        result = self.fails("--container-image=/tmp/image.sqsh", says=r"\[ERROR\] .*No such file")
        self.assertIn("node3: error: pyxis", result.err)
