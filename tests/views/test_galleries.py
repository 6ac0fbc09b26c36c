import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.errors import ConfigError
from ood_core.metrics.counts import summarize
from ood_core.models import ClassifierHead
from ood_core.views.galleries import KINDS, NEAREST, Ranking, describe, described

ID = np.array([5.0, 1.0, 3.0, 4.0])
OOD = {"far": np.array([0.0, 4.0]), "near": np.array([3.5, 2.0, 6.0])}


@pytest.fixture
def ranking() -> Ranking:
    return Ranking.of("test", ID, OOD)


def slow(kind: str, t: float, between: tuple[float, float] | None) -> list[tuple[str, int]]:
    every = [("test", i, s) for i, s in enumerate(ID)]
    every += [(name, i, s) for name, scores in OOD.items() for i, s in enumerate(scores)]
    if between:
        every = [e for e in every if between[0] <= e[2] <= between[1]]
    ascending = sorted(every, key=lambda e: e[2])
    chosen = {
        "false_accepts": [e for e in ascending[::-1] if e[0] != "test" and e[2] >= t],
        "false_rejects": [e for e in ascending if e[0] == "test" and e[2] < t],
        "borderline": sorted(ascending, key=lambda e: abs(e[2] - t)),
        "most_id": ascending[::-1],
        "most_ood": ascending,
    }[kind]
    return sorted((name, i) for name, i, _ in chosen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [-1.0, 2.5, 4.0, 6.0, np.inf, -np.inf])
@pytest.mark.parametrize("between", [None, (2.0, 4.0), (10.0, 20.0)])
def test_galleries_hold_the_images_that_a_slow_search_finds(ranking, kind, threshold, between):
    rows = ranking.pick(kind, threshold, between)
    assert sorted(zip(rows["set"], rows["index"], strict=True)) == slow(kind, threshold, between)
    assert ranking.count(kind, threshold, between) == len(rows)


def test_order_of_each_gallery(ranking):
    assert list(ranking.pick("false_accepts", 2.5)["score"]) == [6.0, 4.0, 3.5]
    assert list(ranking.pick("false_rejects", 3.5)["score"]) == [1.0, 3.0]
    assert list(ranking.pick("most_id", 0)["score"])[:2] == [6.0, 5.0]
    assert list(ranking.pick("most_ood", 0)["score"])[:2] == [0.0, 1.0]
    assert ranking.pick("borderline", 3.4)["score"].iloc[0] == 3.5


def test_borderline_is_bounded():
    rng = np.random.default_rng(0)
    rows = Ranking.of("test", rng.normal(size=4000), {"o": rng.normal(size=4000)}).pick(
        "borderline", 0.1
    )
    assert len(rows) == NEAREST
    assert (np.diff(np.abs(rows["score"] - 0.1)) >= 0).all()


def test_unknown_gallery_names_what_there_is(ranking):
    with pytest.raises(ConfigError, match=r"unknown gallery 'most_idd'\. Did you mean 'most_id'"):
        ranking.pick("most_idd", 0.0)


def test_describe_adds_captions(ranking):
    head = ClassifierHead(np.eye(2), class_names=("cat", "dog"))
    acts = {
        "test": Activations.from_arrays(np.eye(2)[[0, 1, 0, 1]], labels=[0, 1, 1, 1], name="test"),
        "far": Activations.from_arrays(np.eye(2), labels=[-1, -1], name="far"),
        "near": Activations.from_arrays(np.eye(2)[[1, 1, 1]], name="near"),
    }
    rows = describe(ranking.pick("most_id", 0.0), acts, head, summarize(ID))
    first = rows[0]
    assert (first["set"], first["id"], first["prediction"], first["label"]) == (
        "near", "near/2", "dog", "",
    )  # fmt: skip
    assert (first["score"], first["percentile"]) == (6.0, 100.0)
    wrong = next(row for row in rows if row["id"] == "test/2")
    assert (wrong["prediction"], wrong["label"], wrong["percentile"]) == ("cat", "dog", 50.0)
    table = described(ranking.pick("most_id", 0.0), acts, head, summarize(ID))
    assert table.to_dict("records") == rows
    none = described(ranking.pick("most_id", 0.0).head(0), acts, head, summarize(ID))
    assert list(none.columns) == list(rows[0])
