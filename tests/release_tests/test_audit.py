"""What the audit finds where something is not as it was locked. The project as it stands: `make audit`."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest
from release import audit, licences
from release.lock import ROOT, brought, every, parts, read

HASH = "sha256:" + "a" * 64
LOCK = f"""
[[package]]
name = "syncrollout"
version = "0.1.0"
source = {{ editable = "." }}
[package.optional-dependencies]
operator = [{{ name = "a" }}]
[package.dev-dependencies]
dev = [{{ name = "syncrollout", extra = ["operator"] }}, {{ name = "b", marker = "sys_platform == 'win32'" }}]

[[package]]
name = "a"
version = "1.0"
source = {{ registry = "https://pypi.org/simple" }}
dependencies = [{{ name = "c" }}]
wheels = [{{ url = "https://files/a.whl", hash = "{HASH}" }}]

[[package]]
name = "b"
version = "1.0"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "https://files/b.whl", hash = "{HASH}" }}]

[[package]]
name = "c"
version = "2.0"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "https://files/c.whl", hash = "{HASH}" }}]
"""


def test_an_advisory_of_something_locked_is_wrong(tmp_path: Path) -> None:
    version = read((ROOT / "uv.lock").read_text())["jinja2"].version
    file = tmp_path / "one.json"
    file.write_text(
        '{"id": "TEST-1", "summary": "it leaks", "affected": [{"package": {"ecosystem": "PyPI", "name": "jinja2"}, '
        f'"versions": ["{version}"]}}]}}'
    )
    assert list(audit.known_to(file, every((ROOT / "uv.lock").read_text()))) == [
        f"jinja2 {version}: TEST-1: it leaks; no version that mends it is said"
    ]


def test_what_is_locked_without_a_hash_or_from_elsewhere_is_wrong() -> None:
    assert list(audit.locked(every(LOCK))) == []
    assert list(audit.locked(every(LOCK.replace(f', hash = "{HASH}"', "", 1)))) == [
        "https://files/a.whl is locked without its hash"
    ]
    elsewhere = LOCK.replace('{ registry = "https://pypi.org/simple" }', '{ git = "https://host/a" }', 1)
    assert list(audit.locked(every(elsewhere))) == [
        "a does not come from https://pypi.org/simple: {'git': 'https://host/a'}"
    ]


def test_what_an_extra_brings_is_all_that_is_needed_here() -> None:
    lock = read(LOCK)
    assert [each.name for each in brought(lock, lock["syncrollout"].of_extras["operator"])] == ["a", "c"]
    assert {name: [each.name for each in several] for name, several in parts(lock)} == {
        "extra operator": ["a", "c"],
        "group dev": ["a", "c"],  # b is for another platform
    }


def test_of_several_versions_that_of_this_python_counts() -> None:
    """Hashes and advisories are looked at for all of them."""
    second = LOCK[LOCK.index('[[package]]\nname = "c"') :].replace('"2.0"', '"1.0"')
    marked = LOCK + second.replace(
        'version = "1.0"', 'version = "1.0"\nresolution-markers = ["python_version < \'3\'"]'
    )
    assert read(marked)["c"].version == "2.0"
    assert [each.version for each in every(marked) if each.name == "c"] == ["2.0", "1.0"]


def installed(folder: Path, name: str, version: str, body: str = "x = 1\n", *, direct: bool = False) -> Distribution:
    """A distribution of one module as an installer leaves it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(body)
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{name}.py,sha256={digest},6\n{info.name}/RECORD,,\n")
    if direct:
        (info / "direct_url.json").write_text('{"url": "file:///elsewhere"}')
    return Distribution.at(info)


def test_what_is_installed_is_what_is_locked(tmp_path: Path) -> None:
    lock = read(LOCK)
    a, c = installed(tmp_path, "a", "1.0"), installed(tmp_path, "c", "2.0")
    assert list(audit.environment(lock, [a, c])) == []
    assert list(audit.environment(lock, [a])) == ["c is locked and not installed"]
    assert list(audit.environment(lock, [a, c, installed(tmp_path, "d", "1.0")])) == [
        "d 1.0 is installed and not locked"
    ]
    assert list(audit.environment(lock, [a, installed(tmp_path / "other", "c", "2.1")])) == [
        "c is installed in 2.1 and locked in 2.0"
    ]
    assert list(audit.environment(lock, [a, installed(tmp_path / "direct", "c", "2.0", direct=True)])) == [
        "c 2.0 was not installed from an index"
    ]
    assert list(audit.environment(lock, [a, installed(tmp_path / "altered", "c", "2.0", body="x = 2\n")])) == [
        "c: c.py is not what was installed"
    ]


def test_what_is_imported_is_asked_for_and_what_is_asked_for_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, ours = {"a": Path("operator/x.py"), "c": Path("operator/y.py")}, {"b": Path("tests/z.py")}
    monkeypatch.setattr(audit, "imported", lambda folders: shipped if folders == audit.SHIPPED else ours)
    monkeypatch.setattr(audit, "NOT_IMPORTED", {})
    by_module = {name: [name] for name in "abcd"}
    project: dict[str, Any] = {
        "project": {"optional-dependencies": {"operator": ["a>=1", "d"]}},
        "dependency-groups": {"dev": ["syncrollout[operator]", "b"]},
    }
    assert list(audit.imports(project, by_module)) == [
        "operator/y.py imports c, and c is in an extra of pyproject.toml nowhere",
        "d is a dependency of what is shipped, and nothing there imports it",
    ]


def test_a_go_module_without_its_sum_or_of_a_fork_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(
        "module x\n\ngo 1.26\n\nrequire (\n\texample.org/a v1.2.3\n\texample.org/b v1.0.0 // indirect\n)\n\n"
        "replace example.org/b => example.com/fork v1.0.1\n"
    )
    (tmp_path / "go.sum").write_text("example.org/a v1.2.3 h1:x=\nexample.com/fork v1.0.1/go.mod h1:x=\n")
    assert [(each.name, each.version) for each in audit.go_modules(tmp_path)] == [
        ("example.org/a", "v1.2.3"),
        ("example.com/fork", "v1.0.1"),
    ]
    assert list(audit.go_sums(tmp_path)) == [f"{tmp_path.name}/go.mod replaces example.org/b by example.com/fork"]
    (tmp_path / "go.sum").write_text("")
    assert len(list(audit.go_sums(tmp_path))) == 3


@pytest.mark.parametrize(
    ("told", "expression", "fine"),
    [
        ({"License-Expression": ["MIT"]}, "MIT", True),
        ({"License-Expression": ["GPL-3.0-only OR Apache-2.0"]}, "GPL-3.0-only OR Apache-2.0", True),
        ({"License-Expression": ["GPL-3.0-only AND MIT"]}, "GPL-3.0-only AND MIT", False),
        ({"License": ["Apache 2.0"]}, "Apache-2.0", True),
        (
            {"Classifier": ["License :: OSI Approved :: GNU General Public License (GPL)"]},
            "GNU General Public License (GPL)",
            False,
        ),
        ({}, "", False),
    ],
)
def test_a_licence_is_what_the_metadata_says_and_silence_is_none(
    told: dict[str, list[str]], expression: str, fine: bool
) -> None:
    assert licences.of(told) == expression
    assert licences.compatible(expression) is fine
