"""The recipe of the conda package asks for what the package does."""

import re
import tomllib

import yaml

from tests.support.readme import ROOT

RECIPE = yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def test_the_recipe_has_the_version_and_the_dependencies_of_the_package() -> None:
    version = re.search(r"project\(lee VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert version is not None
    assert RECIPE["package"] == {"name": PROJECT["name"], "version": version[1]}
    wanted = set()
    for dependency in PROJECT["dependencies"]:
        name, least = dependency.lower().split(">=")
        wanted.add(f"{CONDA_NAMES.get(name, name)} >={least}")
    assert set(RECIPE["requirements"]["run"]) == {f"python {PROJECT['requires-python']}", *wanted}


def test_the_workflow_makes_the_wheels_that_are_configured() -> None:
    text = (ROOT / ".github/workflows/wheels.yml").read_text()
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    archs = {arch for system in ("linux", "macos", "windows") for arch in configured[system]["archs"]}
    made = yaml.safe_load(text)["jobs"]["wheels"]["strategy"]["matrix"]["include"]
    assert {job["archs"] for job in made} == archs
