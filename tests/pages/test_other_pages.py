"""Detectors, Score images, Export, Map: prepared, with bad addresses, with bad images."""

from __future__ import annotations

import dataclasses
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.components.kit import address

ROOT = Path(__file__).parents[2]
PAGES = {
    "detectors": "pages/2_Detectors.py",
    "score": "pages/5_Score_images.py",
    "export": "pages/7_Export.py",
    "map": "pages/8_Map.py",
}
COMPARE = "pages/9_Compare.py"


@pytest.fixture
def open_page(digits_home, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))

    def opener(page: str, **address: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        for name, value in address.items():
            app.query_params[name] = value
        app.switch_page(PAGES[page])
        return app.run()

    return opener


def _ok(app: AppTest) -> AppTest:
    assert not app.exception, [e.value for e in app.exception]
    return app


def _words(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.warning, *app.info, *app.error, *app.success]
    return " ".join(str(p.value) for p in parts)


def test_leaderboard_lists_every_detector_that_runs(open_page) -> None:
    from ood_core.detectors import all_detectors

    app = _ok(open_page("detectors"))
    board = app.dataframe[0].value
    assert len(board) >= 25
    assert set(board["detector"]) <= {c.title for c in all_detectors().values()}
    assert len(app.dataframe) == 1, "the papers' tables are drawn when they are asked for"
    app.session_state["board_papers"] = True
    app = _ok(app.run())
    assert "No published table has this classifier" in _words(app)
    assert len(app.dataframe) > 4
    for metric in ("fpr95", "fpr95_ood_positive", "aupr_in", "detection_error"):
        app.selectbox(key="board_metric").set_value(metric)
        _ok(app.run())


def test_leaderboard_numbers_are_the_librarys(open_page) -> None:
    import ood_core
    from ood_core import scoring

    app = _ok(open_page("detectors"))
    board = app.dataframe[0].value.set_index("detector")
    acts = ood_core.prepared(ood_core.load_experiment("digits"))
    own = scoring.score(acts, "nan")
    row = board.loc[ood_core.all_detectors()["negative_aware_norm"].title]
    for name in own.ood:
        assert row[name] == pytest.approx(100 * own.evaluate(name).auroc, abs=1e-9)


def test_every_cell_of_the_leaderboard_has_its_own_interval_and_mark(open_page) -> None:
    import pyarrow

    import ood_core
    from ood_core import scoring
    from ood_core.scoring.leaderboard import leaderboard, of_metric, ties

    app = _ok(open_page("detectors", board_intervals="shown"))
    sent = app.dataframe[0].proto.arrow_data.styler.display_values
    shown = pyarrow.ipc.open_stream(sent).read_pandas().set_index("detector")
    acts = ood_core.prepared(ood_core.load_experiment("digits"))
    classes = ood_core.all_detectors()
    titles = {kind.title: name for name, kind in classes.items()}
    scores = [scoring.score(acts, titles[title]) for title in shown.index]
    board = leaderboard(scores, acts.experiment.near, ("auroc",), intervals=True)
    table = of_metric(board, "auroc")
    symbols = {"best": "● ", "tie": "○ ", "": ""}
    for name in acts.experiment.ood_sets:
        best = table[name].max()
        low = table.loc[table[name] == best, f"{name} (low)"].min()
        marks = ties(table, name, "auroc")
        assert set(marks[table[name] == best]) == {"best"}
        assert set(marks[table[name] < low]) <= {""}
        for detector, mark in zip(table["detector"], marks, strict=True):
            e = next(s for s in scores if s.detector == detector).evaluate(name)
            values = [100 * v for v in (e.auroc, e.auroc_low, e.auroc_high)]
            expected = symbols[mark] + "{:.2f} [{:.1f}, {:.1f}]".format(*values)
            assert shown.at[classes[detector].title, name] == expected


def test_two_detectors_side_by_side(open_page) -> None:
    app = _ok(open_page("detectors", tab="compare", compare_detector="knn"))
    counts = app.dataframe[0].value
    assert counts.drop(columns="set").to_numpy().sum() == 481 + 354 + 422 + 481 + 481 + 520 + 481
    assert "Rank correlation" in _words(app)


def test_sweep_warns_that_a_choice_is_tuned(open_page) -> None:
    app = _ok(open_page("detectors", tab="sweep", sweep_detector="knn"))
    assert "tuned on the OOD sets" in _words(app)


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ("detectors", {"tab": "nonsense", "board_metric": "auc"}),
        ("detectors", {"tab": "compare", "compare_tpr": "many"}),
        ("detectors", {"params": "knn:k=0", "detector": "knn"}),
        ("detectors", {"params": "knn:k", "detector": "knn"}),
        ("export", {"threshold_mode": "magic"}),
        ("map", {"map_method": "x", "map_colour": "y"}),
        ("score", {"detector": "nana"}),
    ],
)
def test_bad_addresses_give_a_note_and_a_default(open_page, page: str, address: dict) -> None:
    app = _ok(open_page(page, **address))
    assert any("address" in w.value for w in app.warning), _words(app)


def test_export_holds_recipe_and_report(open_page) -> None:
    app = _ok(open_page("export", detector="line"))
    recipe = next(c.value for c in app.code if "recipe = 1" in c.value)
    from ood_core.export.recipe import load_recipe

    found = load_recipe(recipe)
    assert found.detector == "line"
    assert found.experiment == "digits"
    assert len(found.results) == 6
    assert "Against each OOD set" in _words(app)


def test_export_says_what_cannot_be_exported(open_page) -> None:
    app = _ok(open_page("export", detector="nan+knn"))
    assert "This detector cannot be exported" in _words(app)


def test_export_says_which_networks_it_cannot_build_a_file_of(open_page, monkeypatch) -> None:
    from ood_core.export import program

    monkeypatch.setattr(program, "network_no_gradients", lambda _: "it is a file")
    app = _ok(open_page("export"))
    assert "is no torch module, so no torch program can be made of it" in _words(app)
    assert "build_export" not in [button.key for button in app.button]


def test_export_names_one_file_and_says_what_it_takes(open_page) -> None:
    import time

    app = _ok(open_page("export"))
    app.button(key="build_export").click()
    for _ in range(60):
        _ok(app.run())
        if app.success:
            break
        time.sleep(0.5)
    code = next(c.value for c in app.code if "torch.export.load" in c.value)
    assert '"digits-negative_aware_norm.pt2"' in code
    assert "float32 (n, 1, 16, 16) in [0, 1]" in code
    assert "1 x 16 x 16" in _words(app)
    labels = [b.proto.label for b in app.get("download_button")]
    assert "Download digits-negative_aware_norm.pt2" in labels


def test_compare_has_no_none_where_no_ood_set_is_shared(digits_home, monkeypatch) -> None:
    from ood_core import load_experiment
    from pages.components.kit import cache

    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    digits = load_experiment("digits")
    parts = [
        dataclasses.replace(digits, name=name, title=name, ood_sets=sets)
        for name, sets in (("digits", digits.ood_sets[:3]), ("others", digits.ood_sets[3:]))
    ]
    monkeypatch.setattr(cache, "experiments", lambda: parts)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.switch_page(COMPARE)
    _ok(app.run())
    table = app.dataframe[0]
    assert table.value["auroc_difference"].isna().all()
    assert table.proto.placeholder == "–"
    assert "A: digits, B: others" in _words(app)


EVERYWHERE = "-1e6,-1e6 1e6,-1e6 1e6,1e6 -1e6,1e6"


def test_compare_gives_each_experiment_its_own_parameters(digits_home, monkeypatch) -> None:
    from ood_core import load_experiment, prepared
    from ood_core.scoring import score
    from pages.components.kit import cache

    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    digits = load_experiment("digits")
    other = dataclasses.replace(
        digits, name="others", title="others", ood_sets=digits.ood_sets[:3],
        detectors={"line": {"p_a": 50.0}},
    )  # fmt: skip
    monkeypatch.setattr(cache, "experiments", lambda: [digits, other])
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params["line_p_a"] = "70.0"
    app.query_params["ood_sets"] = digits.ood_sets[0]
    app.switch_page(COMPARE)
    _ok(app.run())
    acts = prepared(digits)
    expected = [
        100 * score(acts, "line", {"p_a": p_a}).evaluate(digits.ood_sets[0]).auroc
        for p_a in (70.0, 50.0)
    ]
    for detector in ("negative_aware_norm", "line"):
        app.selectbox(key="detector").set_value(detector)
        table = _ok(app.run()).dataframe[0].value
        assert set(table["ood_set"]) == {digits.ood_sets[0]}, "the others were left out"
        row = table[table["detector"] == cache.short_title("line")].iloc[0]
        assert [row["auroc_a"], row["auroc_b"]] == pytest.approx(expected, abs=1e-9)
        assert "LINe: A with p_a = 70, B with p_a = 50." in _words(app)
        assert app.query_params["line_p_a"] == "70.0"


def test_map_draws_in_every_colour(open_page) -> None:
    for colour in ("set", "class", "score", "verdict"):
        app = _ok(open_page("map", map_colour=colour))
        assert "of the variance of the ID test images" in _words(app)


def test_other_maps_than_pca_have_their_gallery(open_page, monkeypatch) -> None:
    from ood_core.views import projection

    monkeypatch.setattr(projection, "_tsne", lambda x, seed: x[:, :2].astype(float))
    app = open_page("map", map_method="tsne", region=EVERYWHERE)
    for _ in range(100):
        if app.get("plotly_chart"):
            break
        time.sleep(0.1)
        app.run()
    words = _words(_ok(app))
    assert "images in the region" in words
    assert "an even share of each set" in words
    assert "variance" not in words
    layout = json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]
    assert layout["xaxis"]["title"]["text"] == "t-SNE 1"


def test_a_region_of_the_map_is_in_the_address(open_page) -> None:
    import ood_core

    acts = ood_core.prepared(ood_core.load_experiment("digits"))
    app = _ok(open_page("map"))
    assert "Draw round a group" in _words(app)
    app = _ok(open_page("map", region=EVERYWHERE))
    count = f"{sum(len(acts[n]) for n in acts if n != 'fit'):,} images in the region"
    for colour in ("verdict", "class", "set"):
        app.session_state["map_colour"] = colour
        assert count in _words(_ok(app.run()))
        assert "M-1e+06,-1e+06L" in app.get("plotly_chart")[0].proto.spec, "its edge is drawn"
        assert app.query_params["region"] == EVERYWHERE
    app.session_state["ood_sets"] = ["photos"]
    _ok(app.run())
    assert f"{len(acts['test']) + len(acts['photos']):,} images in the region" in _words(app)
    app.button(key="map_clear").click()
    _ok(app.run())
    assert "Draw round a group" in _words(app)
    assert "region" not in app.session_state["_choices"].url


def test_a_plain_address_shows_no_region_of_before(open_page, monkeypatch) -> None:
    app = _ok(open_page("map", region=EVERYWHERE))
    assert "images in the region" in _words(app)
    app.session_state["map_method"] = "tsne"
    _ok(app.run())
    monkeypatch.setattr(address, "walked", lambda: True)  # by Back
    app.query_params.clear()
    app.query_params["experiment"] = "digits"
    assert "Draw round a group" in _words(_ok(app.run()))


def test_a_page_that_a_gallery_does_not_have_is_told(open_page) -> None:
    app = _ok(open_page("map", region=EVERYWHERE, map_gallery_page="99999"))
    assert [w.value for w in app.warning if "map_gallery_page = 99999" in w.value]


def test_an_address_with_a_region_that_is_none_is_told(open_page) -> None:
    app = _ok(open_page("map", region="1,2 3"))
    (warning,) = app.warning
    assert "at least three corners x,y with spaces between them, got '1,2 3'" in warning.value
    assert "region" not in app.query_params


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_good_and_bad_uploads_together(open_page) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    app = _ok(open_page("score"))
    files = [
        ("digit.png", _png(noise), "image/png"),
        ("notes.png", b"this is text", "image/png"),
        ("empty.jpg", b"", "image/jpeg"),
        ("digit.png", _png(255 - noise), "image/png"),
        ("wide.png", _png(noise.astype(np.uint16)), "image/png"),
    ]
    app.file_uploader(key="upload").set_value(files)
    _ok(app.run())
    messages = [w.value for w in app.warning]
    assert any("notes.png" in m for m in messages), messages
    assert any("empty.jpg" in m for m in messages), messages
    table = app.dataframe[0].value
    assert list(table["image"]) == ["digit.png", "digit.png (2)", "wide.png"]
    assert any("wide.png: 16-bit values from" in i.value for i in app.info)
    assert "Receipt: digit.png" in " ".join(s.value for s in app.subheader)
    app.file_uploader(key="upload").set_value([])
    _ok(app.run())
    assert "Upload images" in _words(app), "files that were taken back are gone"


def test_examples_are_scored_as_the_library_scores_them(open_page) -> None:
    import ood_core
    from ood_core import scoring

    app = _ok(open_page("score", detector="energy"))
    app.button(key="take_examples").click()
    _ok(app.run())
    table = app.dataframe[0].value.set_index("image")
    acts = ood_core.prepared(ood_core.load_experiment("digits"))
    own = scoring.score(acts, "energy")
    assert table.loc["test-0", "score"] == pytest.approx(own.id_scores[0], rel=1e-5)
    assert table.loc["photos-0", "score"] == pytest.approx(own.ood["photos"][0], rel=1e-5)
    assert any("python -m ood_core score digits" in c.value for c in app.code)
    app.button(key="clear_uploads").click()
    _ok(app.run())
    assert "Upload images" in _words(app)


@pytest.mark.parametrize("detector", ["nan", "knn"])
def test_page_and_command_line_give_the_same_verdicts(
    open_page, tmp_path, capsys, detector: str
) -> None:
    import ood_core
    from ood_core.commands._main import main
    from ood_core.data import open_dataset

    sets = ood_core.load_experiment("digits").sets
    files = [tmp_path / f"{name}.png" for name in ("test", "photos", "noise")]
    for file in files:
        open_dataset(sets[file.stem]).load(3).save(file)
    app = _ok(open_page("score", detector=detector, upload_tpr="90"))
    app.text_input(key="upload_folder").set_value(str(tmp_path))
    shown = _ok(app.run()).dataframe[0].value.set_index("image")
    argv = ["score", "digits", "--detector", detector, "--at", "tpr=0.9", "--json"]
    assert main([*argv, *map(str, files)]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(records) == len(shown) == 3
    for record in records:
        row = shown.loc[Path(record["path"]).name]
        assert (row["verdict"] == "ID") == record["is_id"]
        assert row["prediction"] == record["prediction"]
        assert row["probability"] == 100 * record["probability"]
        assert row["score"] == record["score"]
        assert row["id_percentile"] == record["id_percentile"]


def test_slider_and_verdicts_have_one_acceptance_rate(open_page) -> None:
    import ood_core
    from ood_core import scoring, thresholds

    own = scoring.score(ood_core.prepared(ood_core.load_experiment("digits")), "nan")

    def shown(app: AppTest) -> float:
        accepted = app.slider(key="upload_tpr").value
        expected = thresholds.at_tpr(own.sample(), tpr=accepted / 100).threshold
        assert f"at threshold {expected:.5g}" in _words(app)
        return accepted

    app = _ok(open_page("score"))
    app.button(key="take_examples").click()
    assert shown(_ok(app.run())) == 95.0
    app.slider(key="upload_tpr").set_value(99.0)
    assert shown(_ok(app.run())) == 99.0
    assert "99.0" in app.query_params["upload_tpr"]
    app.button(key="clear_uploads").click()
    _ok(app.run())
    app.button(key="take_examples").click()
    assert shown(_ok(app.run())) == 99.0
    proto = app.slider(key="upload_tpr").proto
    assert proto.set_value, "the browser is told, or a new slider shows its default"
    assert list(proto.value) == [99.0]
    app.switch_page(PAGES["export"])
    _ok(app.run())
    app.query_params.clear()
    app.switch_page(PAGES["score"])
    assert shown(_ok(app.run())) == 99.0, "kept across pages"


def test_acceptance_rate_comes_from_the_address(open_page) -> None:
    app = _ok(open_page("score", upload_tpr="90"))
    assert "90" in app.query_params["upload_tpr"], "also while there are no images"
    app.button(key="take_examples").click()
    assert _ok(app.run()).slider(key="upload_tpr").value == 90.0
    app = _ok(open_page("score", upload_tpr="most"))
    app.button(key="take_examples").click()
    _ok(app.run())
    assert app.slider(key="upload_tpr").value == 95.0
    assert any("not a number" in w.value for w in app.warning)


def test_clearing_empties_folder_and_uploader(open_page, tmp_path: Path) -> None:
    picture = _png(np.zeros((8, 8), np.uint8))
    (tmp_path / "own.png").write_bytes(picture)
    app = _ok(open_page("score"))
    app.text_input(key="upload_folder").set_value(str(tmp_path))
    app.file_uploader(key="upload").set_value([("file.png", picture, "image/png")])
    _ok(app.run())
    assert list(app.dataframe[0].value["image"]) == ["file.png", "own.png"]
    app.switch_page(PAGES["export"])
    _ok(app.run())
    app.switch_page(PAGES["score"])
    _ok(app.run())
    assert len(app.dataframe[0].value) == 2, "kept while another page is open"
    app.button(key="clear_uploads").click()
    for _ in range(2):
        _ok(app.run())
        assert "Upload images" in _words(app)
        assert app.text_input(key="upload_folder").value == ""
    assert not app.file_uploader[0].value
    app.file_uploader[0].set_value([("again.png", picture, "image/png")])
    _ok(app.run())
    assert list(app.dataframe[0].value["image"]) == ["again.png"]


def test_missing_folder_is_told(open_page, tmp_path: Path) -> None:
    app = _ok(open_page("score"))
    app.text_input(key="upload_folder").set_value(str(tmp_path / "none"))
    _ok(app.run())
    assert any("there is no such folder" in e.value for e in app.error)


@pytest.mark.parametrize("page", list(PAGES))
def test_nothing_prepared_explains_itself(page: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params["experiment"] = "cifar10-densenet"
    app.switch_page(PAGES[page])
    _ok(app.run())
    assert "prepared" in _words(app), _words(app)
