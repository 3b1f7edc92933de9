"""Build, run every test there is, and count: a line per test, at the end the sum.

Skipped tests are named with their reasons above the last line. Exit status 0 only
when nothing failed.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
SHELL_SCRIPTS = (".ci/run", "bench/make-image", "scripts/demo", "scripts/install-deps", "tests/run")
BUILDS = {
    "unit": ("build/tests", ["--werror", "--buildtype=release"]),
    "sanitized unit": ("build/tests-sanitized",
                       ["--werror", "-Db_sanitize=address,undefined", "-Db_lundef=false"]),
}
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1",
              "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}

outcomes = []  # (state, name, reason)


def note(state, name, reason="", detail=""):
    """Record the outcome of one test: ok, FAIL or skip."""
    outcomes.append((state, name, reason))
    print("%-4s %s%s" % (state, name, ": " + reason if reason else ""))
    if detail:
        print("     | " + detail.rstrip().replace("\n", "\n     | "))
    sys.stdout.flush()


def run(argv, **options):
    return subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, text=True, errors="replace",
                          **options)


def check(name, *argv):
    """A test that is one command."""
    result = run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    note("ok" if result.returncode == 0 else "FAIL", name, detail="" if result.returncode == 0
         else result.stdout[-8000:])
    return result.returncode == 0


def build(kind):
    directory, options = BUILDS[kind]
    if not os.path.exists(os.path.join(ROOT, directory, "build.ninja")):
        if not check("%s build is configured" % kind, "meson", "setup", *options, directory):
            return False
    return check("%s build has no warnings" % kind, "ninja", "-C", directory)


def skip_reason(name, output):
    """What a test printed ("skipped: WHY") before it was skipped."""
    said = re.search(r"\] %s\n((?:(?!\[).*\n)*)\[ +SKIPPED" % name, output)
    words = said.group(1).strip() if said else ""
    return words[len("skipped: "):] if words.startswith("skipped: ") else words or "gives no reason"


def unit_tests(kind):
    """Run the cmocka programs and count the tests inside each."""
    directory = os.path.join(ROOT, BUILDS[kind][0])
    run(["meson", "test", "-C", directory, "--no-rebuild", "--timeout-multiplier", "4"],
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, env={**os.environ, **SANITIZERS})
    with open(directory + "/meson-logs/testlog.json") as log:
        programs = [json.loads(line) for line in log]
    for program in programs:
        output = (program.get("stdout") or "") + (program.get("stderr") or "")
        states = {"OK": "ok", "FAILED": "FAIL", "SKIPPED": "skip"}
        found = {name: states[state] for state, name in
                 re.findall(r"^\[ +(OK|FAILED|SKIPPED) +\] (\w+)$", output, re.M)}
        for name, state in found.items():
            note(state, "%s: %s: %s" % (kind, program["name"], name),
                 skip_reason(name, output) if state == "skip" else "")
        # A program that crashes, or is stopped by a sanitizer, reports no failed test.
        if program["result"] != "OK":
            note("FAIL", "%s: %s ends well" % (kind, program["name"]), detail=output[-8000:])
        elif not found:
            note("FAIL", "%s: %s has tests" % (kind, program["name"]), detail=output[-8000:])
    if not programs:
        note("FAIL", "%s: there are tests" % kind)


def integration_tests():
    found = []
    with tempfile.TemporaryDirectory() as directory:
        argv = [os.path.join(ROOT, "tests/integration/run"), "--results", directory + "/results",
                "--build", os.path.join(ROOT, BUILDS["unit"][0])]
        code = run((["sudo", "-n"] if os.geteuid() else []) + argv).returncode
        if os.path.exists(directory + "/results"):
            with open(directory + "/results") as file:
                found = [line.rstrip("\n").split("\t") for line in file]
    outcomes.extend(tuple(line) for line in found)
    if code != 0 and not any(state == "FAIL" for state, *_ in found):
        note("FAIL", "integration tests end well", "exit status %d" % code)


def gpu_tests():
    """On a machine with a GPU, what only that can show; elsewhere they are skipped by name."""
    with tempfile.TemporaryDirectory() as directory:
        code = run([os.path.join(ROOT, "tests/gpu/run"), "--results", directory + "/results",
                    "--build", os.path.join(ROOT, BUILDS["unit"][0])]).returncode
        if os.path.exists(directory + "/results"):
            with open(directory + "/results") as file:
                outcomes.extend(tuple(line.rstrip("\n").split("\t")) for line in file)
    if code not in (0, 1):
        note("FAIL", "tests of a GPU end well", "exit status %d" % code)


def main():
    # nohup, and a shell that runs something in the background, have children ignore these,
    # whose effects are tested.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    check("check-ranks finds what it should", "scripts/check-ranks", "--self-test")
    check("includes follow the ranks of ARCHITECTURE.md", "scripts/check-ranks")
    check("shell scripts pass shellcheck", "shellcheck", *SHELL_SCRIPTS)
    if build("unit"):
        unit_tests("unit")
        integration_tests()
        gpu_tests()
        check("the demonstration runs", "env", "ENROOT_BUILD_DIR=" + BUILDS["unit"][0],
              "scripts/demo")
    if build("sanitized unit"):
        unit_tests("sanitized unit")

    counts = {state: sum(outcome[0] == state for outcome in outcomes)
              for state in ("ok", "FAIL", "skip")}
    print()
    for state, name, reason in outcomes:
        if state == "FAIL":
            print("failed: " + name)
    for state, name, reason in outcomes:
        if state == "skip":
            print("skipped: %s: %s" % (name, reason))
    print("%d passed, %d failed%s" % (
        counts["ok"], counts["FAIL"], ", %d skipped" % counts["skip"] if counts["skip"] else ""))
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
