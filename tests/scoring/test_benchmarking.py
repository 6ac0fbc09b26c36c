"""Score sets, benchmark and tables on activations made by hand; nothing here loads a model."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

from ood_core import make_detector, metrics, scoring
from ood_core.activations import PENULTIMATE
from ood_core.detectors import canonical_name
from ood_core.errors import ConfigError, OODLensError, StoppedError
from ood_core.export.csv_file import csv_text
from ood_core.scoring import tables
from ood_core.scoring.params import grid_from


def test_score_equals_fitting_and_scoring_by_hand(acts_set):
    s = scoring.score(acts_set, "line", {"p_a": 50})
    by_hand = make_detector("line", p_a=50).fit(acts_set["fit"], acts_set.head)
    np.testing.assert_allclose(s.id_scores, by_hand.score_samples(acts_set["test"]), rtol=1e-12)
    np.testing.assert_allclose(s.ood["far"], by_hand.score_samples(acts_set["far"]), rtol=1e-12)
    assert (s.detector, s.layer, s.fit_set, s.id_name) == ("line", PENULTIMATE, "fit", "test")
    assert s.params["p_a"] == 50
    assert list(s.ood) == ["near", "far"]
    assert s.seconds > 0
    assert not s.id_scores.flags.writeable


def test_replaced_scores_have_figures_of_their_own(acts_set):
    s = scoring.score(acts_set, "nan")
    s.evaluate("near"), s.halves(), s.sample()
    swapped = dataclasses.replace(s, ood={"near": s.ood["far"], "far": s.ood["near"]})
    assert swapped.evaluate("near") == metrics.evaluate(s.id_scores, s.ood["far"])
    assert swapped.halves().evaluation.ood["near"].values.size == 25
    assert swapped.summary("near") is not s.summary("near")
    lower = dataclasses.replace(s, id_scores=s.id_scores - 100)
    assert lower.summary().values[0] == s.summary().values[0] - 100
    assert lower.evaluate("near").auroc == 0.0


def test_scores_on_some_sets_share_what_is_known(acts_set, monkeypatch):
    s = scoring.score(acts_set, "nan")
    known = s.evaluate("far")
    few = s.on(["far"])
    assert list(few.ood) == list(few.sample().ood) == list(few.halves().evaluation.ood) == ["far"]
    assert few.evaluate("far") is known
    assert s.on(["far", "near"]).evaluate("near") is s.evaluate("near")
    assert list(s.halves().evaluation.ood) == ["near", "far"]
    s.summary("near")
    for ask in (few.evaluate, few.summary, lambda name: few.on([name])):
        with pytest.raises(ConfigError, match=r"unknown OOD set 'near'\. Available: far"):
            ask("near")


def test_streaming_in_equal_pieces_gives_the_same_scores(acts_set, monkeypatch):
    whole = scoring.score(acts_set, "energy")
    seen = []
    fitted = scoring.fit(acts_set, "energy")
    original = fitted.score_samples
    monkeypatch.setattr(fitted, "score_samples", lambda a: (seen.append(len(a)), original(a))[1])
    monkeypatch.setattr("ood_core.scoring.score_set.CHUNK", 16)
    np.testing.assert_array_equal(scoring.score_rows(fitted, acts_set["test"]), whole.id_scores)
    monkeypatch.setattr("ood_core.scoring.score_set.HELD_BYTES", 0)
    np.testing.assert_array_equal(scoring.score_rows(fitted, acts_set["test"]), whole.id_scores)
    assert seen == [90] + [15] * 6


def test_layer_is_used_by_layerwise_detectors_only(acts_set):
    early = scoring.score(acts_set, "nan", layer="early")
    assert early.layer == "early"
    assert not np.array_equal(early.id_scores, scoring.score(acts_set, "nan").id_scores)
    assert "layer" not in early.params
    assert scoring.score(acts_set, "energy", layer="early").layer == PENULTIMATE
    with pytest.raises(ConfigError, match=r"unknown layer 'erly'\. Did you mean 'early'"):
        scoring.score(acts_set, "nan", layer="erly")


def test_overrides_of_the_experiment_come_before_those_of_the_caller(acts_set):
    acts_set.experiment.detectors = {"line": {"p_a": 10, "clip": 0.5}}
    s = scoring.score(acts_set, "line", {"p_a": 20})
    assert (s.params["p_a"], s.params["clip"]) == (20, 0.5)


def test_keys_tell_content_apart(acts_set):
    keys = {
        scoring.score(acts_set, "nan").key,
        scoring.score(acts_set, "nan", layer="early").key,
        scoring.score(acts_set, "line").key,
        scoring.score(acts_set, "line", {"p_a": 11}).key,
        scoring.score(acts_set, "line", ood_sets=["far"]).key,
    }
    assert len(keys) == 5
    assert scoring.score(acts_set, "nan").key in keys


def test_summaries_and_evaluations_are_computed_once(acts_set):
    s = scoring.score(acts_set, "nan")
    assert s.summary("far") is s.summary("far")
    assert s.evaluate("far") is s.evaluate("far")
    assert s.evaluate("far") == metrics.evaluate(s.id_scores, s.ood["far"])
    assert s.sample().ood["near"] is s.summary("near")
    assert s.halves().calibration.id is s.halves().calibration.id
    with pytest.raises(ConfigError, match=r"unknown OOD set 'fra'\. Did you mean 'far'"):
        s.summary("fra")


def test_unknown_names_are_errors(acts_set):
    with pytest.raises(ConfigError, match="unknown OOD set 'x'"):
        scoring.score(acts_set, "nan", ood_sets=["x"])
    with pytest.raises(OODLensError, match=r"unknown detector 'nam'\. Did you mean 'nan'"):
        scoring.score(acts_set, "nam")


def test_benchmark_runs_all_and_prints_the_same_numbers_twice(acts_set):
    first, second = (scoring.benchmark(acts_set, ["nan", "energy", "line"]) for _ in range(2))
    assert first.table().to_csv() == second.table().to_csv()
    board, again = first.leaderboard(), second.leaderboard()
    assert tables.markdown(board.drop(columns="seconds")) == tables.markdown(
        again.drop(columns="seconds")
    )
    assert board["mean auroc"].is_monotonic_decreasing


def test_results_csv_has_the_columns_of_the_design(acts_set):
    text = scoring.benchmark(acts_set, ["nan", "line"]).table().to_csv(index=False)
    header, *rows = list(csv.reader(io.StringIO(text)))
    assert ",".join(header) == (
        "detector,params,layer,id_set,ood_set,auroc,auroc_low,auroc_high,fpr95,fpr95_low,"
        "fpr95_high,aupr_in,aupr_out,n_id,n_ood"
    )
    assert len(rows) == 4
    row = dict(zip(header, rows[2], strict=True))
    assert row["params"].startswith("p_w=90")
    assert (row["id_set"], row["ood_set"], row["n_id"], row["n_ood"]) == (
        "test",
        "near",
        "90",
        "70",
    )
    assert 0 <= float(row["auroc_low"]) <= float(row["auroc"]) <= float(row["auroc_high"]) <= 1


def test_layer_all_runs_each_layer_of_layerwise_detectors(acts_set):
    table = scoring.benchmark(acts_set, ["nan", "energy"], layer="all", ood_sets=["far"]).table()
    assert list(zip(table["detector"], table["layer"], strict=True)) == [
        ("negative_aware_norm", "early"), ("negative_aware_norm", PENULTIMATE),
        ("energy", PENULTIMATE),
    ]  # fmt: skip


def test_without_names_what_cannot_run_is_left_out_with_the_reason(acts_set):
    acts_set.head = None
    done = scoring.benchmark(acts_set)
    assert "negative_aware_norm" in {s.detector for s in done.score_sets}
    reasons = {s.detector: s.reason for s in done.skipped}
    assert "head" in reasons["line"]
    assert done.failed == ()
    assert "line" not in set(done.table()["detector"])
    assert "error" not in done.table()


def test_what_was_named_and_cannot_run_has_a_row_with_the_reason(acts_set):
    acts_set.head = None
    done = scoring.benchmark(acts_set, ["line", "nan"])
    assert [s.detector for s in done.score_sets] == ["negative_aware_norm"]
    (failed,) = done.failed
    assert "'line' cannot run: it needs the classifier's head" in failed.reason
    table = done.table()
    assert list(table.columns) == [*tables.COLUMNS, "error"]
    alone = scoring.benchmark(acts_set, ["nan"])
    pd.testing.assert_frame_equal(table.iloc[:2, :-1], alone.table())
    assert list(table["error"][:2]) == ["", ""]
    row = table.iloc[2]
    assert (row["detector"], row["ood_set"], row["error"]) == ("line", "near", failed.reason)
    assert (row["id_set"], row["n_id"], row["n_ood"]) == ("test", 90, 70)
    assert row["params"].startswith("p_w=90")
    assert np.isnan(row["auroc"])
    text = csv_text(table)
    assert ",90,70," in text
    read = pd.read_csv(io.StringIO(text))
    assert read["auroc"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("knn", {"k": 500}, "'k' must be at most the number of fit images"),
        ("nan+knn", {"k": 500}, "'k' must be at most the number of fit images"),
        ("vim", {"dim": 8}, "'dim' must be below the number of features"),
        ("residual", {"dim": 9}, "'dim' must be below the number of features"),
    ],
)
def test_a_parameter_that_does_not_fit_the_data_costs_its_own_row_only(
    acts_set, name, params, said
):
    """Named or not, given by the caller or by the experiment."""
    by_caller = scoring.benchmark(acts_set, [name, "energy"], params={name: params})
    acts_set.experiment.detectors = {name: params}
    by_experiment = scoring.benchmark(acts_set)
    for done in (by_caller, by_experiment):
        assert [canonical_name(name)] == [s.detector for s in done.failed]
        assert said in done.failed[0].reason
        assert params.items() <= done.failed[0].params.items()
        assert "energy" in {s.detector for s in done.score_sets}
        board = done.leaderboard()
        assert board.iloc[-1]["detector"] == canonical_name(name)
        assert board.iloc[-1]["error"] == done.failed[0].reason
        assert board["mean auroc"].isna().sum() == 1


def test_a_grid_is_a_row_for_each_combination(acts_set):
    grid = {"nan+knn": {"k": [1, 500, 9], "squared": [True, False]}}
    done = scoring.benchmark(acts_set, ["knn+nan", "energy"], grid=grid)
    ks = [(s.params["k"], s.params["squared"]) for s in done.score_sets[:-1]]
    assert ks == [(1, True), (1, False), (9, True), (9, False)]
    assert [s.params["k"] for s in done.failed] == [500, 500]
    single = scoring.score(acts_set, "nan+knn", {"k": 9, "squared": True})
    assert done.score_sets[2].evaluate("far") == single.evaluate("far")
    lines = tables.markdown(done.leaderboard()).splitlines()
    assert len(lines) == 2 + 7
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].count(" - ") == 6
    assert "'k' must be at most" in lines[-1]
    tex = tables.latex(done.leaderboard()).splitlines()
    assert {line.count(" & ") for line in tex if line.endswith(r" \\")} == {8}


def test_a_layer_may_be_a_parameter(acts_set):
    done = scoring.benchmark(acts_set, ["nan"], grid={"nan": {"layer": ["early", None]}})
    assert [s.layer for s in done.score_sets] == ["early", PENULTIMATE]
    early = scoring.score(acts_set, "nan", layer="early")
    assert done.score_sets[0].evaluate("near") == early.evaluate("near")
    with pytest.raises(ConfigError, match="layer of 'negative_aware_norm' is given twice"):
        scoring.benchmark(acts_set, ["nan"], layer="all", params={"nan": {"layer": "early"}})


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"knn": {"k": [1, 0]}}, "parameter 'k' must be a whole number"),
        ({"knn": {"q": [1]}}, "has no parameter 'q'"),
        ({"knn": {"k": []}}, "no values for 'k'"),
        ({"nan": {"pool": ["gap"]}}, "the grid is for 'negative_aware_norm', which is none of"),
    ],
)
def test_a_wrong_grid_is_told_before_anything_runs(acts_set, grid, said):
    steps = []
    with pytest.raises(ConfigError, match=said):
        scoring.benchmark(acts_set, ["knn"], grid=grid, progress=steps.append)
    with pytest.raises(ConfigError, match="'k' has a value and is in the grid"):
        scoring.benchmark(acts_set, ["knn"], params={"knn": {"k": 3}}, grid={"knn": {"k": [1]}})
    assert not steps


@pytest.mark.parametrize(
    ("text", "grid"),
    [
        ("k=10,50;squared=True,False", {"k": [10, 50], "squared": [True, False]}),
        ("k=1, 1 ,1.0,True", {"k": [1, 1.0, True]}),
        ("layer=early,None", {"layer": ["early", None]}),
        (";k=1;", {"k": [1]}),
    ],
)
def test_a_grid_reads(text, grid):
    assert {k: [(type(v), v) for v in vs] for k, vs in grid_from(text).items()} == {
        k: [(type(v), v) for v in vs] for k, vs in grid.items()
    }


@pytest.mark.parametrize("text", ["", ";", "k", "k=", "k=1,,2", "k=1,", "=1", "k=1;k=2", "a b=1"])
def test_what_is_no_grid_is_told(text):
    with pytest.raises(ConfigError, match=r"grid (must read name=value,value|gives 'k' twice)"):
        grid_from(text)


def test_words_of_a_table_cannot_break_it(acts_set):
    names = "a|b\nc", "50 % & $x$ {y} #1 ~^_"
    acts_set[names[0]], acts_set[names[1]] = acts_set.pop("near"), acts_set.pop("far")
    acts_set.experiment.ood_sets = names
    board = scoring.benchmark(acts_set, ["nan", "energy"]).leaderboard()
    lines = tables.markdown(board).splitlines()
    assert len(lines) == 4
    assert r"a\|b c" in lines[0]
    assert {line.replace(r"\|", "").count("|") for line in lines} == {6}
    tex = tables.latex(board)
    assert r"50 \% \& \$x\$ \{y\} \#1 \textasciitilde{}\textasciicircum{}\_" in tex
    assert len(tex.splitlines()) == 2 + 1 + 1 + 2 + 2


def test_every_name_is_checked_before_anything_runs(acts_set):
    steps = []
    with pytest.raises(OODLensError, match="unknown detector 'nope'"):
        scoring.benchmark(acts_set, ["nan", "nope"], progress=steps.append)
    with pytest.raises(ConfigError, match="unknown layer 'x'"):
        scoring.benchmark(acts_set, ["energy"], layer="x", progress=steps.append)
    with pytest.raises(ConfigError, match="no detector to run"):
        scoring.benchmark(acts_set, [])
    assert not steps


def test_either_name_is_the_same_detector_and_runs_once(acts_set):
    names = ["nan", "negative_aware_norm", "knn+nan", "nan+knn", "nan"]
    params = {"nan": {"pool": "flat"}, "nan+knn": {"k": 3}}
    acts_set.experiment.detectors = {"knn+nan": {"k": 9, "squared": True}}
    first, second = scoring.benchmark(acts_set, names, params=params).score_sets
    assert (first.detector, second.detector) == ("negative_aware_norm", "negative_aware_norm+knn")
    assert first.params == {"pool": "flat"}
    assert (second.params["k"], second.params["squared"]) == (3, True)
    assert first.key == scoring.score(acts_set, "negative_aware_norm", {"pool": "flat"}).key
    with pytest.raises(ConfigError, match="'nan' and 'negative_aware_norm' are both given"):
        scoring.benchmark(acts_set, ["nan"], params={"nan": {}, "negative_aware_norm": {}})


def test_an_experiment_that_names_a_detector_twice_is_told(acts_set):
    acts_set.experiment.detectors = {"nan": {"pool": "gap"}, "negative_aware_norm": {}}
    with pytest.raises(
        ConfigError, match=r"experiment 'fake', \[detectors\]: 'nan' and 'negative_aware_norm' are"
    ):
        scoring.score(acts_set, "nan")


def test_progress_and_stop(acts_set):
    steps = []
    scoring.benchmark(acts_set, ["nan", "energy"], progress=steps.append)
    assert (steps[-1].done, steps[-1].total) == (2, 2)
    assert "negative_aware_norm" in {step.stage for step in steps}
    with pytest.raises(StoppedError):
        scoring.benchmark(acts_set, ["nan", "energy"], should_stop=lambda: True)


def test_leaderboard_means_are_unweighted(acts_set):
    board = scoring.benchmark(acts_set, ["nan"]).leaderboard()
    row = board.iloc[0]
    assert row["near-OOD auroc"] == row["near auroc"]
    assert row["far-OOD fpr95"] == row["far fpr95"]
    assert row["mean auroc"] == pytest.approx((row["near auroc"] + row["far auroc"]) / 2)
    acts_set.experiment.near = ()
    board = scoring.benchmark(acts_set, ["nan"]).leaderboard()
    assert "mean fpr95" in board
    assert "far-OOD fpr95" not in board


def test_markdown_and_latex_mark_the_best(acts_set):
    board = scoring.benchmark(acts_set, ["nan", "line", "energy"]).leaderboard()
    board = pd.concat([board, board[board["detector"] == "line"].assign(params="p_w=10")])
    lines = tables.markdown(board).splitlines()
    assert len(lines) == 6
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert len({len(line) for line in lines}) == 1
    header = "| detector | params | near | far | near-OOD | far-OOD | mean | seconds |"
    assert lines[0].split() == header.split()
    best = f"**{100 * board['mean auroc'].max():.2f}** / "
    assert best in "".join(lines)
    tex = tables.latex(board)
    assert tex.startswith(r"\begin{tabular}{llrrrrrr}")
    assert r"p\_w=90" in tex
    assert best.replace("**", r"\textbf{", 1).replace("**", "}") in tex
    alone = tables.markdown(
        board[board["detector"] == "negative_aware_norm"].drop(columns="seconds")
    )
    assert alone.split()[:6] == ["|", "detector", "|", "near", "|", "far"]
