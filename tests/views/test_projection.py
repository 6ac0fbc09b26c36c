from __future__ import annotations

import numpy as np
import pytest

from ood_core.errors import ConfigError, DataError
from ood_core.views.projection import gather, pca, project, subsample


@pytest.fixture
def features() -> dict[str, np.ndarray]:
    r = np.random.default_rng(0)
    return {
        "test": r.normal(size=(60, 7)) * np.array([5, 3, 1, 1, 0.5, 0.1, 0]),
        "ood": r.normal(size=(40, 7)) + 2,
    }


def test_pca_equals_scikit_learn_up_to_sign(features: dict[str, np.ndarray]) -> None:
    from sklearn.decomposition import PCA

    (own, other), explained = pca(features["test"], [features["ood"]])
    peer = PCA(2).fit(features["test"])
    np.testing.assert_allclose(np.abs(own), np.abs(peer.transform(features["test"])), atol=1e-9)
    np.testing.assert_allclose(np.abs(other), np.abs(peer.transform(features["ood"])), atol=1e-9)
    assert explained == pytest.approx(peer.explained_variance_ratio_.sum(), abs=1e-12)


def test_pca_signs_do_not_depend_on_the_solver(features: dict[str, np.ndarray]) -> None:
    (a,), _ = pca(features["test"])
    (b,), _ = pca(features["test"][::-1])
    np.testing.assert_allclose(a, b[::-1], atol=1e-9)


def test_project_keeps_every_row_for_pca(features: dict[str, np.ndarray]) -> None:
    frame = project(features)
    assert list(frame.columns) == ["set", "index", "x", "y"]
    assert frame.groupby("set").size().to_dict() == {"test": 60, "ood": 40}
    assert 0.8 < frame.attrs["explained"] <= 1


def test_tsne_is_bounded_and_repeatable(features: dict[str, np.ndarray]) -> None:
    a = project(features, "tsne", limit=50)
    b = project(features, "tsne", limit=50)
    assert 50 <= len(a) <= 52
    np.testing.assert_array_equal(a[["x", "y"]], b[["x", "y"]])


def test_unknown_method_names_the_ones_there_are(features: dict[str, np.ndarray]) -> None:
    with pytest.raises(ConfigError, match=r"unknown map method 'pcs'. Did you mean 'pca'"):
        project(features, "pcs")


def test_umap_without_the_package_says_what_to_install(
    features: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(ConfigError, match="pip install umap-learn"):
        project(features, "umap")


def test_too_few_rows_is_an_error() -> None:
    with pytest.raises(DataError, match="at least 3 images and 2 features, got 2 x 4"):
        pca(np.zeros((2, 4)))


@pytest.mark.parametrize(("n", "most"), [(10, 20), (10, 10), (1000, 7), (5, 1)])
def test_subsample_is_even_sorted_and_bounded(n: int, most: int) -> None:
    rows = subsample(n, most)
    assert len(rows) == len(set(rows.tolist())) == min(n, most)
    assert (np.diff(rows) > 0).all()
    assert rows.min() >= 0
    assert rows.max() < n


def test_gather_follows_set_and_index(features: dict[str, np.ndarray]) -> None:
    frame = project(features).sample(frac=1, random_state=0)
    values = {"test": np.arange(60.0), "ood": 1000 + np.arange(40.0)}
    slow = [values[s][i] for s, i in zip(frame["set"], frame["index"], strict=True)]
    np.testing.assert_array_equal(gather(frame, values), slow)
