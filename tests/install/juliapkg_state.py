"""juliapkg's state in a folder of its own: nothing of this machine's Julia is seen, and nothing is downloaded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CLOSED = "http://127.0.0.1:1/versions.json"  # nobody listens there

SetUp = Callable[..., Path]


@pytest.fixture
def fresh_juliapkg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SetUp]:
    """Sets variables, makes juliapkg read them, and gives it an empty project, which is returned."""
    from juliapkg import install_julia
    from juliapkg.state import STATE, reset_state

    before = dict(STATE)
    monkeypatch.setattr(install_julia, "_julia_versions_url", CLOSED)
    monkeypatch.setenv("no_proxy", "*")

    def set_up(path: str = "", **variables: str) -> Path:
        monkeypatch.setenv("PATH", path)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        reset_state()
        project = tmp_path / "juliapkg_project"
        prefix = project / "pyjuliapkg"
        prefix.mkdir(parents=True, exist_ok=True)
        STATE.update(
            project=str(project),
            prefix=str(prefix),
            deps=str(prefix / "juliapkg.json"),
            meta=str(prefix / "meta.json"),
            install=str(prefix / "install"),
        )
        return project

    yield set_up
    STATE.clear()
    STATE.update(before)


def write_meta(exe: Path, **changes: object) -> Path:
    """What juliapkg leaves behind after it has resolved with ``exe``, a Julia 1.10.8."""
    from juliapkg import deps
    from juliapkg.state import STATE

    files = {
        file: {"timestamp": os.path.getmtime(file), "hash_sha256": deps._get_hash(file)} for file in deps.deps_files()
    }
    meta = {
        "meta_version": deps.META_VERSION,
        "executable": str(exe),
        "version": "1.10.8",
        "override_executable": None,
        "offline": False,
        "dev": STATE["dev"],
        "deps_files": files,
    }
    file = Path(STATE["meta"])
    file.write_text(json.dumps({**meta, **changes}))
    return file
