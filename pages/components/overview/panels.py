"""The overview's parts: what the experiment is, its headline figures, where to go next."""

from __future__ import annotations

import html
import urllib.parse
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.activations import remarks
from ood_core.data import classes_numbered
from ood_core.experiments import BrokenExperiment
from ood_core.scoring.gate_result import gates_in_words, worst
from ood_core.views.experiment_summary import Facts
from pages.components.charts.checklist import lines_html
from pages.components.kit import cache, missing, nav, prepare, state, words
from pages.components.kit.messages import told
from pages.components.kit.tables import wide_table
from pages.components.kit.view import View
from pages.components.overview import showcase

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.scoring import ScoreSet

__all__ = ["draw"]

HEADLINE = ("feature_norm", "negative_aware_norm", "line", "energy")
_NEXT = {
    "Scores": "Set a threshold and see the images that it judges wrongly.",
    "Detectors": "Rank every detector on every OOD set.",
    "Layers": "At which layer does NAN beat the norm, and why?",
    "Neurons": "Which neurons tell a class, and what happens without them?",
    "Score images": "Upload your own images and read the verdict.",
    "Why it works": "The hidden classifier behind the feature norm.",
    "Map": "See the features of every image on one plane.",
    "Compare": "Two experiments side by side.",
    "Export": "Take recipe, report and detector with you.",
}


_NO_HEAD = "none: the network has no head"
_STEPS = (
    ("Scores", "Which detector would you ship, and at which threshold?"),
    ("Layers", "At which layer does NAN beat the norm, and why?"),
    ("Neurons", "Which neurons tell a class, and what happens without them?"),
)


def draw(view: View) -> None:
    """Draw the page."""
    _guide(view.stored is not None)
    _facts(view)
    if view.stored is None:
        prepare.panel(view.experiment)
    else:
        _headline(view)
        _gates(view)
    _incomplete(view)
    _next(view)
    _experiments(view)
    state.publish()


def _guide(prepared: bool) -> None:
    if state.choose("guide", ["on", "off"], "on") == "off":
        return
    chart = "The chart below" if prepared else "Once everything is prepared, a chart"
    with st.container(border=True, key="guide"):
        left, right = st.columns([12, 1], vertical_alignment="top")
        with left:
            st.markdown(
                "**New here?** A classifier answers even when the image is nothing it knows. Each "
                "detector gives an image one score, higher means more in-distribution (ID); below "
                f"a threshold it is called out of distribution (OOD). {chart} shows "
                "what NAN and LINe, the two scores at the heart of this, gain on these images, "
                "where they lose, and why. From there three questions lead on:"
            )
        right.button(
            "",
            key="guide_off",
            icon=":material/close:",
            type="tertiary",
            help="Dismiss this guide",
            on_click=state.put,
            args=("guide", "off"),
        )
        found = {label: (path, icon) for path, label, icon in nav.pages()}
        params = state.link_params(*nav.SHARED)
        for page, question in _STEPS:
            if page in found:
                path, icon = found[page]
                st.page_link(path, label=question, icon=icon, query_params=params)


def _facts(view: View) -> None:
    experiment = view.experiment
    st.html(
        f"<h2 class='section'>{html.escape(experiment.title)}</h2>"
        f"<p class='prose'>{html.escape(' '.join(experiment.description.split()))}</p>"
    )
    st.html(_facts_table(view))
    if view.stored is not None:
        for name, texts in remarks(view.acts).items():
            said = html.escape(f"{name}: {' '.join(texts)}")
            st.html(f"<p class='prose'>{said}</p>")


def _facts_table(view: View) -> str:
    classifier = view.experiment.classifier
    shown = [("Classifier", classifier.architecture)]
    if view.stored is None:
        shown += [
            ("Classes", _NO_HEAD if classifier.headless else str(classifier.num_classes or "–"))
        ]
        shown += [("OOD sets", ", ".join(view.experiment.ood_sets))]
    else:
        facts = cache.once(("facts", view.fingerprint), lambda: Facts.of(view.acts))
        how = cache.once(("numbered", view.fingerprint), lambda: classes_numbered(view.experiment))
        rows = "rows" if classifier.features_only else "images"
        shown += [
            *_of_head(facts, how),
            *_one_class(view.experiment),
            ("Fit set", f"{facts.fit:,} {rows}"),
            ("ID test set", f"{facts.test:,} {rows}"),
            ("OOD", f"{sum(facts.ood.values()):,} {rows} in {_sets(len(facts.ood))}"),
        ]
        if facts.skipped:
            shown.append(("Not readable, left out", f"{facts.skipped:,} images"))
    cells = "".join(f"<div><dt>{k}</dt><dd>{html.escape(v)}</dd></div>" for k, v in shown)
    return f"<dl class='facts'>{cells}</dl>"


def _of_head(facts: Facts, how: str) -> list[tuple[str, str]]:
    """Classes and accuracy, of a network that tells classes apart."""
    if facts.classes is None:
        return [("Classes", _NO_HEAD)]
    accuracy = "no labels" if facts.accuracy is None else f"{100 * facts.accuracy:.2f} %"
    classes = f"{facts.classes:,}; {how}" if how else f"{facts.classes:,}"
    return [("Classes", classes), ("ID test accuracy", accuracy)]


def _one_class(experiment: Experiment) -> list[tuple[str, str]]:
    """The classes that alone count as ID, where some do."""
    chosen = experiment.id_classes
    return [("ID classes", ", ".join(chosen))] if chosen else []


def _sets(count: int) -> str:
    return "1 set" if count == 1 else f"{count} sets"


@told()
def _headline(view: View) -> None:
    if words.nothing_to_tell_apart(view.ood_sets):
        return
    scores, reasons = {}, {}
    with st.spinner("Scoring …", show_time=False):
        for name in (n for n in HEADLINE if n in cache.detector_titles()):
            found, reason = view.attempt_own(name)
            if found is None:
                reasons[name] = reason
            else:
                scores[name] = found
    if not scores:  # nothing to show but why
        for reason in dict.fromkeys(reasons.values()):
            st.error(reason, icon=":material/block:")
        return
    showcase.draw(view, scores)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.html("<h2 class='section'>How well the scores tell ID from OOD</h2>")
        words.metric("AUROC", "FPR95")
    st.html(_headline_table(view, scores))
    st.caption(
        "AUROC in %, higher is better; small: FPR95 in %, lower is better, ID is the positive "
        "class. Penultimate layer, the experiment's own parameters, all images of each set. Best "
        "of these per row bold; Detectors holds every other score."
    )
    words.warnings(
        [
            f"{cache.detector_titles()[n]}: {why}"
            for n, why in reasons.items()
            if n not in view.lacking  # the remarks say what cannot be here
        ]
    )


def _headline_table(view: View, sets: dict[str, ScoreSet]) -> str:
    head = "".join(f"<th scope='col'>{html.escape(cache.short_title(n))}</th>" for n in sets)
    rows = []
    for ood in view.ood_sets:
        found = [s.evaluate(ood) for s in sets.values()]
        best = max(e.auroc for e in found)
        cells = "".join(
            f"<td><span class='{'best' if e.auroc == best else ''}'>{100 * e.auroc:.2f}</span> "
            f"<span class='interval'>{100 * e.fpr95:.2f}</span></td>"
            for e in found
        )
        chip = f"<i class='chip' style='background:{view.colour(ood)}'></i>"
        near = " <span class='interval'>near</span>" if ood in view.experiment.near else ""
        rows.append(f"<tr><td>{chip}{html.escape(ood)}{near}</td>{cells}</tr>")
    table = (
        f"<table class='figures headline'><thead><tr><th scope='col'>OOD set</th>{head}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table>"
    )
    return wide_table(table, "AUROC and FPR95 of each score")


@told()
def _gates(view: View) -> None:
    """The sanity gates on everything that was prepared; the closed bar says what fails."""
    with st.spinner("Checking …", show_time=False):
        gates = view.gates()
    holds = worst(gates) is None
    st.expander(
        f"Sanity gates: {gates_in_words(gates)}",
        key="gates",
        icon=":material/fact_check:" if holds else ":material/warning:",
    ).html(lines_html(gates))


def _incomplete(view: View) -> None:
    """How to get the OOD sets that are left out because they are not on this machine."""
    whole = cache.usable()[view.experiment.name]
    if whole.ood_sets != view.experiment.ood_sets:
        missing.panel(whole)


def _next(view: View) -> None:
    st.html("<h2 class='section'>Where to go next</h2>")
    params = state.link_params(*nav.SHARED)
    links = [p for p in nav.pages() if p[1] in _NEXT]
    columns = st.columns(3)
    for i, (path, label, icon) in enumerate(links):
        with columns[i % 3].container(gap=None):
            st.page_link(path, label=f"**{label}**", icon=icon, query_params=params)
            st.caption(_NEXT[label])


def _experiments(view: View) -> None:
    """Every experiment that there is, those first whose files are on this machine."""
    st.html("<h2 class='section'>Experiments</h2>")
    known = sorted(cache.usable().values(), key=lambda e: bool(_missing(e)))
    rows = [_experiment_row(e, e.name == view.experiment.name) for e in known]
    table = (
        "<table class='figures experiments'><thead><tr><th scope='col'>experiment</th>"
        "<th scope='col'>classifier</th><th scope='col'>OOD sets</th><th scope='col'>files</th>"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    st.html(wide_table(table, "Experiments"))
    for entry in cache.experiments():
        if isinstance(entry, BrokenExperiment):
            named = entry.path.name in entry.message
            told = entry.message if named else f"{entry.path.name}: {entry.message}"
            st.warning(told, icon=":material/broken_image:")


def _experiment_row(experiment: Experiment, chosen: bool) -> str:
    missing, parts = _missing(experiment), cache.status(experiment)
    files = f"{len(missing)} of {len(parts)} missing" if missing else "on this machine"
    title = html.escape(experiment.title)
    address = html.escape(urllib.parse.urlencode({"experiment": experiment.name}), quote=True)
    link = f"<b>{title}</b>" if chosen else f"<a href='?{address}' target='_self'>{title}</a>"
    cells = (link, html.escape(experiment.classifier.architecture), len(experiment.ood_sets), files)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _missing(experiment: Experiment) -> list[str]:
    """The parts of an experiment that are not on this machine."""
    return [name for name, part in cache.status(experiment).items() if not part.ready]
