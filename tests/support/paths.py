"""Where things are in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCRIPTS = ROOT / "scripts"
MISTAKES = ROOT / "tests" / "mistakes"
FORGE_SAMPLES = ROOT / "tests" / "contract" / "forges"
