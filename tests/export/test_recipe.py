from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ood_core import scoring
from ood_core.errors import ConfigError
from ood_core.export.recipe import Recipe, is_recipe, load_recipe, of_view, score_command


def test_round_trip(acts_set, tmp_path: Path) -> None:
    scores = scoring.score(acts_set, "knn", {"k": 3})
    recipe = of_view(scores, 'a "quoted" \\ name', "fpr=0.05")
    file = tmp_path / "view.toml"
    file.write_text(recipe.to_toml(), encoding="utf-8")
    assert is_recipe(file)
    assert load_recipe(file) == recipe == load_recipe(recipe.to_toml())
    assert recipe.params["k"] == 3
    assert recipe.results["near"] == (scores.evaluate("near").auroc, scores.evaluate("near").fpr95)


OLD = r"""# A view of OOD Lens. Run it: python -m ood_core benchmark THIS_FILE
recipe = 1
experiment = "a \"quoted\" \\ name"
detector = "line"
layer = "early"
ood_sets = ["near", "odd name"]
at = "fpr=0.05"

[params]
p_a = 90
clip = 0.3333333333333333
on = true
w = "text"

# What the view showed; `benchmark` says when it finds other numbers.
[results]
"near" = { auroc = 0.30000000000000004, fpr95 = 0.3333333333333333 }
"odd name" = { auroc = 1.0, fpr95 = 0.0 }
"""
"""As version 0.1 wrote it first, by hand."""


def test_older_recipes_load_and_any_recipe_reads_back_equal(tmp_path: Path) -> None:
    recipe = Recipe(
        'a "quoted" \\ name', "line", {"p_a": 90, "clip": 1 / 3, "on": True, "w": "text"}, "early",
        ("near", "odd name"), "fpr=0.05", {"near": (0.1 + 0.2, 1 / 3), "odd name": (1.0, 0.0)},
    )  # fmt: skip
    assert load_recipe(OLD) == recipe == load_recipe(recipe.to_toml())
    awkward = Recipe('two\nlines \x7f \t"', "nan", {"layer": None}, ood_sets=("[a]\r\n.b",))
    assert load_recipe(awkward.to_toml()) == replace(awkward, params={})
    with pytest.raises(ConfigError, match="half of a surrogate pair"):
        Recipe("photo\udcff", "nan").to_toml()


def test_score_command_names_what_differs_and_quotes(acts_set) -> None:
    experiment = acts_set.experiment
    plain = scoring.score(acts_set, "nan")
    begin = "python -m ood_core score"
    assert score_command(plain, experiment, "tpr=0.95") == (
        f"{begin} fake --detector negative_aware_norm --at tpr=0.95"
    )
    experiment.name, experiment.detectors = "my net", {"feature_norm": {"p": 2}}
    early = scoring.score(acts_set, "feature_norm", {"p": 4}, "early")
    assert score_command(early, experiment, "tpr=0.9") == (
        f"{begin} 'my net' --detector feature_norm --at tpr=0.9 --layer early --params p=4"
    )
    own = scoring.score(acts_set, "feature_norm", layer="early")
    assert score_command(own, experiment, "tpr=0.9").endswith("--layer early")
    experiment.detectors = {"feature_norm": {"layer": "early"}}
    deep = scoring.score(acts_set, "feature_norm", layer="penultimate")
    assert score_command(deep, experiment, "tpr=0.9").endswith("--layer penultimate")
    line = scoring.score(acts_set, "line", {"p_a": 10.0, "clip": 0.5})
    assert "--params 'p_a=10.0;clip=0.5'" in score_command(line, experiment, "tpr=0.9")


def test_a_recipe_with_an_alias_is_read_and_written_with_the_name() -> None:
    old = load_recipe("recipe = 1\nexperiment = 'a'\ndetector = 'knn+nan'\n")
    assert old.detector == "negative_aware_norm+knn"
    assert 'detector = "negative_aware_norm"\n' in Recipe("a", "nan").to_toml()


def test_the_same_scores_have_no_differences_and_others_have(acts_set) -> None:
    scores = scoring.score(acts_set, "nan")
    recipe = of_view(scores, "fake")
    assert recipe.differences(scores) == []
    other = scoring.score(acts_set, "sparsity")
    assert "near: AUROC was" in " ".join(recipe.differences(other))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe = 1\nexperiment = 3\n", "experiment must be text, got 3"),
        ("recipe = 1\nexperiment = 'digits'\n", "detector must be text, got None"),
        ("recipe = 2\nexperiment = 'digits'\n", "recipe = 2 cannot be read"),
        ("recipe = 1\ndetecter = 'nan'\n", r"unknown key 'detecter'\. Did you mean 'detector'"),
        ("recipe = \n", "is not a TOML file"),
        (
            "recipe = 1\nexperiment = 'a'\ndetector = 'nan'\nood_sets = 'x'\n",
            "ood_sets must be a list of names, got 'x'",
        ),
        (
            "recipe = 1\nexperiment = 'a'\ndetector = 'nan'\n[results]\nx = 3\n",
            r"results\.x must hold auroc and fpr95, got 3",
        ),
        (
            "recipe = 1\nexperiment = 'a'\ndetector = 'nan'\nparams = 1\n",
            "params must be a table, got 1",
        ),
    ],
)
def test_bad_recipes_are_told(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(text)


def test_missing_file_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_recipe(tmp_path / "no.toml")
    other = tmp_path / "experiment.toml"
    other.write_text('name = "x"\n')
    assert not is_recipe(other)
    assert not is_recipe("digits")
    assert Recipe("a", "nan").to_toml().startswith("# A view of OOD Lens")
