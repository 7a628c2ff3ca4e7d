"""Runs tutorials, and keeps their figures and what they print for the gallery: `python docs/run_tutorials.py delay`.

Without a name it runs them all. Follow it with `python docs/make_gallery.py`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from make_gallery import PRINTED, ROOT, tutorials


def main() -> None:
    wanted = sys.argv[1:]
    for script in tutorials():
        if not wanted or script.stem in wanted:
            record(script)
            print(f"{script.relative_to(ROOT)} is recorded")


def record(script: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run([sys.executable, script], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        figure = Path(folder, "results", "tutorials", f"{script.stem}.png")
        (PRINTED / figure.name).write_bytes(figure.read_bytes())
    (PRINTED / f"{script.stem}.txt").write_text(ended.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
