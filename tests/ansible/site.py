"""Two machines and a client, the example inventory with their names, and the playbook run against them step by step."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml

from tests.ansible.conftest import LOCK, ROOT, SECONDS, SYSTEM_PYTHON
from tests.helpers.machines import Machines
from tests.integration.place import SCRIPTS, Place

ANSIBLE = ROOT / "ansible"
ACCOUNT = "seamless"
FRONT, NODE = "front", "node1"
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
STEP = 'echo {} >> "$NOTE"\nsort "$1"\n'  # notes where it is executed
KEYS = f"/etc/seamless/authorized-keys-{ACCOUNT}"
UID = 880  # that of the example
WHERE = {"job": "$(hostname)", "client": "client", "remote": "$(hostname) $SLURM_JOB_ID"}
WIPE = {"seamless_services_remove_data": True, "rhl_guard_remove_account": True}


class Run:
    """One run of a playbook."""

    def __init__(self, done: subprocess.CompletedProcess[str]):
        self.status, self.output = done.returncode, done.stdout + done.stderr
        rows = RECAP.findall(done.stdout)
        self.changed = {row[0]: int(row[2]) for row in rows}
        self.failed = {row[0] for row in rows if row[3:] != ("0", "0")}


class Site:
    """What the tests look at. Each step is made once, after those that come before it."""

    def __init__(self, root: Path, machines: Machines, tools: Path, dist: Path):
        self.root, self.machines, self.tools, self.dist = root, machines, tools, dist
        self.place = Place(root / "client")
        self.place.write("seamless.profile.yaml", "- cluster: hpc\n- execution: process\n")
        self.data, self.jobs, self.home = (machines.shared / name for name in ("data", "jobs", ACCOUNT))
        self.key = machines.new_key("hpc", ACCOUNT, FRONT)
        self.own = machines.new_key("planted", ACCOUNT, FRONT)
        self._write_inventory()
        lab = self.play(playbook=Path(__file__).with_name("slurm.yml"))
        assert lab.status == 0, lab.output
        self.before = {name: machines.files(name) for name in machines.names}
        self.running_before = {name: self.running(name) for name in machines.names}

    def _write_inventory(self) -> None:
        def hosts(*names: str) -> dict[str, Any]:
            return {"hosts": {name: {"ansible_host": self.machines.address(name)} for name in names}}

        client = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        groups = {"frontends": hosts(FRONT), "compute": hosts(NODE), "clients": {"hosts": {"workstation": client}}}
        remote = {"ansible_user": "root", "ansible_python_interpreter": SYSTEM_PYTHON}
        for group in ("frontends", "compute"):
            groups[group]["vars"] = remote
        directory = self.root / "inventory"
        directory.mkdir()
        (directory / "group_vars").symlink_to(ANSIBLE / "inventory" / "example" / "group_vars")
        (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}))
        values = {
            "seamless_address": self.machines.address(FRONT),
            "seamless_home": str(self.home),
            "seamless_data": str(self.data),
            "seamless_keys": [{"name": "me", "key": self.key}],
            "remote_http_launcher_dist": str(self.dist),
            "remote_http_launcher_lock": str(self.dist / LOCK.name),
            "remote_http_launcher_wheelhouse": str(self.dist / "wheels.tar"),
            "seamless_cluster_config_directory": str(self.place.home / ".seamless" / "clusters"),
            "seamless_cluster_config_check": str(SCRIPTS / "seamless-config"),
        }
        (self.root / "values.json").write_text(json.dumps(values))

    def play(self, *options: str, playbook: Path = ANSIBLE / "site.yml", **values: Any) -> Run:
        """Run a playbook; `values` are further variables."""
        words = ["-i", self.root / "inventory" / "hosts.yml", "-e", f"@{self.root / 'values.json'}"]
        home = self.machines.root / "ansible"  # sockets are below: the path is short
        environment = {
            "PATH": f"{self.tools}:/usr/bin:/bin",
            "HOME": str(self.root),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_HOME": str(home),
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_ARGS": f"-F {self.machines.root}/ssh_config -o ControlMaster=auto -o ControlPersist=20s "
            f"-o IdentityFile={self.machines.root}/id_root -o UserKnownHostsFile={self.machines.root}/known_hosts "
            "-o StrictHostKeyChecking=accept-new -o LogLevel=ERROR",
        }
        done = subprocess.run(
            [self.tools / "ansible-playbook", *words, "-e", json.dumps(values), *options, playbook],
            cwd=ANSIBLE, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        return Run(done)

    def running(self, name: str) -> set[str]:
        """Return the files below /run without those of the batch system, and what our account executes."""
        files = self.machines.run(name, "find", "/run", "-path", "/run/slurm-lab", "-prune", "-o", "-print").stdout
        programs = self.machines.run(name, "pgrep", "-u", UID, "-a", check=False).stdout
        return {*files.splitlines(), *programs.splitlines()}

    # --- the steps ----------------------------------------------------------------------------

    @functools.cached_property
    def looked(self) -> Run:
        """The playbook, only looking, at fresh machines."""
        return self.play("--check", "--diff")

    @functools.cached_property
    def files_after_look(self) -> dict[str, set[str]]:
        assert self.looked.status == 0, self.looked.output
        return {name: self.machines.files(name) for name in self.machines.names}

    @functools.cached_property
    def first(self) -> Run:
        """The first real run."""
        assert self.files_after_look
        return self.play()

    @functools.cached_property
    def second(self) -> Run:
        """The second one."""
        assert self.first.status == 0, self.first.output
        return self.play()

    @functools.cached_property
    def looked_again(self) -> Run:
        """Only looking, at what is as it should be."""
        assert self.second.status == 0, self.second.output
        return self.play("--check")

    @functools.cached_property
    def keys(self) -> list[str]:
        """The lines of the keys after that."""
        assert self.second.status == 0, self.second.output
        return self.machines.run(FRONT, "cat", KEYS).stdout.splitlines()

    @functools.cached_property
    def used(self) -> dict[str, Any]:
        """What a user sees who has nothing but the guarded key, and jobs of the batch system that share the data."""
        assert self.looked_again.status == 0, self.looked_again.output
        self.jobs.mkdir(exist_ok=True)
        os.chown(self.jobs, UID, UID)
        files = {"a.txt": "b\na\n", **{f"{name}.sh": STEP.format(what) for name, what in WHERE.items()}}
        for name, text in files.items():
            (self.jobs / name).write_text(text)
            self.place.write(name, text)
        step, other = self.step("job"), self.step("client")
        out: dict[str, Any] = {"job": self.submit(*step)}
        out["explained"] = self.client("--explain", *step)
        out["refused"] = self.ssh("ls", "/")
        self.plant()
        out["planted"] = self.ssh("true", alias="planted")
        out["ports"] = self.forward("-R", "12399:127.0.0.1:22")
        out["sockets"] = self.forward("-R", f"{self.home}/socket:127.0.0.1:22")
        effective = self.machines.run(FRONT, "/usr/sbin/sshd", "-T", "-C", f"user={ACCOUNT},host=any,addr=10.0.0.1")
        out["sshd"] = set(effective.stdout.splitlines())
        out["own"] = self.client(*other)
        out["job again"] = self.submit(*other)
        out["ran"] = (self.jobs / "ran").read_text()
        return out

    @functools.cached_property
    def remote(self) -> dict[str, Any]:
        """What a user sees whose steps are executed in jobs of the cluster, with the same key."""
        assert self.used
        self.place.write("seamless.profile.yaml", "- cluster: hpc\n- execution: remote\n- queue: standard\n")
        out: dict[str, Any] = {"done": self.client(*self.step("remote"))}
        assert out["done"].returncode == 0, out["done"].stderr + self.logs()
        out["where"] = (self.jobs / "ran").read_text().splitlines()[-1]
        out["job"] = self.machines.run(FRONT, "scontrol", "show", "job", out["where"].split()[-1]).stdout
        out["ports"] = self.listening()
        return out

    def step(self, name: str) -> tuple[str, ...]:
        """Return the words of one of the steps."""
        return ("--metavar", f"NOTE={self.jobs}/ran", "bash", f"{name}.sh", "a.txt")

    def logs(self) -> str:
        """Return what the services of the account and their jobs have written."""
        directory = self.home / ".remote-http-launcher" / "server"
        return "\n".join(f"{path}:\n{path.read_text()}" for path in directory.glob("*.log*"))

    def listening(self) -> dict[str, str]:
        """Return the addresses on which the services of the account listen, by service."""
        states = [json.loads(path.read_text()) for path in (self.home / ".remote-http-launcher/server").glob("*.json")]
        rows = self.machines.run(FRONT, "ss", "-tlnH").stdout.splitlines()
        hosts = dict(reversed(row.split()[3].rsplit(":", 1)) for row in rows)
        return {state["command"].split()[0]: hosts[str(state["port"])] for state in states}

    def plant(self) -> None:
        """Do what somebody can who executes steps as the account: give it a key that is not guarded."""
        path = self.home / ".ssh" / "authorized_keys"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(f"{self.own}\n")
        for each in (path.parent, path):
            os.chown(each, UID, UID)

    def submit(self, *words: str) -> str:
        """Have a step executed by a job; return what the job prints."""
        variables = [f"SEAMLESS_CACHE={self.data}"]
        script = "/usr/local/share/seamless/slurm/step.sh"
        sbatch = ["sbatch", "--quiet", "--wait", "--output=job.out", script, "--project", "fruit", *words]
        command = f"cd {self.jobs} && env {shlex.join([*variables, *sbatch])}"
        done = self.machines.run(FRONT, "timeout", 90, "su", ACCOUNT, "-c", command, check=False)
        printed = (self.jobs / "job.out").read_text()
        assert done.returncode == 0, done.stderr + printed
        (self.jobs / "job.out").unlink()
        return printed

    def client(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run seamless-run where the client is; a scheduler and a job may have to begin."""
        process = self.place.start("seamless-run", *words, SEAMLESS_SSH=self.machines.ssh)
        try:
            out, err = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def ssh(self, *words: str, alias: str = "hpc") -> subprocess.CompletedProcess[str]:
        """Ask for something with the guarded key, or another one."""
        return subprocess.run(
            [*self.machines.ssh.split(), alias, *words], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def forward(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Ask sshd for a forwarding with the guarded key; it ends at once unless that is granted."""
        command = [*self.machines.ssh.split(), "-N", "-o", "ExitOnForwardFailure=yes", *words, "hpc"]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    def launched(self) -> list[str]:
        """Return what serves on the front end: one word for each program."""
        found = self.machines.run(FRONT, "pgrep", "-u", UID, "-f", "bin/hashserver|bin/seamless-database", check=False)
        return found.stdout.split()

    @functools.cached_property
    def upgraded(self) -> dict[str, Any]:
        """The playbook with another wheel, while services live, twice; then the client asks again."""
        assert self.remote
        newer = self.root / "newer"
        shutil.copytree(self.dist, newer)
        (wheel,) = newer.glob("seamless-*.whl")
        with zipfile.ZipFile(wheel, "a") as f:
            f.comment = b"another version"
        out: dict[str, Any] = {"served": self.launched()}
        out["run"] = self.play(remote_http_launcher_dist=str(newer))
        out["served after"] = self.launched()
        out["run again"] = self.play(remote_http_launcher_dist=str(newer))
        out["hit"] = self.client("--explain", *self.step("job"))
        return out

    @functools.cached_property
    def kept(self) -> Run:
        """The software is taken away; what was computed stays."""
        assert self.upgraded
        return self.play("--tags", "uninstall")

    @functools.cached_property
    def files_after_kept(self) -> set[str]:
        assert self.kept.status == 0, self.kept.output
        shared = [*self.data.rglob("seamless.db"), *self.home.rglob("authorized_keys")]
        return self.machines.files(FRONT) | set(map(str, shared))

    @functools.cached_property
    def closed(self) -> subprocess.CompletedProcess[str]:
        """What somebody sees then who had given the account a key."""
        assert self.files_after_kept
        return self.ssh("true", alias="planted")

    @functools.cached_property
    def removed(self) -> Run:
        """Everything is taken away, also what was computed and the account."""
        assert self.closed
        return self.play("--tags", "uninstall", **WIPE)

    @functools.cached_property
    def removed_again(self) -> Run:
        assert self.removed.status == 0, self.removed.output
        return self.play("--tags", "uninstall", **WIPE)
