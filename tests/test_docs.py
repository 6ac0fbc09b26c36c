"""The documents: links, pictures, commands, Python and every figure that the tour quotes."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special

import ood_core
from ood_core import layers, neurons, scoring, thresholds
from ood_core.commands import all_commands
from ood_core.commands._main import make_parser
from ood_core.detectors import all_detectors
from ood_core.views import showcase
from scripts.score_list import text as score_list
from scripts.screenshots import pictures

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = " ".join((ROOT / "docs" / "tour.md").read_text(encoding="utf-8").split())
IMAGES = ROOT / "docs" / "images"
SLACK = 0.55
"""Units of a quoted figure's last digit that it may be off: half by rounding, and a twentieth that
processors may make of it, because each sums float32 in its own order."""


def ids(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_links_resolve(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_picture_is_shown_and_small() -> None:
    files = sorted(IMAGES.iterdir())
    shown = " ".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert files
    for file in files:
        assert f"images/{file.name})" in shown, f"{file.name} is in no document"
        assert file.stem in pictures(), f"scripts/screenshots.py does not take {file.name}"
    assert sum(file.stat().st_size for file in files) < 4e6


def test_every_page_has_a_picture_in_the_readme() -> None:
    pages = [p.stem.split("_", 1)[1] for p in (ROOT / "pages").glob("[0-9]*_*.py")]
    for page in ["Overview", *pages]:
        name = page.lower().replace("_", "-")
        assert re.search(rf"!\[[^]]*\]\(docs/images/{name}\.webp\)", README), page


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_make_targets_exist(path: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for target in re.findall(r"(?:`|^    )make ([a-z]+)", path.read_text(encoding="utf-8"), re.M):
        assert target in targets, f"{path.name} names make {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_commands_exist(path: Path) -> None:
    """Whole command lines are parsed by the real parser; a name alone must be a command."""
    for line in re.findall(
        r"python -m ood_core ([^\n`]*[^\n`\\])(?:\n|`)", path.read_text("utf-8")
    ):
        words = [word for word in shlex.split(line.partition("#")[0]) if word not in ("…", "...")]
        if words[0] == "COMMAND":
            continue
        assert words[0] in all_commands(), f"{path.name}: {line}"
        if len(words) > 1:
            make_parser().parse_args(words)


VARIABLES = {"OOD_LENS_HOME", "OOD_LENS_DATA", "OOD_LENS_NO_CODE", "OOD_LENS_STORE_GB"}


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_variables_that_are_documented_are_read(name: str) -> None:
    assert any(name in path.read_text(encoding="utf-8") for path in DOCUMENTS)
    code = (ROOT / "ood_core").rglob("*.py")
    assert any(re.search(rf'environ.*"{name}"', path.read_text("utf-8")) for path in code)


def test_no_document_names_an_unknown_variable() -> None:
    for path in DOCUMENTS:
        found = set(re.findall(r"OOD_LENS_[A-Z_]+", path.read_text(encoding="utf-8")))
        assert found <= VARIABLES, path.name


def test_scores_in_the_readme_are_the_detectors_own_words() -> None:
    section = README.partition("## What the scores mean")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", section, re.M))
    del told["score"]
    known = {cls.title: cls.summary for cls in all_detectors().values()}
    assert {"Feature norm", "Negative-aware norm (NAN)", "LINe"} <= set(told)
    assert told == {title: known[title] for title in told}


def test_list_of_scores_is_up_to_date() -> None:
    written = (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")
    assert written == score_list(), "run: python scripts/score_list.py"


@pytest.fixture(scope="module")
def digits(digits_home: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OOD_LENS_HOME", str(digits_home))
        yield ood_core.extract(ood_core.load_experiment("digits"))


def test_python_in_the_readme_runs(digits) -> None:
    block = re.search(r"```python\n(.*?)```", README, re.S)
    assert block is not None
    test = doctest.DocTestParser().get_doctest(block[1], {}, "README", "README.md", 0)
    said: list[str] = []
    assert len(test.examples) >= 8
    assert doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed == 0, said


def test_leaderboard_in_the_tour(digits) -> None:
    """Every row of the table, as the library computes it."""
    table = re.findall(r"^\| (.+?) \|$", (ROOT / "docs" / "tour.md").read_text("utf-8"), re.M)
    columns, *rows = ([cell.strip() for cell in row.split("|")] for row in table)
    assert columns[:2] == ["detector", "Mean"]
    assert len(rows) >= 9
    names = {cls.title: name for name, cls in all_detectors().items()}
    means = [float(row[1]) for row in rows]
    assert means == sorted(means, reverse=True)
    for title, *cells in rows:
        scores = scoring.score(digits, names[title])
        areas = {name: 100 * scores.evaluate(name).auroc for name in scores.ood}
        areas["Mean"] = float(np.mean(list(areas.values())))
        for column, cell in zip(columns[1:], cells, strict=True):
            assert same(cell, areas[column]), f"{title}, {column}: {cell}, is {areas[column]:.4f}"


@pytest.fixture(scope="module")
def facts(digits) -> SimpleNamespace:
    """What the tour says, computed."""
    exp, test = digits.experiment, digits["test"]
    sets = exp.ood_sets
    found = SimpleNamespace()
    scores = {n: scoring.score(digits, n) for n in ("ssd", "vim", "mahalanobis", "energy", "knn")}
    found.areas = {n: {o: s.evaluate(o) for o in sets} for n, s in scores.items()}
    found.fpr = {n: {o: 100 * s.evaluate(o).fpr95 for o in sets} for n, s in scores.items()}
    found.easy = {
        n: 100 * np.mean([s.evaluate(o).auroc for o in sets if o != "rotated"])
        for n, s in scores.items()
    }
    ssd = scores["ssd"]
    found.point = thresholds.at_tpr(ssd.sample(), tpr=0.95)
    halves = ssd.halves()
    found.halves = thresholds.at_tpr(halves.calibration, tpr=0.95, count_on=halves.evaluation)
    found.conformal = thresholds.conformal(ssd.sample(), alpha=0.05)
    table = layers.layer_metrics(digits, "test", sets)
    found.depth = layers.best_layers(layers.mean_over_sets(table))
    gain = table.pivot(index=["layer", "ood_set"], columns="score", values="auroc")
    found.gain = 100 * (gain["negative_aware_norm"] - gain["l1"])
    found.apart = layers.nan_apart(digits, "test", ["shuffled"])
    found.units = {
        (name, layer): layers.quantities(digits[name].layer(layer), "gap")
        for name, layer in [
            *(("test", layer) for layer in test.layers),
            ("shuffled", "penultimate"),
            ("photos", "block3"),
        ]
    }
    lab = neurons.LineLab(digits["fit"], digits, "test", sets, digits.head)
    found.contributions = lab.contributions
    found.strongest = neurons.top_neurons(lab.contributions, 3, 16)
    found.kept = lab.masks(90, 90).units[3]
    found.before = lab.rescore(90, 90, 1.0).mean
    found.without = lab.rescore(90, 90, 1.0, drop=found.strongest).mean
    found.without_one = lab.rescore(90, 90, 1.0, drop=found.strongest[:1]).mean
    found.accuracy = neurons.accuracy_effect(test, digits.head, found.strongest).set_index("class")
    line = lab.detector(90, 90, 1.0)
    whole = line.score_samples(test)
    crippled = line.score_samples(neurons.drop_neurons(test, digits.head, found.strongest))
    found.labels, three = test.labels, test.labels == 3
    found.lowest_other = crippled[~three].min()
    found.threes = whole[three].mean(), crippled[three].mean(), three.mean()
    found.line_threshold = tuple(
        thresholds.at_tpr(s, tpr=0.95).threshold for s in (whole, crippled)
    )
    found.images = neurons.top_images(digits, ["test", *sets], int(found.strongest[0]), k=12)
    found.as_three = int((digits["held-out"].logits.argmax(1) == 3).sum())
    turned = digits["rotated"].logits.astype(np.float64)
    sure = (special.softmax(turned, axis=1).max(1) > 0.99).sum()
    found.turned = len(turned), (turned.argmax(1) == 4).sum(), sure
    found.acceptance = float((test.logits.argmax(1) == test.labels).mean())
    return found


def same(text: str, value: float) -> bool:
    """Whether a figure as it is written is this value, to its last digit."""
    number = float(text.replace("−", "-").replace(",", ""))
    return abs(number - value) <= SLACK * 10.0 ** -len(text.partition(".")[2])


def check(pattern: str, values: Iterable[float], document: str = TOUR) -> None:
    """Compare what a document says with what the library computes.

    The pattern must find one place; `#` in it stands for a number.
    """
    number = r"([+−-]?[0-9][0-9,]*(?:\.[0-9]+)?)"
    found = re.findall(pattern.replace("#", number), document)
    assert len(found) == 1, f"found {len(found)} times: {pattern}"
    texts = found[0] if isinstance(found[0], tuple) else (found[0],)
    for text, value in zip(texts, values, strict=True):
        assert same(text, value), f"{pattern}: {text}, is {value:.4f}"


def test_what_the_tour_says_first(digits) -> None:
    names = ("feature_norm", "negative_aware_norm", "line", "energy")
    scores = {n: scoring.score(digits, n) for n in names}
    nan, line, price = showcase.gains(scores)
    mean = {n: 100 * np.mean([s.evaluate(o).auroc for o in s.ood]) for n, s in scores.items()}
    check(
        r"repairs: # points of AUROC in the mean \(# % against # %\)",
        [100 * nan.mean, mean["negative_aware_norm"], mean["feature_norm"]],
    )
    assert len(nan.ahead) == 6
    assert nan.most == "held-out"
    check(r"most on `held-out` \(#\)", [100 * nan.differences["held-out"].value])
    active = [(digits[s].features > 0).sum(1).mean() for s in ("test", "held-out")]
    check("known switches on # of 256 units, an 8 or a 9 #, and", active)
    check(
        r"sharpens: # points \(# % against # %\)",
        [100 * line.mean, mean["line"], mean["energy"]],
    )
    assert line.ahead == ("rotated",)
    assert line.behind == ("held-out", "shuffled", "noise")
    check(r"`rotated` alone \(#\)", [100 * line.differences["rotated"].value])
    check(r"`shuffled` and `noise` \(#\)", [100 * line.differences["noise"].value])
    clipped = showcase._energy_clipped(digits, 1.0, 1.0, digits.experiment.ood_sets)
    cost = 100 * (np.mean(list(clipped.values())) - np.mean(list(line.auroc.values())))
    kept = scores["line"].fitted.masks_.units.sum(1).mean()
    check("keeping # of 256 neurons for the predicted class costs # point", [kept, cost])
    check("NAN against energy: # points", [100 * price.mean])
    held = [scoring.score(digits, n).evaluate("held-out").auroc for n in ("nan+knn", "knn", "nan")]
    check(r"\*NAN \+ KNN\*, it reaches # % on `held-out`, where KNN alone has # % and NAN # %",
          [100 * a for a in held])  # fmt: skip
    turned = scores["negative_aware_norm"].evaluate("rotated").auroc
    share = 100 * np.mean(digits["rotated"].logits.argmax(1) == 4)
    norms = [np.abs(digits[s].features).sum(1).mean() for s in ("rotated", "test")]
    check(r"\(NAN: # %\): the classifier calls # % of it 4", [100 * turned, share])
    check("mean norm # against #", norms)


def test_first_answer_of_the_tour(facts) -> None:
    check("gets # % of its 481 ID test images right", [100 * facts.acceptance])
    check("Of the # turned digits # are classified as 4, and # get", facts.turned)
    check("mean AUROC of # % and KNN # %", [facts.easy["energy"], facts.easy["knn"]])
    ssd, vim, far = (facts.fpr[n] for n in ("ssd", "vim", "mahalanobis"))
    hard = [rates["held-out"] for rates in (ssd, vim, far)]
    check("in FPR95, SSD has # %, ViM # % and Mahalanobis # %; on", hard)
    check("on `rotated` all three have # %", [max(r["rotated"] for r in (ssd, vim, far))])
    for better, worse, name in (("ssd", "vim", "held-out"), ("vim", "ssd", "rotated")):
        more, less = facts.areas[better][name], facts.areas[worse][name]
        assert less.auroc < more.auroc_low
        assert less.auroc_high < more.auroc
    point, halves = facts.point, facts.halves
    wrong, shown = (sum(getattr(o, k) for o in point.ood.values()) for k in ("count", "n"))
    values = [point.threshold, point.id.count, point.id.n, wrong, shown]
    check("at a score of #, which accepts # of # ID images and # of # OOD", values)
    wrong, shown = (sum(getattr(o, k) for o in halves.ood.values()) for k in ("count", "n"))
    values = [100 * halves.id.count / halves.id.n, halves.id.n, 100 * wrong / shown, shown]
    check("# % of # ID images are accepted and # % of # OOD images", values)
    check("at # at most 5 %", [facts.conformal.threshold])


def test_second_answer_of_the_tour(facts) -> None:
    assert facts.depth.nan_wins == ("penultimate",)
    nan, norm = (100 * facts.depth.best[s][1] for s in ("negative_aware_norm", "l1"))
    check("penultimate one: # % against # %", [nan, norm])
    gain = facts.gain["penultimate"]
    sets = ("held-out", "shuffled", "rotated", "noise", "photos", "inverted")
    check(
        "where the # points come from: `held-out` #, `shuffled` #, `rotated` #, `noise` #, "
        "`photos` #, and # on `inverted`",
        [nan - norm, *(gain[s] for s in sets)],
    )
    blocks = [facts.units["test", f"block{i}"].l0.mean() for i in (1, 2, 3)]
    check("# of 16, # of 32 and # of 64 channels are active on ID images", blocks)
    off = 64 - facts.units["photos", "block3"].l0.mean()
    check("leave # of 64 channels of `block3` off", [off])
    check("digits and costs # points", [-facts.gain["block3", "photos"]])
    others = facts.gain.drop(index="penultimate", level="layer").drop(
        index="photos", level="ood_set"
    )
    assert others.abs().max() < 0.05, "the map would not read +0.0"
    inside, outside = (facts.units[n, "penultimate"] for n in ("test", "shuffled"))
    units = inside.l0.mean(), outside.l0.mean()
    check("# of 256 units are active on average, # on shuffled digits", units)
    norms = inside.l1.mean(), outside.l1.mean()
    check("norm is larger, # against #", norms)
    assert units[0] < units[1]
    assert norms[0] > norms[1]
    row = facts.apart.auroc.iloc[0]
    areas = [100 * row[s] for s in ("l1", "sparsity", "negative_aware_norm")]
    check("# % for the norm, # % for few active units alone, # % for NAN", areas)
    assert row["negative_aware_norm"] > max(row["l1"], row["sparsity"])


def test_third_answer_of_the_tour(facts) -> None:
    contributions, strongest = facts.contributions, facts.strongest
    first = int(strongest[0])
    check("strongest for 3 are the neurons #, #, #, # and #. Neuron", strongest[:5])
    check("Neuron # adds # to the logit of 3", [first, contributions[3, first]])
    others = np.delete(contributions[:, first], 3)
    check("and between # and # to any other", [others.min(), others.max()])
    check("contributes most: # of 256", [facts.kept.sum()])
    check("# of the 26 neurons that it keeps", [facts.kept[strongest].sum()])
    assert facts.kept[strongest].all()
    inside = facts.images[facts.images.set == "test"]
    outside = facts.images[facts.images.set != "test"].nlargest(12, "activation")
    assert len(inside) == 12
    assert (facts.labels[inside["index"]] == 3).all()
    shared = (outside.set == "held-out").sum()
    check("of the twelve OOD images that do, # are `held-out`", [shared])
    check("held-out digits, # are classified as 3", [facts.as_three])
    share = contributions[3, strongest].sum() / np.maximum(contributions[3], 0).sum()
    check("hold # % of the positive contributions", [100 * share])
    before, after, one = facts.before, facts.without, facts.without_one
    areas = [first, 100 * before["auroc"], 100 * one["auroc"]]
    check("Without neuron # LINe's mean AUROC goes from # % to # %", areas)
    for name, area, rate in (
        ("energy's", "energy_auroc", "energy_fpr95"),
        ("LINe's", "auroc", "fpr95"),
    ):
        values = [100 * d[key] for key in (area, rate) for d in (before, after)]
        pattern = f"{name} mean AUROC falls from # % to # %, its FPR95 rises from # % to # %"
        check(pattern, values)
    assert before["auroc"] - after["auroc"] > before["energy_auroc"] - after["energy_auroc"]
    right = 100 * facts.accuracy.loc["3", ["before", "after"]].astype(float)
    count = (facts.labels == 3).sum()
    lost = round(count * (right.iloc[0] - right.iloc[1]) / 100)
    values = [*right, lost, count]
    check(r"3s falls from # % to # % \(# of # images\)", values)
    others = facts.accuracy.drop(index="3")
    assert (others["before"] == others["after"]).all()
    check("score of the 3s falls from # to #", facts.threes[:2])
    assert facts.threes[1] < facts.lowest_other
    check("down, from # to #,", facts.line_threshold)
    assert 0.05 < facts.threes[2] < 0.15


def test_limits_in_the_readme(digits) -> None:
    """NAN on `rotated`, and what LINe gains on energy."""
    area = {
        n: {o: 100 * s.evaluate(o).auroc for o in s.ood}
        for n, s in (
            (n, scoring.score(digits, n)) for n in ("negative_aware_norm", "line", "energy", "ssd")
        )
    }
    check(r"\(NAN: AUROC # %\)", [area["negative_aware_norm"]["rotated"]], " ".join(README.split()))
    gain = {o: area["line"][o] - area["energy"][o] for o in area["line"]}
    assert gain.pop("rotated") > 5
    assert max(gain.values()) < 0.1
    assert area["ssd"]["rotated"] > 99


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+(?:\w+\.(?:py|js|md|toml))?|\w+\.(?:py|js))`", text)
    assert len(named) > 60
    roots = [
        ROOT,
        ROOT / "ood_core",
        ROOT / "pages" / "components",
        ROOT / "ood_core" / "experiments",
    ]
    roots += [ROOT / "ood_core" / p for p in ("detectors", "plots", "commands", "theory", "models")]
    named.remove("pages/N_Name.py")
    missing = [n for n in named if not any((root / n).exists() for root in roots)]
    assert missing == []


def test_the_architecture_lists_packages_in_the_order_of_imports() -> None:
    from tests.test_architecture import ORDER

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text[text.index("| package |") : text.index("In `pages/`")]
    assert re.findall(r"^\| `(\w+)/?`", table, re.M) == list(ORDER)
