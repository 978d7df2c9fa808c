"""The demo's files are found in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.data import DemoFile, demo_path, demo_text


@pytest.mark.parametrize("name", ["german-credit.csv", "german-credit.toml", "ATTRIBUTION.md"])
def test_every_file_is_found(name: DemoFile) -> None:
    assert demo_path(name).read_bytes().decode("utf-8") == demo_text(name) != ""


def test_packaged_copy_wins_over_a_checkout(tmp_path: Path) -> None:
    packaged, checkout = tmp_path / "data", tmp_path / "deploy"
    for place in (packaged, checkout):
        place.mkdir()
        (place / "german-credit.csv").write_text(place.name)
    assert demo_path("german-credit.csv", packaged, checkout) == packaged / "german-credit.csv"
    (packaged / "german-credit.csv").unlink()
    assert demo_path("german-credit.csv", packaged, checkout) == checkout / "german-credit.csv"


def test_incomplete_installation_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="install again"):
        demo_path("german-credit.csv", tmp_path, tmp_path)
