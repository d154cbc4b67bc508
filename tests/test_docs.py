import re
import subprocess
import sys
from pathlib import Path

import pytest

from slimdown import seams
from slimdown.capture import FORMATS
from slimdown.cli.app import app
from slimdown.settings import GatewaySettings, Settings, UpstreamSettings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("verb", [command.name for command in app.registered_commands])
def test_the_readme_names_each_verb(verb: str) -> None:
    assert re.search(rf"slimdown [^`]*\b{verb}\b", README)


@pytest.mark.parametrize("setting", Settings.__struct_fields__)
def test_the_readme_names_each_setting(setting: str) -> None:
    assert re.search(rf"^\[?{setting}\b", README, re.MULTILINE)


@pytest.mark.parametrize(
    "setting", [*GatewaySettings.__struct_fields__, *UpstreamSettings.__struct_fields__]
)
def test_the_gateways_page_names_each_of_its_settings(setting: str) -> None:
    page = (ROOT / "docs/gateway.md").read_text("utf-8")

    assert re.search(rf"^{setting} = ", page, re.MULTILINE)


def test_the_annotated_tree_names_each_room() -> None:
    tree = next(block for block in README.split("```") if "types.py" in block)
    rooms = [p.name for p in (ROOT / "src/slimdown").iterdir() if (p / "__init__.py").exists()]

    assert [room for room in rooms if f"{room}/" not in tree] == []


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "auto"])
def test_each_log_format_is_documented(name: str) -> None:
    assert name in (ROOT / "docs/formats.md").read_text("utf-8")


def test_each_seam_says_what_it_is_for() -> None:
    seam_types = [getattr(seams, name) for name in ("Embedder", "Specialist", "Rung")]

    assert all(seam.__doc__ and len(seam.__doc__) > 20 for seam in seam_types)


def test_the_readmes_tables_are_those_of_the_benchmarks() -> None:
    script = ROOT / "scripts" / "readme_tables.py"

    done = subprocess.run([sys.executable, str(script), "--check"], cwd=ROOT, check=False)

    assert done.returncode == 0
