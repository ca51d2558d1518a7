"""Container images: what is accepted, what is merged, and what is warned of."""

from __future__ import annotations

import pytest

from seamless.config.images import merge
from tests.config.conftest import Project

DIGEST = "3f" * 32


def findings(project: Project, use: str, images: str = "{}", more: str = "") -> list[tuple[str, str]]:
    project.clusters(
        f"c:\n  images: {images}\n  frontends: [{{hashserver: {{bufferdir: /b, image: {use}}}}}]\n{more}",
    )
    return [(finding.severity, finding.message) for finding in project.resolve().clusters["c"].findings]


@pytest.mark.parametrize(
    ("use", "images"),
    [
        ("storage", f"{{storage: {{path: /i.sif, sha256: {DIGEST}}}}}"),
        (f"{{path: ~/i.sif, sha256: {DIGEST}}}", "{}"),
        (f"{{use: w, sha256: {DIGEST}, nv: true}}", "{w: {path: /i.sif}}"),
        (f"{{path: /box, allow_sandbox: true, sha256: {DIGEST}}}", "{}"),
        (f"{{path: /i.sif, sha256: {DIGEST}, binds: ['/a', '/a:/b', '/a:/b:ro', '/a:/b:rw']}}", "{}"),
        (f"{{path: /i.sif, sha256: {DIGEST}, options: [--nv, --memory=4G, --no-mount=home], env: {{A: b}}}}", "{}"),
    ],
)
def test_a_pinned_image_is_accepted(project: Project, use: str, images: str) -> None:
    assert findings(project, use, images) == []


@pytest.mark.parametrize(
    ("use", "images", "complaint"),
    [
        ("3", "{}", "expects the name of an image, or a path"),
        ("[x]", "{}", "expects the name of an image, a path, or a mapping, found a list"),
        ("storge", "{storage: /i.sif}", "there is no image 'storge' (did you mean 'storage'?); images: storage"),
        ("{}", "{}", "expects exactly one of 'use' and 'path'"),
        ("{use: a, path: /i.sif}", "{a: /i.sif}", "expects exactly one of 'use' and 'path'"),
        ("i/x.sif", "{}", "expected an absolute path"),
        ("{path: i.sif}", "{}", "expected an absolute path"),
        ("/a/../i.sif", "{}", "must not contain"),
        ("/i.tar", "{}", "expected an image file that ends in '.sif', found '/i.tar'"),
        ("w", f"{{w: {{sha256: {DIGEST}}}}}", "the image has no 'path'"),
        ("{path: /i.sif, sha256: ABC}", "{}", "expected a SHA-256 of 64 lower-case hexadecimal digits"),
        ("{path: /i.sif, binds: ['a:/b']}", "{}", "expected an absolute path"),
        ("{path: /i.sif, binds: ['/a:/b:xx']}", "{}", "expected SOURCE[:DESTINATION[:ro|rw]]"),
        ("{path: /i.sif, binds: ['/a:/']}", "{}", "nothing can be bound to /"),
        ("{path: /i.sif, binds: ['/a:/etc/ssl/']}", "{}", "nothing can be bound to /etc/ssl"),
        ("{path: /i.sif, binds: ['/a,/b']}", "{}", "must not contain"),
        ("{path: /i.sif, binds: ['/a:~/b']}", "{}", "the destination of a bind must be absolute"),
        ("{path: /i.sif, options: [--fakeroot]}", "{}", "'--fakeroot' is not among the permitted options"),
        ("{path: /i.sif, options: ['--memory=$(x)']}", "{}", "is not among the permitted options"),
        ("{path: /i.sif, env: {'A B': x}}", "{}", "'A B' is not the name of an environment variable"),
        ("{path: /i.sif, runtime: docker}", "{}", "must be one of: auto, apptainer, singularity"),
        ("{path: /i.sif, nvidia: true}", "{}", "unknown field 'nvidia'"),
    ],
)
def test_a_wrong_image_is_told(project: Project, use: str, images: str, complaint: str) -> None:
    assert any(severity == "error" and complaint in message for severity, message in findings(project, use, images))


def test_an_image_without_a_digest_is_a_warning_or_an_error(project: Project) -> None:
    assert findings(project, "/i.sif")[0][0] == "warning"
    assert findings(project, "/i.sif", more="  require_pinned_images: true\n")[0][0] == "error"


def test_the_warning_reaches_who_selects_the_cluster(project: Project) -> None:
    project.clusters("c: {frontends: [{hashserver: {bufferdir: /b, image: /i.sif}}]}\n")
    project.write("- project: p\n- cluster: c\n- execution: process\n")
    assert [warning.code for warning in project.resolve(check=True).warnings] == ["image-not-pinned"]


def test_lists_append_and_scalars_replace() -> None:
    images = {"w": {"path": "/w.sif", "sha256": DIGEST, "binds": ["/b"], "env": {"A": "1", "B": "1"}, "nv": True}}
    defaults = {"runtime": "apptainer", "binds": ["/a"], "env": {"A": "0"}, "options": ["--contain"]}
    merged = merge({"use": "w", "binds": ["/a", "/c"], "env": {"B": "2"}, "nv": False, "rocm": True}, images, defaults)
    assert merged == {
        "runtime": "apptainer",
        "path": "/w.sif",
        "sha256": DIGEST,
        "binds": ["/a", "/b", "/c"],
        "env": {"A": "1", "B": "2"},
        "options": ["--contain", "--rocm"],
    }
