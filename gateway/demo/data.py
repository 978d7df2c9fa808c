"""The demo's data files, found in a checkout and in an installed wheel alike.

Invariant: one name means one file, with the same bytes in both places. In a checkout the files live in
`deploy/demo/`; the wheel carries them as `gateway/demo/data/` (an installed wheel is always unpacked, so
a path is enough). The packaged copy wins, so that an installed gateway never reads a stranger's `deploy/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

DemoFile = Literal["german-credit.csv", "german-credit.toml", "ATTRIBUTION.md"]

_PACKAGED: Final = Path(__file__).resolve().parent / "data"
_CHECKOUT: Final = Path(__file__).resolve().parents[2] / "deploy" / "demo"


def demo_path(name: DemoFile, packaged: Path = _PACKAGED, checkout: Path = _CHECKOUT) -> Path:
    """The path of one demo file.

    Raises FileNotFoundError when neither place holds it: the installation is then incomplete.
    """
    for place in (packaged, checkout):
        if (place / name).is_file():
            return place / name
    raise FileNotFoundError(
        f"the demo file {name} is neither in the package nor in deploy/demo: install again"
    )


def demo_text(name: DemoFile) -> str:
    """The content of one demo file, as UTF-8 text with its line ends as they are."""
    return demo_path(name).read_bytes().decode("utf-8")
